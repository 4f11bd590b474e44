"""Event Grid: the real publisher, a real webhook, and what happens when the webhook is not well."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential, AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient, generate_sas
from hypothesis import given
from hypothesis import strategies as st

from sandbox.arm.model import Change
from sandbox.arm.state import ArmState
from sandbox.eventgrid import filters
from sandbox.eventgrid.app import create
from sandbox.eventgrid.state import EventGridState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.settings import new_settings
from sandbox.kernel.tls import tls_files
from sandbox.storage.state import StorageState
from tests.sandbox.inprocess import TokenCredential, served

KEY = "ZXZlbnQgZ3JpZCBrZXk="
#: A policy minute lasts 50 ms here, so that retries need no patience.
SCALE = 1200.0


class Webhook:
    """A subscriber on this machine. `answers` are used up one by one, then it is 200."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], Any]] = []
        self.validations = 0
        self.answers: list[int] = []
        self.agrees = True
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if self.headers.get("aeg-event-type") == "SubscriptionValidation":
                    webhook.validations += 1
                    code = body[0]["data"]["validationCode"] if webhook.agrees else "no"
                    return self.reply(200, {"validationResponse": code})
                webhook.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
                return self.reply(webhook.answers.pop(0) if webhook.answers else 200, {})

            def do_OPTIONS(self) -> None:
                webhook.validations += 1
                self.reply(200, {}, {"WebHook-Allowed-Origin": self.headers["WebHook-Request-Origin"]})

            def reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(content)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nothing on the console."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook?code=secret"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def build(home: Path, settings: Any = None) -> Sandbox:
    context = open_sandbox(home, settings or new_settings(now=time.time(), clock_scale=SCALE))
    context.states["arm"] = ArmState(context)
    context.states["storage"] = StorageState(context)
    context.states["eventgrid"] = EventGridState(context)
    return context


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    context = build(tmp_path / "home")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls_files(context.home).ca))
    with served(context, {"eventgrid": create(context)}):
        yield context
    context.store.close()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.close()


def group(sandbox: Sandbox) -> str:
    return f"/subscriptions/{sandbox.settings.subscription_id}/resourceGroups/rg/providers"


def add_topic(sandbox: Sandbox, name: str = "rollouts", **properties: Any) -> str:
    arm: ArmState = sandbox.states["arm"]
    topic = arm.new(f"{group(sandbox)}/Microsoft.EventGrid/topics/{name}", location="eastus", properties=properties)
    topic.private = {"keys": {"key1": KEY, "key2": "b3RoZXI="}}
    return arm.put(topic).id


def subscribe(sandbox: Sandbox, scope: str, url: str, name: str = "watcher", **properties: Any) -> str:
    arm: ArmState = sandbox.states["arm"]
    destination = {"endpointType": "WebHook", "properties": {"endpointUrl": url}}
    return arm.put(
        arm.new(f"{scope}/eventSubscriptions/{name}", properties={"destination": destination, **properties})
    ).id


def publisher(sandbox: Sandbox, topic: str = "rollouts", credential: Any = None) -> EventGridPublisherClient:
    url = f"{sandbox.settings.url('eventgrid')}/{topic}/api/events"
    return EventGridPublisherClient(url, credential or AzureKeyCredential(KEY), retry_total=0)


def event(subject: str = "endpoints/churn", kind: str = "Rollout.Shifted", **data: Any) -> EventGridEvent:
    return EventGridEvent(subject=subject, event_type=kind, data=data, data_version="1.0")


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return result


def test_an_event_reaches_the_webhook_once_it_has_agreed(sandbox: Sandbox, hook: Webhook) -> None:
    topic = add_topic(sandbox)
    mapping = {"name": "x-tenant", "type": "Static", "properties": {"value": "blue"}}
    destination = {
        "endpointType": "WebHook",
        "properties": {"endpointUrl": hook.url, "deliveryAttributeMappings": [mapping]},
    }
    subscribe(sandbox, topic, hook.url, destination=destination)
    publisher(sandbox).send([event(weight=10)])
    headers, body = until(lambda: hook.received)[0]
    assert hook.validations == 1
    assert (headers["aeg-event-type"], headers["aeg-subscription-name"], headers["aeg-delivery-count"]) == (
        "Notification",
        "WATCHER",
        "0",
    )
    assert headers["x-tenant"] == "blue"
    assert (body[0]["topic"], body[0]["data"], body[0]["eventType"]) == (topic, {"weight": 10}, "Rollout.Shifted")
    state: EventGridState = sandbox.states["eventgrid"]
    until(lambda: not state.pending())
    assert [entry["outcome"] for entry in state.history()] == ["Delivered"]


