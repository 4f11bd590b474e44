"""A shop that runs on the sandbox: provisioned by Pulumi, with a trained model as blue and customers that ask all the time."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from demo.clients import Clients, Request
from demo.stage import ENDPOINT, Ran, Stage
from rollout.cli.session import Session
from rollout.controller.records import Kind, Record
from rollout.controller.views import RolloutView
from rollout.errors import NotFound
from sandbox import lifecycle
from sandbox.admin.client import AdminClient
from sandbox.kernel.tls import tls_files

#: Policy minutes that a step is watched: two metric minutes are what the checks need at the clients' pace.
QUICK = ("--steps", "50,100", "--bake-minutes", "2")


class Webhook:
    """A subscriber on this machine that agrees to everything and keeps what it was sent."""

    def __init__(self, certificate: Path) -> None:
        self.events: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                events = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = {}
                if self.headers.get("aeg-event-type") == "SubscriptionValidation":
                    answer = {"validationResponse": events[0]["data"]["validationCode"]}
                else:
                    webhook.events.extend(events)
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nothing on the console."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_address[1]}/rollouts"

    def of(self, rollout: str) -> list[dict[str, Any]]:
        """The events about one rollout."""
        return [event for event in self.events if event["data"].get("rollout") == rollout]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Shop:
    """What the stories share. `outputs` is the file for `--outputs`: quicker than asking Pulumi each time."""

    stage: Stage
    clients: Clients
    webhook: Webhook
    session: Session
    outputs: Path
    model: str
    _children: list[subprocess.Popen[str]] = field(default_factory=list)

    # Commands

    def run(self, command: str, *options: str, ok: tuple[int, ...] = (0,)) -> Ran:
        """`rollout COMMAND churn ...` to its end; the exit code has to be one of `ok`."""
        return self.stage.run("rollout", command, ENDPOINT, *self._outputs, *options, ok=ok, quiet=True)

    @property
    def _outputs(self) -> tuple[str, ...]:
        """Spelled out, the file beats the ROLLOUT_STACK that the stage exports."""
        return ("--outputs", str(self.outputs))

    def begin(self, command: str, *options: str) -> subprocess.Popen[str]:
        """The same in the background, in a process group of its own."""
        self._children.append(self.stage.begin("rollout", command, ENDPOINT, *self._outputs, *options))
        return self._children[-1]

    def start(self, *options: str, ok: tuple[int, ...] = (0,)) -> Ran:
        """Roll the model out once more, as a deployment of its own."""
        return self.run("start", "--model", self.model, "--yes", *(options or QUICK), ok=ok)

    def stranger(self, home: Path, *command: str) -> subprocess.Popen[str]:
        """Python that has the environment of `rollout sandbox env --proxy` and nothing else; -P: no folder of ours."""
        shown = self.stage.run("rollout", "sandbox", "env", "--proxy", "--json", quiet=True).output
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), **json.loads(shown)}
        return subprocess.Popen(
            [sys.executable, "-P", *command], cwd=home, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    @contextmanager
    def fault(self, kind: str, target: str, *options: str) -> Iterator[None]:
        """`rollout sandbox fault add` for the time of the block."""
        added = self.stage.run(
            "rollout", "sandbox", "fault", "add", kind, "--target", target, *options, "--json", quiet=True
        )
        try:
            yield
        finally:
            # One that has struck as often as it was to is gone already.
            with suppress(NotFound):
                self.admin.clear_faults(json.loads(added.output)["id"])

    @property
    def admin(self) -> AdminClient:
        return lifecycle.admin_client(lifecycle.require_running(self.stage.home))

    # Looking

    def records(self) -> list[Record]:
        """The journal of the newest rollout."""
        records = self.session.controller.records()
        return [record for record in records if record.rollout == records[-1].rollout]

    def view(self) -> RolloutView:
        """The newest rollout."""
        return self.session.controller.status()

    def weights(self) -> dict[str, int]:
        return dict(self.session.azure.endpoints.live().weights)

    def wait_for(self, what: Callable[[], bool], seconds: float = 120.0, every: float = 0.02) -> None:
        """Until `what()` is true; the assertion names it when it never is."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"{what.__doc__ or what} did not come within {seconds:g} s"
            time.sleep(every)

    def wait_for_record(self, kind: Kind, known: int, effect: str = "", seconds: float = 120.0) -> None:
        """Until the journal has such a line past the first `known` ones."""

        def there() -> bool:
            return any(
                record.kind is kind and (not effect or record.evidence["effect"]["kind"] == effect)
                for record in self.session.controller.records()[known:]
            )

        there.__doc__ = f"{kind.value} {effect}"
        self.wait_for(there, seconds)

    def failed_since(self, moment: float) -> list[Request]:
        seen = self.clients.seen(moment)
        assert seen, "the clients have stopped asking"
        return [request for request in seen if request.failed]

    # Afterwards

    def end_children(self) -> None:
        """No story leaves a controller behind."""
        for child in self._children:
            if child.poll() is None:
                child.send_signal(signal.SIGCONT)
                child.kill()
            child.wait()
            if child.stdout:
                child.stdout.close()
        self._children.clear()

    def settle(self) -> None:
        """No fault, no rollout under way: the next story finds the shop as this one did."""
        self.end_children()
        self.admin.clear_faults()
        if self.view().active:
            self.run("rollback", "--reason", "the story is over", "--force", ok=(0, 3))


@contextmanager
def provisioned(folder: Path) -> Iterator[tuple[Stage, Webhook, Path]]:
    """A sandbox, the dev stack with a webhook for its events, and its outputs in a file; taken down at the end."""
    stage = Stage(folder)
    try:
        stage.raise_curtain()
        webhook = Webhook(tls_files(stage.home).server)
        stage.run(
            "pulumi", "config", "set", "--stack", "dev", "--config-file", str(stage.stack_file), "--secret",
            "--path", "azureml-rollouts:events.subscriptions.rollout-ended.webhookUrl", webhook.url, quiet=True,
        )  # fmt: skip
        stage.run(
            "pulumi", "config", "set", "--stack", "dev", "--config-file", str(stage.stack_file),
            "--path", "azureml-rollouts:events.subscriptions.rollout-ended.eventTypes[3]", "Rollouts.ModelRegistered", quiet=True,
        )  # fmt: skip
        stage.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs", quiet=True)
        outputs = folder / "outputs.json"
        outputs.write_text(stage.run("pulumi", "stack", "output", "--json", "--stack", "dev", quiet=True).output)
        yield stage, webhook, outputs
        webhook.close()
    finally:
        stage.drop_curtain()
        shutil.rmtree(stage.home, ignore_errors=True)
