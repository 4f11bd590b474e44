"""The Functions app's handlers: what each event leads to, once, and what happens when it can't be done."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from components.events import functions as component
from rollout.controller.messages import FAILED, PAGED, ROLLED_BACK
from rollout.errors import BadInput, Busy, RolloutError, Unavailable
from rollout.handlers import settings as names
from rollout.handlers.handle import handle
from rollout.handlers.plan import PLANS, SEVERITIES, Alert, Note, StartDelivery
from rollout.handlers.send import EVENT_ID, SIGNATURE, TIMESTAMP, Sender, sign
from rollout.handlers.settings import AppSettings
from rollout.handlers.tick import Driven, tick_all

ML = "Microsoft.MachineLearningServices"
KEY = "the signing key"
ENVIRON = {
    "ROLLOUT_DELIVERY": "webhook",
    "ROLLOUT_DELIVERY_URL": "https://cd.example.com/hook?code=s3cret",
    "ROLLOUT_ALERT_URL": "https://alerts.example.com/s3cret",
    "ROLLOUT_SIGNING_KEY": KEY,
}


def event(kind: str, subject: str = "models/churn:7", **data: Any) -> dict[str, Any]:
    return {"id": "e-1", "eventType": kind, "subject": subject, "eventTime": "2026-11-21T09:00:00Z", "data": data}


MODEL = event(f"{ML}.ModelRegistered", ModelName="churn", ModelVersion="7", ModelTags={"stage": "dev"})
ROLLOUT = event(
    ROLLED_BACK, "endpoints/churn-dev/rollouts/r1", id="r1-9", endpoint="churn-dev", model="churn:7", phase="rolled_back",
    rollout="r1", reason="errors 12 %", weights={"blue": 100},
)  # fmt: skip
JOB = event(
    f"{ML}.RunCompleted", "experiments/x/runs/j1", runId="j1", experimentName="train", runType="azureml.PipelineRun"
)


class MemoryLedger:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], str] = {}

    def claim(self, handler: str, event_id: str) -> bool:
        found = self.states.get((handler, event_id))
        if found == "claimed":
            raise Busy("it is being handled")
        self.states.setdefault((handler, event_id), "claimed")
        return found is None

    def done(self, handler: str, event_id: str) -> None:
        self.states[handler, event_id] = "done"

    def release(self, handler: str, event_id: str) -> None:
        del self.states[handler, event_id]


class Wire(HTTPAdapter):
    """The network: what was asked is kept, `answers` are used up one by one, then it is 202."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.answers: list[int | Exception] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent.append(request)
        answer = self.answers.pop(0) if self.answers else 202
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, response.request, response.url = answer, request, str(request.url)
        response._content = b""
        return response


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    made = Wire()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda self, url: made)
    return made


def sender(**changes: str) -> Sender:
    return Sender(AppSettings({**ENVIRON, **changes}), now=lambda: 1_800_000_000.0)


def run(name: str, document: Mapping[str, object], ledger: MemoryLedger | None = None, **changes: str) -> bool:
    return handle(name, document, ledger or MemoryLedger(), sender(**changes))


# Plans


def test_a_registered_model_starts_delivery() -> None:
    action = PLANS["model_registered"](_event(MODEL))
    assert action == StartDelivery("churn", "7", {"stage": "dev"})


@pytest.mark.parametrize(("kind", "severity"), [(FAILED, 1), (PAGED, 1), (ROLLED_BACK, 2)])
def test_a_rollout_that_went_wrong_alerts(kind: str, severity: int) -> None:
    action = PLANS["deployment_failed"](_event({**ROLLOUT, "eventType": kind}))
    assert isinstance(action, Alert)
    assert (action.severity, action.title) == (severity, f"{kind.removeprefix('Rollouts.')}: churn:7 on churn-dev")
    assert action.details["reason"] == "errors 12 %"


