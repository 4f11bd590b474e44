"""Live traffic through real `pulumi up`s: the real engine, and a provider that sends full PUTs as Azure's does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.engine import ROOT, Engine, own_environment, write_program
from tests.sandbox.tiny_azure import TinyAzure

PROGRAM = """
import pulumi
from components.base import Placement
from components.serving.endpoint import Endpoint, EndpointArgs
from components.naming import Names
from components.serving.settings import EndpointSettings

settings = EndpointSettings.model_validate({"model": "churn", "instanceType": "Standard_DS2_v2"})
place = Placement(
    resource_group="group", location="eastus", subscription_id="s", tenant_id="t", protect_data=False,
    names=Names("rollouts", "dev", "s", "eastus"), tags={"owner": pulumi.Config().require("owner")},
)
Endpoint("endpoint", EndpointArgs(
    place=place, use_case="churn", settings=settings, endpoint_name="churn-dev", workspace_name="workspace",
    workspace_id="/workspace", storage_account_id="/storage", registry_id="/registry", log_analytics_id="/logs",
))
"""

pytestmark = pytest.mark.engine


class World:
    """One endpoint, provisioned by the engine."""

    def __init__(self, azure: TinyAzure, engine: Engine) -> None:
        self.azure, self.engine = azure, engine

    @property
    def endpoint(self) -> dict[str, Any]:
        return self.azure.find("/onlineEndpoints/churn-dev")

    def set_traffic(self, **traffic: int) -> None:
        """What `rollout` does, behind Pulumi's back."""
        self.endpoint["properties"]["traffic"] = traffic

    def up(self, owner: str, *, ok: bool = True) -> str:
        self.azure.calls.clear()
        return self.engine.up("dev", "--config", f"live:owner={owner}", ok=ok)

    @property
    def puts(self) -> list[str]:
        return [call for call in self.azure.calls if call.startswith("PUT") and call.endswith("/churn-dev")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("live")
    azure = TinyAzure()

    def complete(path: str, document: dict[str, Any]) -> None:
        if path.endswith("/churn-dev"):
            document["properties"]["scoringUri"] = "https://churn-dev/score"
        if "/userAssignedIdentities/" in path:
            document.setdefault("properties", {}).update(principalId=str(uuid.uuid4()), clientId=str(uuid.uuid4()))

    azure.on_put = complete
    project = write_program(home / "project", PROGRAM, name="live")
    engine = Engine(project, {**own_environment(home), **azure.environment(), "PYTHONPATH": str(ROOT)})
    engine.run("stack", "init", "dev")
    ready = World(azure, engine)
    ready.up("first")
    yield ready
    azure.close()


def test_a_new_endpoint_has_no_traffic(world: World) -> None:
    assert not world.endpoint["properties"].get("traffic")


def test_traffic_that_a_rollout_moved_is_no_change(world: World) -> None:
    world.set_traffic(blue=90, green=10)
    said = world.up("first")
    assert world.puts == []
    assert "unchanged" in said
    assert "updated" not in said
    assert world.endpoint["properties"]["traffic"] == {"blue": 90, "green": 10}


def test_a_changed_tag_during_a_rollout_leaves_traffic_alone(world: World) -> None:
    world.set_traffic(blue=50, green=50)
    world.endpoint["properties"]["mirrorTraffic"] = {"v3": 5}
    world.up("second")
    assert len(world.puts) == 1
    assert world.endpoint["tags"]["owner"] == "second"
    assert world.endpoint["properties"]["traffic"] == {"blue": 50, "green": 50}
    assert world.endpoint["properties"]["mirrorTraffic"] == {"v3": 5}


def test_a_state_older_than_the_service_stops_before_it_resets_traffic(world: World) -> None:
    # as after a `pulumi up` that was cut off between its PUT and the saving of its state
    world.endpoint["tags"]["owner"] = "third"
    world.set_traffic(green=100)
    said = world.up("third", ok=False)
    assert "nothing was sent" in said
    assert world.puts == []
    assert world.endpoint["properties"]["traffic"] == {"green": 100}
    world.engine.run("refresh", "--yes", "--skip-preview", "--stack", "dev")
    world.up("third")
    assert world.endpoint["properties"]["traffic"] == {"green": 100}


def test_an_endpoint_that_may_not_be_read_is_not_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = world.azure.answer

    def refuse(method: str, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        if method == "GET" and url.split("?")[0].endswith("/churn-dev"):
            return 403, {"error": {"code": "AuthorizationFailed", "message": "no read"}}, {}
        return answer(method, url, body)

    monkeypatch.setattr(world.azure, "answer", refuse)
    before = json.dumps(world.endpoint)
    said = world.up("fourth", ok=False)
    assert "AuthorizationFailed" in said
    assert "is not touched" in said
    assert world.puts == []
    assert json.dumps(world.endpoint) == before
