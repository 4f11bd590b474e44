"""A stack with a gateway on the sandbox, by the plain CLI: up, edits that update and never replace, down."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.components.mocks import PROJECT, stack_values
from tests.options import OPTIONS, merged
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project
from tests.sandbox.test_engine_stacks import go_down, outputs_of

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]
_WANTED = ("network", "registry", "gateway")


def write(engine: Engine, tags: dict[str, str] | None = None, **changes: Any) -> None:
    """The staging file with the gateway's options, other tags if given, and `changes` to the gateway."""
    options = {key: OPTIONS[key] for key in _WANTED} | {"endpoints": {"churn": OPTIONS["endpoints"]["churn"]}}
    values = merged(merged(stack_values("staging"), options), {"gateway": changes, "tags": tags or {}})
    keys = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in values.items()}
    file = engine.project / "Pulumi.staging.yaml"
    document = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**document, "config": keys}))


def changed(engine: Engine) -> set[tuple[str, str]]:
    """What the next update would do: operation and resource."""
    printed = engine.run("preview", "--json", "--stack", "staging")
    said = json.loads(printed[printed.index("{\n") :])
    return {(step["op"], step["urn"].rsplit("::", 1)[1]) for step in said["steps"] if step["op"] != "same"}


def test_a_gateway_goes_up_is_edited_in_place_and_goes_down(sandbox: RunningSandbox, tmp_path: Path) -> None:
    engine = Engine(copy_project(tmp_path / "project"), sandbox.env)
    write(engine)
    engine.up("staging")
    engine.up("staging", "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "staging")

    outputs = outputs_of(engine, "staging")
    assert outputs.gateway is not None
    assert outputs.gateway.scoring_urls == {"churn": "https://scoring.example.com/churn/score"}
    state = engine.run("stack", "export", "--stack", "staging")
    assert "InstrumentationKey=" not in re.sub(r'"(plaintext|ciphertext)": "[^"]*"', "", _of(state, "NamedValue"))
    policy = json.loads(_of(state, "ApiPolicy"))[0]["outputs"]["value"]
    assert f"<value>{outputs.gateway.front_door_id}</value>" in policy
    assert 'name="azureml-model-deployment" exists-action="delete"' in policy

    write(engine, tags={"owner": "someone-else"})
    retagged = changed(engine)
    assert {operation for operation, _ in retagged} == {"update"}, "identities are updated, their assignments stay"
    assert ("update", "api-management-identity") in retagged

    write(
        engine,
        frontDoor={"wafMode": "Detection", "probeSeconds": 30},
        apiManagement={"units": 2, "requestsPerMinute": 10},
    )
    assert changed(engine) == {
        ("update", "front-door-firewall"),
        ("update", "front-door-origins"),
        ("update", "api-management"),
        ("update", "gateway-churn-policy"),
    }
    engine.up("staging")
    engine.up("staging", "--expect-no-changes")
    go_down(engine, sandbox, "staging")


def _of(state: str, type_: str) -> str:
    """The resources of a type, as the state has them."""
    resources = json.loads(state)["deployment"]["resources"]
    return json.dumps([each for each in resources if each["type"] == f"azure-native:apimanagement:{type_}"])
