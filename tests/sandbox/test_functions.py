"""The Functions app on the sandbox, by the plain Pulumi CLI: events of a real workspace reach real handlers, and a receiver.

One stack for all tests of the module, on a sandbox whose policy hour lasts 6 seconds: retries need no patience.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from azure.core.credentials import AccessToken
from azure.eventgrid import EventGridEvent, EventGridPublisherClient
from azure.storage.blob import BlobServiceClient

from contract import StackOutputs
from rollout.handlers.send import EVENT_ID, SIGNATURE, TIMESTAMP, sign
from sandbox import lifecycle
from sandbox.kernel.tls import server_context, tls_files
from tests.sandbox.conftest import RunningSandbox, running
from tests.sandbox.engine import Engine, copy_project
from tools.functions_package import build

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

SCALE = 600.0
KEY = "the signing key"
_WEB, _VAULT, _INSIGHTS = "2025-05-01", "2024-11-01", "2020-02-02"


class Receiver:
    """A subscriber over TLS. `answers` are used up one by one, then it is 202."""

    def __init__(self, home: Path) -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on the console."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context: ssl.SSLContext = server_context(tls_files(home))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.server_address[1]}"

    def calls(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, body) for at, headers, body in self.received if at.startswith(path)]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@dataclass
class Platform:
    """A dev stack whose Functions app runs."""

    sandbox: RunningSandbox
    engine: Engine
    receiver: Receiver
    outputs: StackOutputs
    first_up: str

    def arm(self, method: str, path: str, version: str, body: Any = None) -> Any:
        url = f"{self.sandbox.settings.url('arm')}{path}"
        answer = self.sandbox.session().request(method, url, params={"api-version": version}, json=body, timeout=90)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def blobs(self, url: str) -> BlobServiceClient:
        return BlobServiceClient(url, credential=Token(self.sandbox))

    def publish(self, kind: str, event_id: str, **data: Any) -> None:
        topic = self.outputs.events.topic_endpoint
        client = EventGridPublisherClient(topic, Token(self.sandbox))  # type: ignore[arg-type]
        subject = f"endpoints/{data.get('endpoint')}/rollouts/r1"
        client.send(EventGridEvent(subject=subject, event_type=kind, data=data, data_version="1.0", id=event_id))


class Token:
    """The owner's tokens for the SDKs, whatever this process' environment says."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(self._sandbox.token(scopes[0].removesuffix("/.default")), int(time.time()) + 3000)


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def change(engine: Engine, **functions: Any) -> None:
    """The dev stack file with other settings of the Functions app; three attempts for failed rollouts."""
    file = engine.project / "Pulumi.dev.yaml"
    values = yaml.safe_load(file.read_text())
    values["config"]["azureml-rollouts:functions"] = {"enabled": True, "delivery": "webhook", **functions}
    # no timers: an hour lasts six seconds here
    values["config"]["azureml-rollouts:offHours"]["parkIdleMinutes"] = 0
    values["config"]["azureml-rollouts:events"]["subscriptions"]["deployment-failed"]["maxAttempts"] = 3
    file.write_text(yaml.safe_dump(values))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("functions") / "home"
    lifecycle.up(home, lifecycle.Options(time_scale=SCALE, metrics_lag_seconds=0.0))
    sandbox = running(home)
    patch = pytest.MonkeyPatch()
    sandbox.use(patch)
    receiver = Receiver(home)
    engine = Engine(copy_project(tmp_path_factory.mktemp("stack") / "project"), sandbox.env)
    try:
        change(engine)
        first = engine.up("dev")
        made = Platform(sandbox, engine, receiver, StackOutputs.model_validate(engine.outputs("dev")["rollout"]), first)
        put_secrets(made)
        deploy(made, tmp_path_factory.mktemp("package") / "functions.zip")
        change(engine, deployed=True)
        engine.up("dev")
        yield made
    finally:
        receiver.close()
        patch.undo()
        lifecycle.down(home)


