"""A stack with its own roles on a sandbox of its own, and the `rollout` command as CI's federated app runs it."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from components.identity.apps import GITHUB_ISSUER
from contract import StackOutputs
from rollout.cli import app
from sandbox import lifecycle
from sandbox.kernel.settings import new_settings, save_settings
from tests.conftest import forget_consoles
from tests.sandbox.conftest import RunningSandbox, running
from tests.sandbox.engine import Engine, copy_project

REPOSITORY = "repo:example/azureml-rollouts"
CONDA = "dependencies:\n- python=3.11\n- pip:\n  - azureml-inference-server-http==1.5.1\n"
SCORER = (
    "import json\ndef init():\n    pass\ndef run(data):\n"
    "    return ['{name}'] * len(json.loads(data)['input_data'])\n"
)
TOKEN_ENDPOINT = "intent: {model: intent, instanceType: Standard_DS2_v2, instanceCount: 1, authMode: AMLToken}"
PAYLOAD = '{"input_data": [[1], [2]]}'
OUTPUTS, OUTPUTS_LIKE_AZURES = "outputs.json", "outputs-azure.json"
#: As on Azure, where models come out of the workspace's datastore and not from a plain MLflow server.
AZURES_MLFLOW = "azureml://eastus.api.azureml.ms/mlflow/v1.0/x"
#: A policy minute is a second.
TIME_SCALE = 60.0
#: What a lost green is kept for: 72 s of policy time, and a little.
KEPT_HOURS, KEPT_SECONDS = 0.02, 2.5
ROLE_VERSION = "2022-04-01"


@dataclass(frozen=True)
class Ran:
    """A `rollout` command: its exit code, and what it printed, errors too, on one line."""

    code: int
    said: str


@dataclass
class Company:
    """One stack that is up, the files that a job checks out, and who signs in."""

    sandbox: RunningSandbox
    engine: Engine
    outputs: StackOutputs
    folder: Path

    def code(self, name: str, scorer: str = SCORER) -> str:
        """A folder that the workspace has not seen, its conda file neither."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "score.py").write_text(scorer.replace("{name}", name))
        (folder / "conda.yaml").write_text(f"# {name}\n{CONDA}")
        return str(folder)

    def job_environment(self, client: str, subject: str) -> dict[str, str]:
        """The variables of a CI job: a token file of the CI system, and no secret."""
        job = self.folder / f"{client}.jwt"
        job.write_text(self.sandbox.admin.federated_token(f"{REPOSITORY}:{subject}", issuer=GITHUB_ISSUER))
        client_id = self.outputs.identity.client_ids[client]
        return {
            **dict.fromkeys(("AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET"), ""),
            **dict.fromkeys(("AZURE_CLIENT_ID", "ARM_CLIENT_ID"), client_id),
            "AZURE_FEDERATED_TOKEN_FILE": str(job),
            "ARM_USE_OIDC": "true",
            "ARM_OIDC_TOKEN": job.read_text(),
        }

    def sign_in(self, patch: pytest.MonkeyPatch, client: str, subject: str) -> None:
        """This process becomes the job."""
        for name, value in self.job_environment(client, subject).items():
            # azure-identity takes an empty secret for one.
            patch.setenv(name, value) if value else patch.delenv(name, raising=False)

    def end_what_is_under_way(self) -> None:
        """A rollout that failed half-way is sent back; none is no error."""
        rollout = json.loads(self.rollout("status", "--json"))["rollout"]
        if rollout and rollout["active"]:
            self.rollout("abort", "--reason", "the role was incomplete", "--force")

    def rollout(self, command: str, *options: str, ok: bool = True, use_case: str = "churn") -> str:
        """What it printed; whether it succeeds has to be as expected."""
        ran = self.run(command, *options, use_case=use_case)
        assert (ran.code == 0) == ok, ran.said
        return ran.said

    def run(self, command: str, *options: str, use_case: str = "churn", outputs: str = OUTPUTS) -> Ran:
        """`rollout COMMAND churn ...` in this process."""
        file, printed = str(self.folder / outputs), io.StringIO()
        forget_consoles()
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                code = app.run([*command.split(), use_case, "--outputs", file, *options])
        finally:
            forget_consoles()
        # Lines are broken to the terminal's width.
        return Ran(code, " ".join(printed.getvalue().split()))

    def start(self, name: str, *options: str, scorer: str = SCORER, use_case: str = "churn") -> Ran:
        """Roll the model out with a scorer that answers `name`."""
        return self.run(
            "start", "--model", "tiny:1", "--code", self.code(name, scorer), "--name", name, "--yes", *options,
            use_case=use_case,
        )  # fmt: skip

    def weights(self) -> dict[str, int]:
        return {name: each for name, each in self.live()["properties"]["traffic"].items() if each}

    def live(self) -> dict[str, Any]:
        return dict(self.arm("GET", self.outputs.endpoints["churn"].id, "2024-04-01").json())

    def arm(
        self, method: str, path: str, version: str, body: Any = None, session: requests.Session | None = None
    ) -> requests.Response:
        """A call to ARM, as the owner unless a session is given."""
        url = f"{self.sandbox.settings.url('arm')}{path}"
        return (session or self.sandbox.session()).request(
            method, url, params={"api-version": version}, json=body, timeout=30
        )

    def session(self, client: str, subject: str, resource: str = "https://management.azure.com") -> requests.Session:
        """Requests with the app's token, got by client assertion."""
        settings = self.sandbox.settings
        session = requests.Session()
        session.trust_env = False
        session.verify = self.sandbox.env["SSL_CERT_FILE"]
        answer = session.post(
            f"{settings.url('login')}/{settings.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": self.outputs.identity.client_ids[client],
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": self.sandbox.admin.federated_token(f"{REPOSITORY}:{subject}", issuer=GITHUB_ISSUER),
                "scope": f"{resource}/.default",
            },
            timeout=10,
        )
        answer.raise_for_status()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    @contextlib.contextmanager
    def without(self, role: str, action: str) -> Iterator[None]:
        """The role with one action less."""
        path = f"{self.group_id}/providers/{self.outputs.identity.role_ids[role].partition('/providers/')[2]}"
        whole = self.arm("GET", path, ROLE_VERSION).json()
        less = json.loads(json.dumps(whole))
        for permission in less["properties"]["permissions"]:
            for kind in ("actions", "dataActions"):
                permission[kind] = [each for each in permission[kind] if each != action]
        assert less != whole, f"{role} does not have {action}"
        assert self.arm("PUT", path, ROLE_VERSION, less).ok
        try:
            yield
        finally:
            assert self.arm("PUT", path, ROLE_VERSION, whole).ok

    @property
    def group_id(self) -> str:
        return f"/subscriptions/{self.outputs.subscription_id}/resourceGroups/{self.outputs.resource_group}"

    @contextlib.contextmanager
    def customers(self) -> Iterator[None]:
        """Requests as long as the block lasts, twenty a second."""
        endpoint = self.outputs.endpoints["churn"]
        keys = self.arm("POST", f"{endpoint.id}/listKeys", "2024-04-01").json()
        session, stop = requests.Session(), threading.Event()
        session.trust_env, session.verify = False, self.sandbox.env["SSL_CERT_FILE"]
        session.headers.update({"Authorization": f"Bearer {keys['primaryKey']}", "Content-Type": "application/json"})

        def ask() -> None:
            while not stop.wait(0.05):
                session.post(endpoint.scoring_uri, data=PAYLOAD, timeout=10)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        try:
            # Five policy minutes of requests: what a plan looks at.
            time.sleep(5.0)
            yield
        finally:
            stop.set()
            thread.join()


