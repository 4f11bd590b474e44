"""What an edit of the stack file does, by the real engine's preview: created, updated, replaced, deleted; and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.options import merged
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

PROJECT = "azureml-rollouts:"
#: Steps of a replacement, and what is no change.
REPLACED, QUIET = {"replace", "create-replacement", "delete-replaced"}, {"same", "read", "refresh"}
#: What holds data, serves traffic or has a name that others know.
STATEFUL = {
    "group", "storage", "workspace-vault", "workspace-registry", "workspace", "observability-logs", "endpoint-churn",
}  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """Values merged over the stack file's. Each expectation names all resources of its kind; None: not compared."""

    name: str
    values: dict[str, Any]
    creates: Collection[str] | None = ()
    updates: Collection[str] | None = ()
    replaces: Collection[str] | None = ()
    deletes: Collection[str] | None = ()
    #: Some of what is created, where that is a whole component.
    among: frozenset[str] = frozenset()


SUBSCRIPTION = {"source": "topic", "eventTypes": ["Rollouts.Failed"]}
GPU = {"vmSize": "Standard_NC6s_v3", "tier": "LowPriority", "minNodes": 0, "maxNodes": 1}

EDITS = (
    Edit("a GPU cluster is one block and one resource", {"clusters": {"gpu": GPU}}, creates={"cluster-gpu"}),
    Edit("more nodes", {"clusters": {"cpu": {"maxNodes": 6}}}, updates={"cluster-cpu"}),
    Edit("another machine size", {"clusters": {"cpu": {"vmSize": "Standard_D8s_v3"}}}, replaces={"cluster-cpu"}),
    Edit("another tier", {"clusters": {"cpu": {"tier": "Dedicated"}}}, replaces={"cluster-cpu"}),
    Edit("rollout policy is rollout's", {"policy": {"steps": [20, 100]}}),
    Edit("machines of a deployment are rollout's", {"endpoints": {"churn": {"instanceCount": 3}}}),
    Edit("quality gates are training's", {"gates": {"accuracy": 0.8}}),
    Edit("longer logs", {"logs": {"retentionDays": 60}}, updates={"observability-logs"}),
    Edit("a bigger budget", {"budget": {"monthlyUsd": 900}}, updates={"budget"}),
    Edit("fewer notices", {"budget": {"notifyAt": [100]}}, updates={"budget"}),
    Edit("redundant storage", {"storage": {"sku": "Standard_GRS"}}, updates={"storage"}),
    Edit("longer soft delete", {"storage": {"softDeleteDays": 31}}, updates={"storage-blobs", "storage-files"}),
    Edit("blob versions", {"storage": {"versioning": True}}, updates={"storage-blobs"}),
    Edit("no account keys", {"storage": {"allowSharedKeyAccess": False}}, updates={"storage", "workspace"}),
    Edit("purge protection", {"keyVault": {"purgeProtection": True}}, updates={"workspace-vault"}),
    Edit("a better registry", {"registry": {"sku": "Premium"}}, updates={"workspace-registry"}),
    Edit("one more container", {"datastores": {"raw": {"container": "raw"}}}, creates={"storage-raw", "workspace-datastore-raw"}),
    Edit("another branch", {"identity": {"github": {"branch": "release"}}}, updates={"identity-operator-github-branch", "off-hours-runbook"}),
    Edit("one more environment", {"identity": {"github": {"environments": ["dev", "test"]}}}, creates={"identity-operator-github-environment-test"}),
    Edit("no own roles and apps", {"identity": {"enabled": False}, "offHours": {"parkIdleMinutes": 0}, "functions": {"weightMinutes": 0}}, deletes=None, updates={"functions"}),
    Edit("idle for longer", {"offHours": {"parkIdleMinutes": 240}}, updates={"functions"}),
    Edit("locks", {"lockData": True}, creates={"lock", "lock-storage", "lock-vault", "lock-registry", "lock-logs"}),
    Edit(
        "an endpoint takes other credentials", {"endpoints": {"churn": {"authMode": "AADToken"}}}, updates={"endpoint-churn"},
        creates={"identity-model-scorer", "identity-operator-scoring-at-workspace", "identity-functions-scoring-at-workspace"},
    ),
    Edit(
        "one more endpoint",
        {"endpoints": {"intent": {"model": "intent", "instanceType": "Standard_DS2_v2", "instanceCount": 1}}},
        creates=None, among=frozenset({"endpoint-intent", "endpoint-intent-identity"}),
    ),
    Edit(
        "one more subscription", {"events": {"subscriptions": {"failed": SUBSCRIPTION}}},
        creates={"storage-queue-failed", "events-topic-queue-failed", "events-failed"},
    ),
    Edit("a private network", {"network": {"enabled": True}, "registry": {"sku": "Premium"}}, creates=None, updates={"workspace-registry", "functions"},
         replaces={"cluster-cpu"}, among=frozenset({"network", "private"})),
    Edit("a model registry", {"modelRegistry": {"create": True}}, creates=None, among=frozenset({"model-registry"})),
)  # fmt: skip
#: Edits that cost a stateful resource: shown as a replacement in dev, refused by the engine in prod.
COSTLY = (
    ("another name of the endpoint", {"endpoints": {"churn": {"name": "churn-by-another-name"}}}, "endpoint-churn"),
    ("another resource group", {"resourceGroup": "another-group"}, "group"),
)
#: What Azure fixes at creation: refused before any resource, in every stack. The last: what the message has to say.
FIXED = (
    (
        "another region",
        {"azure-native:location": "westeurope"},
        "azure-native:location = 'westeurope': eastus, where the stack's",
    ),
    (
        "longer kept vaults",
        {"keyVault": {"softDeleteDays": 30}},
        "keyVault.softDeleteDays = 30: 7, which the vault was made with",
    ),
    (
        "a key of one's own",
        {"encryption": {"customerManagedKey": True}, "keyVault": {"purgeProtection": True}},
        "encryption.customerManagedKey = True: false, as the workspace",
    ),
)


