"""Clusters by the stack file, under the real engine: one block is one more cluster, and what can't change is replaced in sight."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

CPU = "    cpu: {vmSize: Standard_D4s_v3, tier: LowPriority, minNodes: 0, maxNodes: 2, nodeHoursPerMonth: 40}\n"
GPU = "    gpu: {vmSize: Standard_NC4as_T4_v3, tier: LowPriority, maxNodes: 1, nodeHoursPerMonth: 5}\n"


class Project:
    """The dev stack, up, and its settings."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.file = engine.project / "Pulumi.dev.yaml"
        self.original = self.file.read_text()
        assert CPU in self.original

    def clusters(self, *blocks: str) -> None:
        """Let the stack file have these."""
        self.file.write_text(self.original.replace(CPU, "".join(blocks)))

    def preview(self) -> tuple[str, dict[str, int]]:
        """What it prints, and the numbers of its summary: create, update, replace, delete."""
        said = self.engine.run("preview", "--stack", "dev", "--diff")
        return said, {verb: int(count) for count, verb in re.findall(r"(\d+) to (create|update|replace|delete)", said)}


@pytest.fixture(scope="module")
def project(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    engine = Engine(copy_project(tmp_path_factory.mktemp("clusters") / "project"), sandbox.env)
    made = Project(engine)
    engine.up("dev")
    yield made
    made.file.write_text(made.original)
    engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")


def test_a_gpu_cluster_is_one_block_and_one_create(project: Project) -> None:
    project.clusters(CPU, GPU)
    said, summary = project.preview()
    assert summary == {"create": 1}, said
    assert "Compute" in said
    project.engine.up("dev")
    project.engine.up("dev", "--expect-no-changes")
    assert "cluster-gpu" in project.engine.resources()


@pytest.mark.parametrize(
    ("was", "becomes"),
    [("vmSize: Standard_NC4as_T4_v3", "vmSize: Standard_NC6s_v3"), ("tier: LowPriority", "tier: Dedicated")],
    ids=["size", "tier"],
)
def test_what_azure_does_not_change_in_place_is_shown_as_a_replacement(
    project: Project, was: str, becomes: str
) -> None:
    changed = GPU.replace(was, becomes)
    assert changed != GPU
    project.clusters(CPU, GPU)
    project.engine.up("dev")
    project.clusters(CPU, changed)
    said, summary = project.preview()
    assert summary == {"replace": 1}, said
    assert "cluster-gpu" in said
    # the sandbox refuses to change it in place, as Azure does: the update shows that it was deleted first
    assert "1 replaced" in project.engine.up("dev")


def test_what_azure_changes_in_place_is_updated(project: Project) -> None:
    project.clusters(CPU, GPU)
    project.engine.up("dev")
    project.clusters(CPU, GPU.replace("maxNodes: 1", "maxNodes: 2, idleMinutes: 10"))
    said, summary = project.preview()
    assert summary == {"update": 1}, said
    assert "1 updated" in project.engine.up("dev")


def test_a_cluster_that_is_taken_out_is_one_delete(project: Project) -> None:
    project.clusters(CPU)
    said, summary = project.preview()
    assert summary == {"delete": 1}, said
