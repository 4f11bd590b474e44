"""A workspace of the running sandbox with azure-ai-ml on it, assets to deploy, and clients that score."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace

VERSION = "2025-12-01"
SCORE = """
import json, os
from pathlib import Path
def init():
    global text
    text = next(Path(os.environ["AZUREML_MODEL_DIR"]).iterdir()).read_text()
    print("model says", text)
def run(raw):
    return {"model": text, "rows": len(json.loads(raw)["input_data"]), "pid": os.getpid()}
"""
BROKEN_SCORE = "def init():\n    raise RuntimeError('the model file is damaged')\ndef run(raw):\n    return 1\n"
CONDA = "name: scoring\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n    - azureml-inference-server-http\n"
REQUEST = {"input_data": [[1], [2]]}


@dataclass
class Workspace:
    """One workspace in a resource group of its own; ARM by `send`, azure-ai-ml by `client`."""

    base: MlWorkspace
    folder: Path

    def __post_init__(self) -> None:
        for name, script in (("code", SCORE), ("broken", BROKEN_SCORE)):
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "score.py").write_text(script)
        (self.folder / "conda.yml").write_text(CONDA)
        (self.folder / "request.json").write_text(json.dumps(REQUEST))

    @property
    def sandbox(self) -> RunningSandbox:
        return self.base.sandbox

    @property
    def name(self) -> str:
        return self.base.url.rsplit("/", 1)[-1]

    @property
    def client(self) -> Any:
        return self.base.client

    @property
    def group(self) -> str:
        """Its URL."""
        return self.base.url.partition("/providers/")[0]

    # ARM

    def send(self, method: str, url: str, body: Any = None, *, version: str = VERSION) -> requests.Response:
        """`url` may be a path below the workspace."""
        url = url if url.startswith("https://") else f"{self.base.url}/{url}"
        return self.base.session.request(method, f"{url}?api-version={version}", json=body, timeout=20)

    def finish(self, answer: requests.Response) -> dict[str, Any]:
        """How the operation behind `answer` ended."""
        assert answer.status_code < 300, answer.text
        status = answer.headers.get("Azure-AsyncOperation")
        found: dict[str, Any] = {"status": "Succeeded"}
        while status:
            found = self.base.session.get(status, timeout=20).json()
            if found["status"] != "InProgress":
                break
            time.sleep(0.1)
        return found

    def refusal(self, method: str, path: str, body: Any = None, *, version: str = VERSION) -> tuple[int, str]:
        """Status and message of a call that must not work."""
        answer = self.send(method, path, body, version=version)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json()["error"]["message"]

    def put_endpoint(self, name: str, **properties: Any) -> dict[str, Any]:
        return self.finish(self.send("PUT", f"onlineEndpoints/{name}", endpoint_body(**properties)))

    # azure-ai-ml

    def deployment(
        self, endpoint: str, name: str, *, text: str = "", count: int = 1, code: str = "code", **more: Any
    ) -> Any:
        """A managed deployment of a model file that holds `text`."""
        from azure.ai.ml.entities import (
            CodeConfiguration,
            Environment,
            ManagedOnlineDeployment,
            Model,
            OnlineRequestSettings,
        )

        model = self.folder / f"{text or name}.txt"
        model.write_text(text or name)
        settings = OnlineRequestSettings(max_concurrent_requests_per_instance=8)
        return ManagedOnlineDeployment(
            name=name,
            endpoint_name=endpoint,
            model=Model(path=str(model), name=f"{endpoint}-{text or name}", version="1"),
            code_configuration=CodeConfiguration(code=str(self.folder / code), scoring_script="score.py"),
            environment=Environment(
                conda_file=str(self.folder / "conda.yml"), image="mcr.microsoft.com/azureml/inference"
            ),
            instance_type="Standard_DS3_v2",
            instance_count=count,
            **{"request_settings": settings, **more},
        )

    def deploy(self, deployment: Any) -> Any:
        return self.client.online_deployments.begin_create_or_update(deployment).result()

    def set_traffic(self, endpoint: str, **traffic: int) -> None:
        found = self.client.online_endpoints.get(endpoint)
        found.traffic = traffic
        self.client.online_endpoints.begin_create_or_update(found).result()

    # Scoring

    def score(self, endpoint: str, *, pin: str = "", key: str = "", body: Any = None) -> requests.Response:
        headers = {"authorization": f"Bearer {key or self.key(endpoint)}"} | (
            {"azureml-model-deployment": pin} if pin else {}
        )
        uri = f"{self.sandbox.settings.url('gateway')}/{self.name}/{endpoint}/score"
        return requests.post(
            uri, json=body or REQUEST, headers=headers, verify=self.sandbox.env["SSL_CERT_FILE"], timeout=20
        )

    def key(self, endpoint: str) -> str:
        return str(self.send("POST", f"onlineEndpoints/{endpoint}/listKeys").json()["primaryKey"])

    @contextmanager
    def load(self, endpoint: str, clients: int = 2) -> Iterator[Counter[tuple[int, str]]]:
        """Clients that score without a pause; counts by status and deployment."""
        counts: Counter[tuple[int, str]] = Counter()
        key, stop = self.key(endpoint), threading.Event()

        def client() -> None:
            with requests.Session() as session:
                session.verify, session.trust_env = self.sandbox.env["SSL_CERT_FILE"], False
                uri = f"{self.sandbox.settings.url('gateway')}/{self.name}/{endpoint}/score"
                while not stop.is_set():
                    try:
                        answer = session.post(uri, json=REQUEST, headers={"authorization": f"Bearer {key}"}, timeout=20)
                        counts[answer.status_code, answer.headers.get("azureml-model-deployment", "")] += 1
                    except requests.RequestException as error:
                        counts[0, type(error).__name__] += 1
                    stop.wait(0.02)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield counts
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def endpoint_body(**properties: Any) -> dict[str, Any]:
    return {"location": "eastus", "properties": {"authMode": "Key", **properties}}
