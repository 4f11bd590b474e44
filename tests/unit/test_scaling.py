"""How deployments scale: the document holds to Microsoft's model, and a kill between deployment and scaling loses nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from azure.mgmt.monitor.models import AutoscaleSettingResource

from contract.autoscaling import name_of
from contract.outputs import Deployment, Scale
from rollout.azure.scaling import settings_of
from rollout.azure.specs import fingerprint
from rollout.controller.codec import spec_from_json, spec_to_json
from rollout.controller.ports import DeploymentSpec, Scaling
from tests.components.arm_models import problems
from tests.unit.world import GREEN, FakeWorld, Killed, order

SCALING = Scaling(2, 6, 70, 200)
SPEC = DeploymentSpec("green", "churn:2", "Standard_DS3_v2", 3, 16, 5000, scale=SCALING)
ENDPOINT = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w/onlineEndpoints/shop"
)


def rules(scaling: Scaling) -> dict[tuple[str, str], float]:
    document = settings_of(ENDPOINT, "eastus", SPEC, scaling)
    (profile,) = document["properties"]["profiles"]
    return {
        (each["metricTrigger"]["metricName"], each["scaleAction"]["direction"]): each["metricTrigger"]["threshold"]
        for each in profile["rules"]
    }


def test_the_document_is_microsofts() -> None:
    document = settings_of(ENDPOINT, "eastus", SPEC, SCALING)
    assert list(problems(AutoscaleSettingResource, document)) == []
    assert document["properties"]["targetResourceUri"] == f"{ENDPOINT}/deployments/green"
    assert document["properties"]["name"] == name_of(ENDPOINT, "green") == "shop-green"


def test_out_when_one_is_high_in_when_all_are_low() -> None:
    assert rules(SCALING) == {
        ("CpuUtilizationPercentage", "Increase"): 70,
        ("CpuUtilizationPercentage", "Decrease"): 23,
        ("RequestLatency_P95", "Increase"): 200,
        ("RequestLatency_P95", "Decrease"): 67,
    }
    assert ("RequestLatency_P95", "Increase") not in rules(replace(SCALING, latency_ms=None))


def test_latency_is_this_deployments_own() -> None:
    (profile,) = settings_of(ENDPOINT, "eastus", SPEC, SCALING)["properties"]["profiles"]
    triggers = [each["metricTrigger"] for each in profile["rules"]]
    latency = [each for each in triggers if each["metricName"] == "RequestLatency_P95"]
    assert {each["metricResourceUri"] for each in latency} == {ENDPOINT}
    assert [each["dimensions"][0]["Values"] for each in latency] == [["green"], ["green"]]


@pytest.mark.parametrize(("count", "start"), [(1, "2"), (3, "3"), (9, "6")])
def test_it_starts_within_its_range(count: int, start: str) -> None:
    (profile,) = settings_of(ENDPOINT, "eastus", replace(SPEC, instance_count=count), SCALING)["properties"]["profiles"]
    assert profile["capacity"] == {"minimum": "2", "maximum": "6", "default": start}


def test_the_journal_keeps_it_and_reads_lines_from_before() -> None:
    assert spec_from_json(spec_to_json(SPEC)) == SPEC
    plain = replace(SPEC, scale=None)
    assert "scale" not in spec_to_json(plain), "an older rollout reads it too"
    assert spec_from_json(spec_to_json(plain)) == plain


def test_another_scaling_makes_no_other_deployment() -> None:
    assert fingerprint(SPEC) == fingerprint(replace(SPEC, scale=None))


@pytest.mark.parametrize("scales", [True, False])
def test_a_deployment_found_after_a_kill_is_made_again_only_to_scale(
    scales: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = FakeWorld()
    deploy = world.endpoints.deploy

    def die_before_it_scales(spec: DeploymentSpec) -> None:
        deploy(spec)
        monkeypatch.setattr(world.endpoints, "deploy", deploy)
        world.die()

    monkeypatch.setattr(world.endpoints, "deploy", die_before_it_scales)
    scale = Scale(min_instances=2, max_instances=4) if scales else None
    deployment = Deployment(instance_type="Standard_DS3_v2", instance_count=2, scale=scale)
    world.controller().start(replace(order(name=GREEN), deployment=deployment))
    with pytest.raises(Killed):
        world.controller().tick()
    world.revive()
    world.controller("bob").tick()
    assert world.endpoints.done[f"deploy {GREEN}"] == (2 if scales else 1)
    assert world.endpoints.done[f"probe {GREEN}"] == 1, "and it went on"