def test_a_failed_job_alerts_too() -> None:
    action = PLANS["deployment_failed"](_event(event(f"{ML}.RunStatusChanged", "x", runId="j9", runStatus="Failed")))
    assert action == Alert(2, "job j9 is Failed", {"run": "j9", "status": "Failed", "subject": "x"})


def test_a_completed_job_is_a_line_for_the_dashboard() -> None:
    action = PLANS["job_completed"](_event(JOB))
    assert isinstance(action, Note)
    assert action.values == {
        "run": "j1",
        "time": JOB["eventTime"],
        "experiment": "train",
        "kind": "azureml.PipelineRun",
    }


def test_every_alert_is_an_event_that_rollouts_or_azure_ml_send() -> None:
    from rollout.controller import messages

    known = {value for value in vars(messages).values() if isinstance(value, str) and value.startswith("Rollouts.")}
    assert {kind for kind in SEVERITIES if kind.startswith("Rollouts.")} <= known


@pytest.mark.parametrize(
    ("name", "document", "said"),
    [
        ("model_registered", {**MODEL, "data": {"ModelName": "churn"}}, "no data.ModelVersion"),
        (
            "model_registered",
            {**MODEL, "data": {"ModelName": " ", "ModelVersion": "7"}},
            "data.ModelName is not a text",
        ),
        ("model_registered", {**MODEL, "data": ["x"]}, "no data object"),
        ("model_registered", {**MODEL, "id": ""}, "the event's id"),
        ("model_registered", {**MODEL, "eventTime": None}, "the event's eventTime"),
        ("model_registered", JOB, "takes Microsoft.MachineLearningServices.ModelRegistered"),
        ("deployment_failed", {**ROLLOUT, "data": {}}, "no data.endpoint"),
        ("job_completed", {**JOB, "data": {"runId": {"a": 1}}}, "data.runId is not a text"),
    ],
)
def test_a_malformed_event_is_refused_and_not_claimed(
    name: str, document: dict[str, Any], said: str, wire: Wire
) -> None:
    ledger = MemoryLedger()
    with pytest.raises(BadInput, match=said):
        run(name, document, ledger)
    assert not ledger.states
    assert not wire.sent


# Sending


def test_the_webhook_gets_a_signed_call(wire: Wire) -> None:
    assert run("model_registered", MODEL)
    (request,) = wire.sent
    body = request.body
    assert isinstance(body, bytes)
    assert json.loads(body) == {
        "event": "model-registered", "time": MODEL["eventTime"], "event_id": "e-1", "model": "churn", "version": "7",
        "tags": {"stage": "dev"},
    }  # fmt: skip
    assert (request.headers[EVENT_ID], request.headers[TIMESTAMP]) == ("e-1", "1800000000")
    expected = hmac.new(KEY.encode(), b"1800000000." + body, hashlib.sha256).hexdigest()
    assert request.headers[SIGNATURE] == f"sha256={expected}"
    assert sign(KEY, "1800000001", body) != request.headers[SIGNATURE], "another time, another signature"


def test_github_gets_a_repository_dispatch(wire: Wire) -> None:
    assert run(
        "model_registered",
        MODEL,
        ROLLOUT_DELIVERY="github",
        ROLLOUT_GITHUB_REPOSITORY="o/r",
        ROLLOUT_GITHUB_TOKEN="t0ken",
    )
    (request,) = wire.sent
    assert request.url == "https://api.github.com/repos/o/r/dispatches"
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert json.loads(request.body or b"")["client_payload"]["version"] == "7"


def test_a_note_goes_to_the_traces_and_to_nobody_else(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="rollout.handlers"):
        assert run("job_completed", JOB)
    line = next(each.getMessage() for each in caplog.records if each.getMessage().startswith("job-completed "))
    assert json.loads(line.removeprefix("job-completed "))["run"] == "j1"
    assert not wire.sent