def put_secrets(platform: Platform) -> None:
    """As `az keyvault secret set` does."""
    functions = platform.outputs.functions
    assert functions is not None
    values = {
        "functions-delivery-url": f"{platform.receiver.url}/cd?code=s3cret",
        "functions-alert-url": f"{platform.receiver.url}/alert",
        "functions-signing-key": KEY,
    }
    assert set(values) == set(functions.secret_names)
    group = f"/subscriptions/{platform.outputs.subscription_id}/resourceGroups/{platform.outputs.resource_group}"
    for name, value in values.items():
        path = f"{group}/providers/Microsoft.KeyVault/vaults/{functions.vault_name}/secrets/{name}"
        platform.arm("PUT", path, _VAULT, {"properties": {"value": value}})


def deploy(platform: Platform, package: Path) -> None:
    """Build the package, put it into the app's storage, and have the site take it from there."""
    functions = platform.outputs.functions
    assert functions is not None
    build(package)
    account, container = functions.packages_url.rsplit("/", 1)
    blob = platform.blobs(account).get_blob_client(container, "functions.zip")
    blob.upload_blob(package.read_bytes())
    path = f"{functions.app_id}/extensions/onedeploy"
    platform.arm("PUT", path, _WEB, {"properties": {"packageUri": blob.url, "type": "zip"}})
    until(
        lambda: platform.arm("GET", path, _WEB)["properties"]["provisioningState"]
        not in ("Creating", "Accepted", "Running"),
        90,
    )
    assert platform.arm("GET", path, _WEB)["properties"]["provisioningState"] == "Succeeded"


def test_until_the_code_is_there_events_wait_in_queues(platform: Platform) -> None:
    before, after = platform.outputs, StackOutputs.model_validate(platform.engine.outputs("dev")["rollout"])
    handled = {"model-registered", "deployment-failed", "job-completed"}
    assert {before.events.destinations[name] for name in handled} == {"queue"}
    assert {after.events.destinations[name] for name in handled} == {"function"}
    assert after.events.destinations["person-needed"] == "queue"
    assert before.functions is not None
    found = platform.arm("GET", f"{before.functions.app_id}/functions", _WEB)["value"]
    assert {each["name"].rsplit("/", 1)[-1] for each in found} == {
        "model_registered",
        "deployment_failed",
        "job_completed",
    }


def test_the_stack_stays_as_it_is(platform: Platform) -> None:
    platform.engine.up("dev", "--expect-no-changes")
    platform.engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")
    state = json.dumps(platform.engine.resources("dev"))
    assert KEY not in state
    assert "s3cret" not in state, "no secret is in Pulumi's state"


def test_a_model_registered_in_the_workspace_starts_delivery_and_another_does_not(platform: Platform) -> None:
    register(platform, "barn")
    register(platform, "churn")
    headers, body = until(lambda: platform.receiver.calls("/cd"), 60)[0]
    said = json.loads(body)
    assert (said["model"], said["version"], said["event"]) == ("churn", "1", "model-registered")
    assert headers[SIGNATURE.lower()] == sign(KEY, headers[TIMESTAMP.lower()], body)
    assert headers[EVENT_ID.lower()] == said["event_id"]
    assert {json.loads(each)["model"] for _, each in platform.receiver.calls("/cd")} == {"churn"}


def register(platform: Platform, name: str) -> None:
    """A version in the registry that the workspace's MLflow address leads to, as a training job makes it."""
    import mlflow

    client = mlflow.MlflowClient(platform.outputs.workspace.mlflow_tracking_uri)
    client.create_registered_model(name)
    run = client.create_run(client.create_experiment(name))
    client.create_model_version(name, f"{run.info.artifact_uri}/model", run_id=run.info.run_id)


FAILED = {"endpoint": "churn-dev", "model": "churn:7", "rollout": "r1", "phase": "failed", "reason": "no capacity"}


def test_a_failed_rollout_alerts_once_however_often_it_is_told(platform: Platform) -> None:
    for _ in range(3):
        platform.publish("Rollouts.Failed", "r1-1", **FAILED)
    until(lambda: platform.receiver.calls("/alert"))
    until(lambda: len(handled(platform, "r1-1")) == 3)
    ((headers, body),) = platform.receiver.calls("/alert")
    assert json.loads(body)["severity"] == 1
    assert json.loads(body)["text"] == "Failed: churn:7 on churn-dev"
    assert headers[EVENT_ID.lower()] == "r1-1"


