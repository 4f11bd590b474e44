"""An update of the endpoint leaves live traffic as it is, or is not sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.serving import live_traffic
from components.serving.live_traffic import (
    ONLINE,
    Carrier,
    LiveTrafficUnknown,
    TrafficMoved,
    carry,
    is_absent,
    live_value,
    moved,
)

DECLARED: dict[str, Any] = {
    "location": "eastus",
    "identity": {"type": "SystemAssigned"},
    "tags": {"owner": "ml"},
    "properties": {"authMode": "Key", "description": "churn", "publicNetworkAccess": "Enabled"},
}
WEIGHTS = st.dictionaries(st.sampled_from(["blue", "green", "v3"]), st.integers(0, 100))


def weights(document: Any) -> dict[str, Any]:
    return live_value(document, "traffic")


def live(traffic: Mapping[str, float] | None = None, **changes: Any) -> dict[str, Any]:
    """The service's document, with what the service adds."""
    inner = {
        **DECLARED["properties"],
        "scoringUri": "https://x/score",
        "provisioningState": "Succeeded",
        "compute": None,
    }
    inner |= {"traffic": dict(traffic or {}), **changes.pop("properties", {})}
    return {**DECLARED, "location": "East US", "id": "/x", "systemData": {}, "properties": inner, **changes}


def test_a_new_endpoint_starts_without_traffic() -> None:
    carried = carry(None, DECLARED)
    assert "traffic" not in carried.properties
    assert not carried.ignored


def test_moved_traffic_alone_is_no_reason_for_an_update() -> None:
    assert carry(live({"blue": 90, "green": 10}), DECLARED).ignored


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": {"owner": "somebody else"}},
        {"tags": {"owner": "ml", "added-by": "policy"}},
        {"identity": {"type": "UserAssigned", "userAssignedIdentities": {"/id": {}}}},
        {"location": "West US"},
        {"properties": {"description": "older"}},
        {"properties": {"publicNetworkAccess": "Disabled"}},
        {"properties": {"authMode": "AADToken"}},
    ],
)
def test_any_other_difference_is_sent_with_the_live_weights(changes: dict[str, Any]) -> None:
    document = live({"blue": 90, "green": 10}, **changes)
    document["properties"]["mirrorTraffic"] = {"v3": 5}
    carried = carry(document, DECLARED)
    assert not carried.ignored
    assert carried.properties["traffic"] == {"blue": 90, "green": 10}
    assert carried.properties["mirrorTraffic"] == {"v3": 5}


@given(traffic=WEIGHTS, mirror=WEIGHTS, declared=WEIGHTS)
def test_whatever_is_declared_the_live_weights_are_what_is_sent(
    traffic: dict[str, int], mirror: dict[str, int], declared: dict[str, int]
) -> None:
    document = live(traffic, properties={"mirrorTraffic": mirror})
    sent = carry(document, {**DECLARED, "properties": {**DECLARED["properties"], "traffic": declared}})
    about_to_send = {"properties": sent.properties}
    assert weights(about_to_send) == {name: percent for name, percent in traffic.items() if percent}
    assert moved(document, about_to_send) == ""


@given(then=WEIGHTS, now=WEIGHTS)
def test_the_guard_stops_exactly_the_updates_that_would_move_traffic(then: dict[str, int], now: dict[str, int]) -> None:
    stopped = moved(live(now), {"properties": {"traffic": then}})
    assert bool(stopped) == (weights(live(now)) != weights(live(then)))


AZURE_404 = (
    'request failed /subscriptions/x/onlineEndpoints/churn: Status=404 Code="ResourceNotFound" Message="not found"',
    "GET https://management.azure.com/x\n-----\nRESPONSE 404: 404 Not Found\nERROR CODE: ParentResourceNotFound\n-----",
    'StatusCode=404, Code="ResourceGroupNotFound"',
    'Status=404 Code="UserError" Message="Could not find the online endpoint"',
)
NOT_ABSENT = (
    'Status=403 Code="AuthorizationFailed" Message="404 reasons"',
    'Status=404 Code="SubscriptionNotFound"',
    'Status=404 Code="InvalidResourceType"',
    'Status=500 Code="InternalServerError" Message="Code=ResourceNotFound"',
    'Status=400 Code="UserError"',
    "Status=404",
    "dial tcp: connection refused",
    "",
)