@pytest.mark.parametrize(
    "answer", [500, 503, 429, 302, requests.ConnectionError("https://cd.example.com/hook?code=s3cret")]
)
def test_what_may_get_better_is_raised_without_the_address_and_tried_again(
    answer: int | Exception, wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = MemoryLedger()
    wire.answers = [answer]
    with caplog.at_level(logging.DEBUG), pytest.raises(Unavailable) as caught:
        run("model_registered", MODEL, ledger)
    assert "s3cret" not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None, "the cause would show the address"
    assert run("model_registered", MODEL, ledger), "the next delivery does it"
    assert len(wire.sent) == 2


def test_a_wrong_secret_is_told_as_such(wire: Wire) -> None:
    wire.answers = [401]
    with pytest.raises(RolloutError, match="refused with 401") as caught:
        run("deployment_failed", ROLLOUT)
    assert "key vault" in caught.value.way_out


# Once


def test_a_second_delivery_of_an_event_changes_nothing(wire: Wire) -> None:
    ledger = MemoryLedger()
    assert run("model_registered", MODEL, ledger)
    assert not run("model_registered", MODEL, ledger)
    assert len(wire.sent) == 1
    assert run("model_registered", {**MODEL, "id": "e-2"}, ledger), "another event is another matter"


def test_while_one_delivery_works_the_other_is_told_to_come_back(wire: Wire) -> None:
    ledger = MemoryLedger()
    ledger.claim("model_registered", "e-1")
    with pytest.raises(Busy):
        run("model_registered", MODEL, ledger)
    assert not wire.sent


# Settings


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "the app setting ROLLOUT_SIGNING_KEY is missing"),
        ("@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/functions-signing-key)", "was not resolved"),
        (names.NOT_SET, "has no value yet"),
    ],
)
def test_a_secret_that_is_not_there_names_its_place(value: str, said: str, wire: Wire) -> None:
    ledger = MemoryLedger()
    with pytest.raises(BadInput, match=said):
        run("deployment_failed", ROLLOUT, ledger, ROLLOUT_SIGNING_KEY=value)
    assert not wire.sent
    assert not ledger.states, "the next delivery may find it"


def test_addresses_have_to_be_https(wire: Wire) -> None:
    with pytest.raises(BadInput, match="ROLLOUT_ALERT_URL is not an https address"):
        run("deployment_failed", ROLLOUT, ROLLOUT_ALERT_URL="http://alerts.example.com/s3cret")
    with pytest.raises(BadInput, match="allowed: github, webhook, none"):
        run("model_registered", MODEL, ROLLOUT_DELIVERY="pigeon")
    with pytest.raises(BadInput, match="nobody is told of churn:7"):
        run("model_registered", MODEL, ROLLOUT_DELIVERY="none")
    assert not wire.sent


def test_the_program_writes_what_the_handlers_read() -> None:
    assert dict(component.SECRETS) == dict(names.SECRETS)
    assert component.NOT_SET == names.NOT_SET


def test_the_app_has_a_function_for_each_handler() -> None:
    from sandbox.functions.host import load

    handlers = load(Path(__file__).parents[2] / "functions")
    assert {name for name, each in handlers.items() if each.kind == "eventGridTrigger"} == set(PLANS)


# The timer


class Broken(Driven):
    def __init__(self) -> None:
        super().__init__("broken", lambda: None, lambda: None)  # type: ignore[arg-type, return-value]

    def tick(self) -> bool:
        raise Unavailable("no storage")


class Going(Broken):
    ticks = 0

    def tick(self) -> bool:
        Going.ticks += 1
        return True


def test_one_rollout_that_fails_does_not_stop_the_others() -> None:
    Going.ticks = 0
    with pytest.raises(RolloutError, match="the tick of broken failed"):
        tick_all([Broken(), Going()])
    assert Going.ticks == 1
    assert tick_all([Going()]) == 1


def _event(document: Mapping[str, Any]) -> Any:
    from rollout.handlers.handle import event_from

    return event_from(document)