def test_each_kind_of_credential_and_no_other(sandbox: Sandbox) -> None:
    add_topic(sandbox)
    url = f"{sandbox.settings.url('eventgrid')}/rollouts/api/events"
    good = generate_sas(url, KEY, datetime.now(UTC) + timedelta(hours=1))
    for credential in (AzureKeyCredential("b3RoZXI="), AzureSasCredential(good), TokenCredential(sandbox)):
        publisher(sandbox, credential=credential).send(event())
    expired = generate_sas(url, KEY, datetime.now(UTC) - timedelta(hours=1))
    forged = generate_sas(url, "Zm9yZ2Vk", datetime.now(UTC) + timedelta(hours=1))
    for credential in (AzureKeyCredential("wrong"), AzureSasCredential(expired), AzureSasCredential(forged)):
        with pytest.raises(ClientAuthenticationError):
            publisher(sandbox, credential=credential).send(event())
    with pytest.raises(ResourceNotFoundError):
        publisher(sandbox, "nobody").send(event())


def test_events_that_lack_something_are_refused_wholly(sandbox: Sandbox, hook: Webhook) -> None:
    subscribe(sandbox, add_topic(sandbox), hook.url)
    bad = {"id": "1", "subject": "s", "eventType": "t", "eventTime": "2026-01-01T00:00:00Z"}
    with pytest.raises(HttpResponseError, match="event 1 lacks dataVersion") as error:
        publisher(sandbox).send([{**bad, "dataVersion": "1"}, bad])
    assert error.value.status_code == 400
    assert not sandbox.states["eventgrid"].pending()
    assert not hook.received


def test_cloud_events_come_as_cloud_events(sandbox: Sandbox, hook: Webhook) -> None:
    topic = add_topic(sandbox, "clouds", inputSchema="CloudEventSchemaV1_0")
    subscribe(sandbox, topic, hook.url, eventDeliverySchema="CloudEventSchemaV1_0")
    publisher(sandbox, "clouds").send(CloudEvent(source="/rollouts", type="Rollout.Done", data={"ok": True}))
    headers, body = until(lambda: hook.received)[0]
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert (body["specversion"], body["source"], body["data"]) == ("1.0", "/rollouts", {"ok": True})


def test_subscribers_get_what_they_filter_for(sandbox: Sandbox, hook: Webhook) -> None:
    wanted = {
        "includedEventTypes": ["Rollout.RolledBack"],
        "subjectBeginsWith": "endpoints/",
        "advancedFilters": [{"operatorType": "NumberGreaterThan", "key": "data.exposed", "value": 5}],
    }
    subscribe(sandbox, add_topic(sandbox), hook.url, filter=wanted)
    publisher(sandbox).send(
        [
            event(kind="Rollout.RolledBack", exposed=9),
            event(kind="Rollout.RolledBack", exposed=5),
            event(kind="Rollout.Shifted", exposed=9),
            event("jobs/1", kind="Rollout.RolledBack", exposed=9),
        ]
    )
    until(lambda: hook.received and not sandbox.states["eventgrid"].pending())
    assert [body[0]["data"]["exposed"] for _, body in hook.received] == [9]


def test_a_webhook_that_is_down_is_called_again_as_azure_would(sandbox: Sandbox, hook: Webhook) -> None:
    hook.answers = [500, 503]
    subscribe(sandbox, add_topic(sandbox), hook.url)
    started = time.monotonic()
    publisher(sandbox).send(event())
    until(lambda: len(hook.received) == 3)
    waited = (time.monotonic() - started) * SCALE
    assert waited >= 10 + 30
    assert [headers["aeg-delivery-count"] for headers, _ in hook.received] == ["0", "1", "2"]
    until(lambda: not sandbox.states["eventgrid"].pending())


def test_what_cannot_be_delivered_ends_in_the_dead_letter_container(sandbox: Sandbox, hook: Webhook) -> None:
    account = f"{group(sandbox)}/Microsoft.Storage/storageAccounts/letters"
    dead = {"endpointType": "StorageBlob", "properties": {"resourceId": account, "blobContainerName": "dead"}}
    topic = add_topic(sandbox)
    policy = {"maxDeliveryAttempts": 2, "eventTimeToLiveInMinutes": 1440}
    subscribe(sandbox, topic, hook.url, "busy", deadLetterDestination=dead, retryPolicy=policy)
    hook.answers = [500, 500]
    publisher(sandbox).send(event(step=1))
    state: EventGridState = sandbox.states["eventgrid"]
    storage: StorageState = sandbox.states["storage"]
    until(lambda: state.history())
    (name,) = storage.list("letters", "dead")
    assert name.startswith("ROLLOUTS/BUSY/")
    (letter,) = json.loads(storage.get("letters", "dead", name))
    assert (letter["deadLetterReason"], letter["deliveryAttempts"]) == ("MaxDeliveryAttemptsExceeded", 2)
    assert letter["data"] == {"step": 1}
    hook.answers = [400]
    publisher(sandbox).send(event(step=2))
    until(lambda: len(state.history()) == 2)
    assert state.history()[1]["outcome"] == "DeadLettered:BadRequest"
    assert len(hook.received) == 3