def handled(platform: Platform, event_id: str) -> list[Any]:
    """The app's requests that Application Insights has, of an event that it told of."""
    traces = query(platform, f"AppTraces | where Message contains '{event_id}' | where Message contains 'handled'")
    return [row for row in traces if row]


def query(platform: Platform, kql: str) -> list[Any]:
    logs = platform.sandbox.settings.url("logs")
    customer = platform.outputs.observability.log_analytics_customer_id
    session = platform.sandbox.session("https://api.loganalytics.io")
    answer = session.post(f"{logs}/v1/workspaces/{customer}/query", json={"query": kql}, timeout=20)
    assert answer.ok, answer.text
    return list(answer.json()["tables"][0]["rows"])


def test_a_receiver_that_fails_is_tried_again_and_in_the_end_the_event_is_kept(platform: Platform) -> None:
    before = len(platform.receiver.calls("/alert"))
    platform.receiver.answers = [503, 503, 503]
    platform.publish("Rollouts.Paged", "r2-1", **{**FAILED, "rollout": "r2"})
    container = platform.blobs(platform.outputs.storage.blob_endpoint).get_container_client(
        platform.outputs.events.dead_letter_container
    )
    letters = until(lambda: [each.name for each in container.list_blobs() if "DEPLOYMENT-FAILED" in each.name], 60)
    (letter,) = json.loads(container.download_blob(letters[0]).readall())
    assert letter["id"] == "r2-1"
    assert letter["deadLetterReason"] == "MaxDeliveryAttemptsExceeded"
    assert letter["deliveryAttempts"] == 3
    assert len(platform.receiver.calls("/alert")) == before + 3


def test_one_that_recovers_gets_the_event(platform: Platform) -> None:
    before = len(platform.receiver.calls("/alert"))
    platform.receiver.answers = [500]
    platform.publish("Rollouts.RolledBack", "r3-1", **{**FAILED, "rollout": "r3"})
    until(lambda: len(platform.receiver.calls("/alert")) == before + 2, 60)
    assert json.loads(platform.receiver.calls("/alert")[-1][1])["severity"] == 2


def test_what_the_app_does_shows_in_application_insights(platform: Platform) -> None:
    rows = until(lambda: query(platform, "AppRequests | where Success == false | project Name, AppRoleName"), 20)
    assert platform.outputs.functions is not None
    assert list(rows[0]) == ["deployment_failed", platform.outputs.functions.app_name]
    text = json.dumps(query(platform, "AppTraces | project Message"))
    assert "s3cret" not in text
    assert KEY not in text


def test_an_app_that_died_is_started_by_the_next_change(platform: Platform) -> None:
    (host,) = hosts(platform)
    host.send_signal(signal.SIGKILL)
    until(lambda: not hosts(platform))
    change(platform.engine, deployed=True, maxInstances=50)
    platform.engine.up("dev")
    before = len(platform.receiver.calls("/alert"))
    platform.publish("Rollouts.Failed", "r4-1", **{**FAILED, "rollout": "r4"})
    until(lambda: len(platform.receiver.calls("/alert")) == before + 1, 60)


def hosts(platform: Platform) -> list[psutil.Process]:
    """The processes of Functions apps of this sandbox."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        own = "sandbox.functions.host" in words and str(platform.sandbox.home) in " ".join(words)
        if own and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_destroy_leaves_nothing_and_nobody(platform: Platform) -> None:
    assert hosts(platform)
    platform.engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
    until(lambda: not hosts(platform))
    group = f"/subscriptions/{platform.outputs.subscription_id}/resourceGroups/{platform.outputs.resource_group}"
    url = f"{platform.sandbox.settings.url('arm')}{group}"
    assert platform.sandbox.session().get(url, params={"api-version": "2024-03-01"}, timeout=10).status_code == 404
    assert os.environ.get("ROLLOUT_SIGNING_KEY") is None
