"""Azure's rules for endpoints and deployments, in process: what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError
from sandbox.ml.serving import rules
from sandbox.ml.serving.spec import Limits, Probe, seconds_of


def deployments(**states: str) -> dict[str, Resource]:
    return {name: Resource(name, name, "d", properties={"provisioningState": state}) for name, state in states.items()}


BOTH = deployments(blue="Succeeded", green="Succeeded")


def traffic(
    wanted: dict[str, int],
    mirror: dict[str, int] | None = None,
    before: dict[str, int] | None = None,
    there: Any = BOTH,
) -> None:
    was = {"traffic": before or {}, "mirrorTraffic": {}}
    rules.check_traffic({"traffic": wanted, "mirrorTraffic": mirror or {}}, was, there)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(AzureError) as caught:
        call()
    assert 400 <= caught.value.status < 600
    return caught.value.message


@given(blue=st.integers(0, 100), green=st.integers(0, 100))
def test_traffic_adds_up_to_0_or_100(blue: int, green: int) -> None:
    wanted = rules.weights({"blue": blue, "green": green}, "traffic")
    assert 0 not in wanted.values()
    if blue + green in (0, 100):
        traffic(wanted)
    else:
        assert f"The sum of the traffic is {blue + green}" in refusal(lambda: traffic(wanted))


def test_a_deployment_that_failed_keeps_or_loses_traffic_but_gets_none() -> None:
    there = deployments(blue="Failed", green="Succeeded")
    traffic({"blue": 100}, before={"blue": 100}, there=there)
    traffic({"blue": 50, "green": 50}, before={"blue": 100}, there=there)
    assert "'blue' is Failed" in refusal(
        lambda: traffic({"blue": 60, "green": 40}, before={"blue": 50, "green": 50}, there=there)
    )


def test_traffic_goes_only_to_deployments_that_exist() -> None:
    assert "'red' does not exist" in refusal(lambda: traffic({"red": 100}))
    assert "'red' does not exist" in refusal(lambda: traffic({"blue": 100}, {"red": 10}))


def test_mirror_traffic_goes_to_one_idle_deployment_at_most_half() -> None:
    traffic({"blue": 100}, {"green": 50})
    assert "at most 50 percent" in refusal(lambda: traffic({"blue": 100}, {"green": 51}))
    assert "at once" in refusal(lambda: traffic({"blue": 90, "green": 10}, {"green": 10}))
    assert "one deployment only" in refusal(lambda: traffic({}, {"blue": 10, "green": 10}))


@pytest.mark.parametrize("weight", [-1, 101, 12.5, "50", True, None])
def test_a_weight_is_a_whole_percent(weight: Any) -> None:
    assert "must be a whole number, 0 to 100" in refusal(lambda: rules.weights({"blue": weight}, "traffic"))


@pytest.mark.parametrize("name", ["ab", "1blue", "-blue", "blue-", "bl_ue", "b" * 33, "blü"])
def test_names_that_azure_refuses(name: str) -> None:
    assert "3 to 32 letters" in refusal(lambda: rules.check_name("endpoint", name))


def test_names_that_azure_takes() -> None:
    for name in ("abc", "Blue-2", "b" * 32):
        rules.check_name("endpoint", name)


@pytest.mark.parametrize("state", ["Creating", "Updating", "Deleting"])
def test_what_is_being_worked_on_answers_409(state: str) -> None:
    with pytest.raises(AzureError) as caught:
        rules.check_idle(deployments(blue=state)["blue"], "deployment")
    assert (caught.value.status, caught.value.code) == (409, "Conflict")


def test_the_twenty_first_deployment_is_refused_and_an_update_of_the_twentieth_is_not() -> None:
    there = deployments(**{f"d{number}": "Succeeded" for number in range(20)})
    rules.check_room(there, "d19", "churn")
    assert "the limit is 20" in refusal(lambda: rules.check_room(there, "d20", "churn"))


def test_a_deployment_with_traffic_or_mirror_traffic_is_not_deleted() -> None:
    endpoint = {"traffic": {"blue": 100}, "mirrorTraffic": {"green": 5}}
    assert "100 percent of the traffic" in refusal(lambda: rules.check_without_traffic("blue", endpoint))
    assert "5 percent of the mirror traffic" in refusal(lambda: rules.check_without_traffic("green", endpoint))
    rules.check_without_traffic("red", endpoint)


GOOD: dict[str, Any] = {
    "model": "azureml:m:1",
    "instanceType": "Standard_DS3_v2",
    "environmentId": "azureml:e:1",
    "codeConfiguration": {"codeId": "azureml:c:1", "scoringScript": "score.py"},
}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"instanceType": None}, "instanceType is missing"),
        ({"model": None, "codeConfiguration": None}, "needs properties.model"),
        ({"environmentId": None}, "needs an environment"),
        ({"codeConfiguration": {"codeId": "azureml:c:1"}}, "needs codeId and scoringScript"),
        ({"endpointComputeType": "Kubernetes"}, "deployments of this endpoint are Managed"),
        ({"scaleSettings": {"scaleType": "TargetUtilization"}}, "take only 'Default'"),
        ({"requestSettings": {"requestTimeout": "PT4M"}}, "must be 1 to 180 s"),
        ({"requestSettings": {"requestTimeout": "5"}}, "ISO 8601"),
        ({"requestSettings": {"maxConcurrentRequestsPerInstance": 0}}, "at least 1"),
        ({"livenessProbe": {"failureThreshold": 0}}, "livenessProbe.failureThreshold is 0"),
        ({"readinessProbe": {"period": "soon"}}, "readinessProbe.period is 'soon'"),
    ],
)
def test_deployments_that_can_not_work_are_refused_by_the_property_that_is_wrong(
    changed: dict[str, Any], words: str
) -> None:
    assert words in refusal(lambda: rules.deployment_properties(GOOD | changed))


def test_a_deployment_shows_azures_defaults() -> None:
    shown = rules.deployment_properties(GOOD | {"provisioningState": "Succeeded", "description": None})
    assert shown["requestSettings"] == {"maxConcurrentRequestsPerInstance": 1, "requestTimeout": "PT5S"}
    assert shown["scaleSettings"] == {"scaleType": "Default"}
    assert shown["livenessProbe"]["failureThreshold"] == 30
    assert "provisioningState" not in shown
    assert Limits.read(shown["requestSettings"]) == Limits(5.0, 1, None)
    assert Probe.read(shown["readinessProbe"], "p").patience == 310


@pytest.mark.parametrize("capacity", [0, -1, "2", 1.5, True])
def test_an_instance_count_is_a_whole_number(capacity: Any) -> None:
    assert "sku.capacity" in refusal(lambda: rules.instance_count({"capacity": capacity}))


@given(hours=st.integers(0, 5), minutes=st.integers(0, 90), seconds=st.integers(0, 900))
def test_durations_are_read_as_iso_8601(hours: int, minutes: int, seconds: int) -> None:
    assert seconds_of(f"PT{hours}H{minutes}M{seconds}S", "x") == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize(("text", "value"), [("PT5S", 5), ("PT0.5S", 0.5), ("P1D", 86400), ("P1DT1M", 86460)])
def test_durations_as_sdks_write_them(text: str, value: float) -> None:
    assert seconds_of(text, "x") == value