@dataclass
class Stack:
    """A stack that is up, and its file to edit."""

    engine: Engine
    name: str

    def __post_init__(self) -> None:
        self._file = self.engine.project / f"Pulumi.{self.name}.yaml"
        self._text = self._file.read_text("utf-8")

    def preview(self, values: dict[str, Any]) -> tuple[dict[str, set[str]], str]:
        """Resources by what would be done to them, and what the engine says against it."""
        document = yaml.safe_load(self._text)
        for key, value in values.items():
            full = key if ":" in key else PROJECT + key
            document["config"][full] = merged(document["config"].get(full), value)
        self._file.write_text(yaml.safe_dump(document))
        try:
            done = subprocess.run(
                ["pulumi", "preview", "--json", "--non-interactive", "--stack", self.name],
                cwd=self.engine.project, env=self.engine.environment, capture_output=True, text=True, timeout=280,
            )  # fmt: skip
        finally:
            self._file.write_text(self._text)
        shown = json.loads(done.stdout)
        found: dict[str, set[str]] = {}
        for step in shown.get("steps", []):
            kind = "replace" if step["op"] in REPLACED else step["op"]
            if kind not in QUIET and "pulumi:pulumi:Stack" not in step["urn"]:
                found.setdefault(kind, set()).add(step["urn"].rsplit("::", 1)[1])
        said = " ".join(each["message"] for each in shown.get("diagnostics", []) if each["severity"] == "error")
        assert done.returncode == 0 or said, done.stdout + done.stderr
        return found, said


def stack(sandbox: RunningSandbox, folder: Path, name: str) -> Stack:
    engine = Engine(copy_project(folder / "project"), sandbox.env)
    engine.up(name)
    return Stack(engine, name)


def take_down(made: Stack) -> None:
    made.engine.run("state", "unprotect", "--all", "--yes", "--stack", made.name)
    made.engine.run("destroy", "--yes", "--skip-preview", "--stack", made.name)