def test_nobody_outside_this_machine_is_called(sandbox: Sandbox) -> None:
    topic = add_topic(sandbox)
    subscribe(sandbox, topic, "https://hooks.example.com/x", "outside")
    subscribe(sandbox, topic, "", "queue", destination={"endpointType": "StorageQueue", "properties": {}})
    publisher(sandbox).send(event())
    state: EventGridState = sandbox.states["eventgrid"]
    until(lambda: len(state.history()) == 2)
    assert {entry["outcome"] for entry in state.history()} == {"Undeliverable"}
    assert {entry["attempts"] for entry in state.history()} == {0}


def test_events_of_a_resource_reach_system_topics_and_extensions(sandbox: Sandbox, hook: Webhook) -> None:
    arm: ArmState = sandbox.states["arm"]
    workspace = f"{group(sandbox)}/Microsoft.MachineLearningServices/workspaces/ws"
    properties = {"source": workspace, "topicType": "Microsoft.MachineLearningServices.Workspaces"}
    system = arm.put(arm.new(f"{group(sandbox)}/Microsoft.EventGrid/systemTopics/ml", properties=properties)).id
    subscribe(sandbox, system, hook.url, "on-topic")
    subscribe(sandbox, f"{workspace}/providers/Microsoft.EventGrid", hook.url, "on-resource")
    subscribe(sandbox, f"{workspace}2/providers/Microsoft.EventGrid", hook.url, "elsewhere")
    state: EventGridState = sandbox.states["eventgrid"]
    registered = {
        "eventType": "Microsoft.MachineLearningServices.ModelRegistered",
        "subject": "models/churn:7",
        "data": {"modelName": "churn"},
    }
    assert state.publish(workspace, [registered]) == 2
    until(lambda: len(hook.received) == 2)
    assert {headers["aeg-subscription-name"] for headers, _ in hook.received} == {"ON-TOPIC", "ON-RESOURCE"}
    assert all(body[0]["topic"] == workspace and body[0]["id"] for _, body in hook.received)


def test_a_subscription_is_refused_when_its_webhook_does_not_agree(sandbox: Sandbox, hook: Webhook) -> None:
    topic = add_topic(sandbox)
    arm: ArmState = sandbox.states["arm"]
    resource = arm.get(subscribe(sandbox, topic, hook.url))
    assert resource is not None
    kind = arm.type("Microsoft.EventGrid/topics/eventSubscriptions")
    assert kind is not None
    assert kind.after_put is not None
    state: EventGridState = sandbox.states["eventgrid"]

    def put() -> None:
        change = Change(arm=arm, resource=resource, before=None, caller=sandbox.owner)
        assert state._loop is not None
        asyncio.run_coroutine_threadsafe(kind.after_put(change), state._loop).result(10)  # type: ignore[arg-type, misc]

    hook.agrees = False
    with pytest.raises(AzureError, match="validation handshake failed"):
        put()
    hook.agrees = True
    put()
    assert hook.validations == 2
    resource.properties["filter"] = {
        "advancedFilters": [{"operatorType": "Sounds Like", "key": "subject", "values": ["x"]}]
    }
    with pytest.raises(AzureError, match="Sounds Like") as error:
        put()
    assert error.value.status == 501


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path, hook: Webhook) -> None:
    first = build(tmp_path / "home")
    topic = add_topic(first)
    subscribe(first, topic, hook.url)
    first.states["eventgrid"].publish(topic, [{"eventType": "Rollout.Shifted", "subject": "s", "data": {"n": 1}}])
    first.store.close()
    assert not hook.received

    second = build(tmp_path / "home", first.settings)
    with served(second, {"eventgrid": create(second)}):
        until(lambda: hook.received)
    assert hook.received[0][1][0]["data"] == {"n": 1}
    second.states["eventgrid"].reset()
    assert not second.states["eventgrid"].history()
    second.store.close()


_VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["", "a", "ab", "B"]))


@given(
    value=_VALUES,
    wanted=st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1),
    kind=st.sampled_from(["In", "Contains", "BeginsWith", "EndsWith"]),
)
def test_a_not_filter_lets_through_exactly_what_its_counterpart_stops(value: Any, wanted: list[str], kind: str) -> None:
    made = {"data": {"x": value}, "eventType": "t", "subject": "s"}

    def passes(operator: str) -> bool:
        return filters.wants({"advancedFilters": [{"operatorType": operator, "key": "data.x", "values": wanted}]}, made)

    assert passes(f"String{kind}") != passes(f"StringNot{kind}")
    assert not passes(f"String{kind}") or isinstance(value, str)
