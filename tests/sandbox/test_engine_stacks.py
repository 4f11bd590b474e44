"""The three stacks of this repository on the sandbox, as a user runs them with the plain CLI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract import StackOutputs
from tests.sandbox.conftest import ARM_VERSION, RunningSandbox
from tests.sandbox.engine import Engine, copy_project

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]


@pytest.fixture
def engine(sandbox: RunningSandbox, tmp_path: Path) -> Engine:
    return Engine(copy_project(tmp_path / "project"), sandbox.env)


def documents(sandbox: RunningSandbox, group: str) -> list[dict[str, Any]]:
    """What ARM has of a resource group; empty when the group is gone."""
    base = f"{sandbox.settings.url('arm')}/subscriptions/{sandbox.settings.subscription_id}"
    answer = sandbox.session().get(
        f"{base}/resourceGroups/{group}/resources", params={"api-version": ARM_VERSION}, timeout=10
    )
    return list(answer.json()["value"]) if answer.ok else []


def outputs_of(engine: Engine, stack: str) -> StackOutputs:
    return StackOutputs.model_validate(engine.outputs(stack)["rollout"])


def go_down(engine: Engine, sandbox: RunningSandbox, stack: str) -> None:
    group = outputs_of(engine, stack).resource_group
    engine.run("destroy", "--yes", "--skip-preview", "--stack", stack)
    assert documents(sandbox, group) == [], "nothing is left"


def test_dev_goes_up_changes_a_tag_and_goes_down(engine: Engine, sandbox: RunningSandbox) -> None:
    assert "to create" in engine.run("preview", "--stack", "dev")
    engine.up("dev")
    outputs = outputs_of(engine, "dev")
    assert outputs.environment == "dev"
    engine.up("dev", "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")

    settings = engine.project / "Pulumi.dev.yaml"
    settings.write_text(settings.read_text().replace("owner: ml-platform", "owner: someone-else"))
    said = engine.up("dev")
    assert "updated" in said
    assert "replaced" not in said
    tagged = [found for found in documents(sandbox, outputs.resource_group) if "owner" in (found.get("tags") or {})]
    assert tagged
    assert {found["tags"]["owner"] for found in tagged} == {"someone-else"}
    go_down(engine, sandbox, "dev")


def test_staging_goes_up_is_put_right_after_drift_and_goes_down(engine: Engine, sandbox: RunningSandbox) -> None:
    engine.up("staging")
    engine.up("staging", "--expect-no-changes")
    url = f"{sandbox.settings.url('arm')}{outputs_of(engine, 'staging').storage.account_id}"
    session, version = sandbox.session(), {"api-version": "2024-01-01"}
    declared = session.get(url, params=version, timeout=10).json()["properties"].get("allowBlobPublicAccess", False)
    changed = {"properties": {"allowBlobPublicAccess": not declared}}
    assert session.patch(url, params=version, json=changed, timeout=10).ok

    assert "~ 1 updated" in engine.run("refresh", "--yes", "--skip-preview", "--stack", "staging")
    engine.up("staging")
    assert session.get(url, params=version, timeout=10).json()["properties"]["allowBlobPublicAccess"] == declared
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "staging")
    go_down(engine, sandbox, "staging")


def test_prod_goes_up_and_comes_down_only_when_its_data_is_unprotected(engine: Engine, sandbox: RunningSandbox) -> None:
    files = {file.name: file.read_text() for file in engine.project.glob("Pulumi*.yaml")}
    engine.run("preview", "--stack", "prod")
    engine.up("prod")
    engine.up("prod", "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "prod")
    assert "it is protected" in engine.run("destroy", "--yes", "--skip-preview", "--stack", "prod", ok=False)
    engine.run("state", "unprotect", "--all", "--yes", "--stack", "prod")
    go_down(engine, sandbox, "prod")
    assert {file.name: file.read_text() for file in engine.project.glob("Pulumi*.yaml")} == files, "no file is changed"


def test_a_wrong_setting_stops_the_preview_before_anything_is_made(engine: Engine) -> None:
    settings = engine.project / "Pulumi.dev.yaml"
    settings.write_text(settings.read_text().replace("tier: LowPriority", "tier: Cheapest"))
    said = engine.run("preview", "--stack", "dev", ok=False)
    assert "Cheapest" in said
    assert "LowPriority" in said, "the error names what is allowed"
    assert "Traceback" not in said


def test_an_unknown_stack_is_named(engine: Engine) -> None:
    assert "no stack named 'production'" in engine.run("preview", "--stack", "production", ok=False)