@pytest.fixture(scope="module")
def dev(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = stack(sandbox, tmp_path_factory.mktemp("dev"), "dev")
    yield made
    take_down(made)


@pytest.fixture(scope="module")
def prod(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = stack(sandbox, tmp_path_factory.mktemp("prod"), "prod")
    yield made
    take_down(made)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_does_what_it_should_and_no_more(dev: Stack, edit: Edit) -> None:
    found, said = dev.preview(edit.values)
    assert not said
    for kind, expected in (
        ("create", edit.creates), ("update", edit.updates), ("replace", edit.replaces), ("delete", edit.deletes),
    ):  # fmt: skip
        if expected is None:
            assert found.get(kind), f"nothing to {kind}"
        else:
            assert found.get(kind, set()) == set(expected), f"{kind}: {found}"
    assert edit.among <= found.get("create", set())
    assert not STATEFUL & found.get("replace", set())


def test_another_owner_updates_what_has_tags_and_replaces_nothing(dev: Stack) -> None:
    found, said = dev.preview({"tags": {"owner": "someone-else"}})
    assert not said
    assert set(found) == {"update"}, found.get("replace")
    assert found["update"] >= STATEFUL | {"cluster-cpu", "workspace-identity", "events-topic"}


@pytest.mark.parametrize(("values", "lost"), [each[1:] for each in COSTLY], ids=[each[0] for each in COSTLY])
def test_in_dev_a_costly_edit_is_seen_in_the_preview(dev: Stack, values: dict[str, Any], lost: str) -> None:
    found, _ = dev.preview(values)
    assert lost in found["replace"]


@pytest.mark.parametrize(("values", "lost"), [each[1:] for each in COSTLY], ids=[each[0] for each in COSTLY])
def test_in_prod_a_costly_edit_is_refused(prod: Stack, values: dict[str, Any], lost: str) -> None:
    _, said = prod.preview(values)
    assert "protect" in said
    assert lost in said


@pytest.mark.parametrize(("values", "expected"), [each[1:] for each in FIXED], ids=[each[0] for each in FIXED])
def test_what_azure_fixed_at_creation_is_refused_before_anything(
    dev: Stack, values: dict[str, Any], expected: str
) -> None:
    found, said = dev.preview(values)
    assert found == {}, "nothing would be done"
    assert expected in said
    assert "1 wrong setting, nothing was changed" in said


@pytest.mark.parametrize(
    "values",
    [{"network": {"addressSpace": "10.60.0.0/16"}}, {"storage": {"sku": "Standard_ZRS9"}}, {"keyVault": {"softDeleteDays": 3}}],
    ids=["subnets outside", "no such SKU", "too short"],
)  # fmt: skip
def test_an_edit_that_fits_nothing_stops_before_the_engine(dev: Stack, values: dict[str, Any]) -> None:
    found, said = dev.preview(values)
    assert found == {}
    assert next(iter(values)) in said


NEW_HOLDER = """
import pulumi
from components import config
from components.base import standard_tags
from components.identity.custom_roles import READER
from components.identity.define import define
from components.identity.managed import Grant, managed_identity
from components.identity.roles import Role
from components.platform import _place

place = _place(config.read(), "probe")
made = managed_identity("probe", whose=pulumi.Config("probe").require("whose"), parent=place.after[0], place=place,
    grants=[Grant("group", Role.BLOB_DATA_CONTRIBUTOR, place.group_id)])
own = define("own-role", READER, parent=place.after[0], place=place)
own.assign("own", to=made.principal, scope=place.group_id, parent=place.after[0])
"""


def test_a_new_identity_is_given_its_roles_again(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """Assignments do not look at the principal, which previews can't know: they follow their identity. The other stacks are up."""
    engine = Engine(copy_project(tmp_path / "project"), sandbox.env)
    engine.program(NEW_HOLDER)
    for whose in ("first", "second"):
        engine.run("config", "set", "probe:whose", whose, "--stack", "staging")
        engine.up("staging")
        found = engine.resources("staging")
        assignments = [each for each in found.values() if each["type"].endswith(":RoleAssignment")]
        assert len(assignments) == 2, "a built-in role and one of our own"
        for assignment in assignments:
            assert assignment["outputs"]["principalId"] == found["probe"]["outputs"]["principalId"]
    engine.run("destroy", "--yes", "--skip-preview", "--stack", "staging")