@pytest.mark.parametrize("message", AZURE_404)
def test_absent_is_recognised(message: str) -> None:
    assert is_absent(message)


@pytest.mark.parametrize("message", NOT_ABSENT)
def test_nothing_else_is_taken_for_absent(message: str) -> None:
    assert not is_absent(message)


Answer = Callable[[], dict[str, Any]]


@pytest.fixture
def carrier() -> Carrier:
    return Carrier("group", "workspace", "churn-dev", seconds=0.0)


def answering(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, Any] | str) -> list[Mapping[str, Any]]:
    """Pulumi's invoke gives these one after the other, the last for ever; text is an error."""
    asked: list[Mapping[str, Any]] = []

    async def invoke(token: str, args: Mapping[str, Any], options: pulumi.InvokeOptions) -> dict[str, Any]:
        assert token == live_traffic.TOKEN
        asked.append(args)
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, str):
            raise Exception(answer)  # noqa: TRY002 - what Pulumi raises
        return answer

    monkeypatch.setattr(pulumi.runtime, "invoke_async", invoke)
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    return asked


def transformed(carrier: Carrier) -> pulumi.ResourceTransformResult:
    args = pulumi.ResourceTransformArgs(True, "endpoint", "churn", DECLARED, pulumi.ResourceOptions(protect=True))
    return asyncio.run(carrier.transform(args))


def test_the_transform_ignores_traffic_when_nothing_else_differs(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, live({"blue": 100}))
    result = transformed(carrier)
    assert result.opts.ignore_changes == ONLINE.ignored
    assert result.opts.protect is True
    assert asked == [{"resourceGroupName": "group", "workspaceName": "workspace", "endpointName": "churn-dev"}]


def test_the_transform_carries_traffic_when_something_differs(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, live({"blue": 100}, tags={}))
    result = transformed(carrier)
    assert result.opts.ignore_changes is None
    assert result.props["properties"]["traffic"] == {"blue": 100}
    assert result.props["tags"] == {"owner": "ml"}


@pytest.mark.parametrize("message", NOT_ABSENT)
def test_an_endpoint_that_cannot_be_read_is_not_touched(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch, message: str
) -> None:
    answering(monkeypatch, message)
    with pytest.raises(LiveTrafficUnknown, match=r"churn-dev.*is not touched"):
        transformed(carrier)


def test_an_update_in_progress_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_traffic, "POLL_SECONDS", 0.01)
    busy = live({"blue": 90, "green": 10}, properties={"provisioningState": "Updating"})
    asked = answering(monkeypatch, busy, busy, live({"blue": 50, "green": 50}, tags={}))
    result = transformed(Carrier("group", "workspace", "churn-dev", seconds=5))
    assert len(asked) == 3
    assert result.props["properties"]["traffic"] == {"blue": 50, "green": 50}


def test_an_update_that_never_ends_is_given_up(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, live(properties={"provisioningState": "Updating"}))
    with pytest.raises(LiveTrafficUnknown, match="has been Updating"):
        transformed(carrier)


def hooked(carrier: Carrier, sent: dict[str, Any]) -> None:
    asyncio.run(carrier.guard(pulumi.ResourceHookArgs("urn", "id", "churn", "endpoint", new_inputs=sent)))


def test_the_hook_lets_an_update_with_the_live_weights_through(
    carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, live({"blue": 90, "green": 10}))
    hooked(carrier, {"properties": {"traffic": {"blue": 90.0, "green": 10.0}}})


def test_the_hook_stops_an_update_with_older_weights(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, live({"blue": 50, "green": 50}))
    with pytest.raises(TrafficMoved, match=r"nothing was sent.*pulumi refresh"):
        hooked(carrier, {"properties": {"traffic": {"blue": 90, "green": 10}}})