@contextlib.contextmanager
def company(
    folder: Path, change: Callable[[Engine], None] = lambda engine: None, begins: datetime | None = None
) -> Iterator[Company]:
    """The dev stack, up, with a second endpoint, which takes tokens, and a registered model.

    `change` may edit the stack file before. `begins`: policy time then; none: now.
    """
    home = folder / "home"
    if begins is not None:
        home.mkdir(parents=True)
        settings = new_settings(now=time.time())
        save_settings(home, settings.model_copy(update={"clock_policy_origin": begins.timestamp()}))
    lifecycle.up(home, lifecycle.Options(time_scale=TIME_SCALE, metrics_lag_seconds=0.0))
    sandbox = running(home)
    try:
        engine = Engine(copy_project(folder / "project"), sandbox.env)
        settings = engine.project / "Pulumi.dev.yaml"
        settings.write_text(
            settings.read_text()
            .replace("  azureml-rollouts:endpoints:\n", f"  azureml-rollouts:endpoints:\n    {TOKEN_ENDPOINT}\n")
            .replace("keepBlueHours: 1", f"keepBlueHours: {KEPT_HOURS}")
        )
        change(engine)
        engine.up("dev")
        document = engine.outputs("dev")
        (folder / OUTPUTS).write_text(json.dumps(document))
        document["rollout"]["workspace"]["mlflow_tracking_uri"] = AZURES_MLFLOW
        (folder / OUTPUTS_LIKE_AZURES).write_text(json.dumps(document))
        made = Company(sandbox, engine, StackOutputs.model_validate(document["rollout"]), folder)
        with pytest.MonkeyPatch.context() as patch:
            sandbox.use(patch)
            register(made)
        yield made
    finally:
        lifecycle.down(home)


def register(made: Company) -> None:
    """The model `tiny:1`, by the owner."""
    from azure.ai.ml.entities import Model

    from rollout.azure.cloud import cloud_from_environment

    model = made.folder / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"weights")
    (model / "input_example.json").write_text(PAYLOAD)
    client = cloud_from_environment().ml_client(made.outputs)
    client.models.create_or_update(Model(name="tiny", version="1", path=str(model), type="custom_model"))
