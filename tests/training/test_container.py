"""The container's app as its image runs it: its entry command, with nothing but the build context to import from."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
import yaml

import training.container
from sandbox.kernel.settings import free_ports
from tests.training.conftest import Workshop
from training.container.app import NO_MODEL, Container, create_app, open_handler
from training.container.context import OtherVersions, write_context
from training.onnx.convert import convert
from training.scoring.handler import Handler
from training.steps.evaluate import load

COLUMNS = ["area", "email", "charge", "calls", "months"]


@pytest.fixture(scope="module")
def shop(_learned: Workshop) -> Workshop:
    """The trained model, for tests that change nothing."""
    return _learned


@pytest.fixture(scope="module")
def model(_learned: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(_learned.folder / "trained_model", tmp_path_factory.mktemp("azureml-models") / "7" / "model")


@pytest.fixture(scope="module")
def context(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_context(model, tmp_path_factory.mktemp("image") / "context")


def start(context: Path, model_dir: Path, **variables: str) -> tuple[subprocess.Popen[bytes], str]:
    port = free_ports(["container"])["container"]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    settings = {"HOST": "127.0.0.1", "PORT": str(port), "AZUREML_MODEL_DIR": str(model_dir), "OMP_NUM_THREADS": "1"}
    entry = [sys.executable, *entry_command(context)[1:]]
    process = subprocess.Popen(
        entry, cwd=context, env={**kept, **settings, **variables}, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    return process, f"http://127.0.0.1:{port}"


def entry_command(context: Path) -> list[str]:
    line = next(each for each in (context / "Dockerfile").read_text().splitlines() if each.startswith("ENTRYPOINT"))
    return json.loads(line.removeprefix("ENTRYPOINT"))  # type: ignore[no-any-return]


def wait_ready(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(f"{url}/ready", timeout=2).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.05)
    raise AssertionError(
        process.stderr.read().decode() if process.stderr and process.poll() is not None else "not ready"
    )


@pytest.fixture(scope="module")
def url(context: Path, model: Path) -> Iterator[str]:
    process, made = start(context, model.parent, SCORING_MAX_BODY_BYTES="100000")
    wait_ready(process, made)
    yield made
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)


def request(rows: list[list[Any]]) -> dict[str, Any]:
    return {"input_data": {"columns": COLUMNS, "data": rows}}


def test_it_answers_as_the_trained_model_does(url: str, shop: Workshop) -> None:
    frame = pd.read_parquet(shop.engineered / "test.parquet")[COLUMNS]
    pipeline, threshold = load(shop.folder / "trained_model")
    expected = pipeline.predict_proba(frame)
    for count in (1, 240):  # on the event loop, and beside it
        answer = requests.post(f"{url}/score", json=request(frame.head(count).to_numpy().tolist()), timeout=10)
        assert answer.status_code == 200
        got = answer.json()
        assert np.abs(np.array(got["probabilities"]) - expected[:count]).max() < 1e-6
        assert got["predictions"] == ["yes" if each >= threshold else "no" for each in expected[:count, 1]]
        assert (got["model"]["runtime"], got["model"]["version"]) == ("onnx", "7")


def test_a_wrong_request_is_a_422_that_names_the_field(url: str) -> None:
    answer = requests.post(f"{url}/score", json=request([["north", "a@example.com", "much", 3, 12]]), timeout=10)
    assert answer.status_code == 422
    (finding,) = answer.json()["error"]["findings"]
    assert (finding["field"], finding["row"]) == ("charge", 0)
    assert "much" not in answer.text
    assert requests.post(f"{url}/score", data=b"{", timeout=10).status_code == 400
    assert requests.put(f"{url}/score", data=b"{}", timeout=10).status_code == 405


def test_a_body_that_is_too_large_is_refused_while_it_comes(url: str) -> None:
    assert requests.post(f"{url}/score", data=b"x" * 100_001, timeout=10).status_code == 413
    chunks = iter([b"x" * 60_000] * 2)
    assert requests.post(f"{url}/score", data=chunks, timeout=10).status_code == 413


def test_probes_and_what_is_served(url: str) -> None:
    assert requests.get(f"{url}/live", timeout=5).text == "alive"
    assert requests.get(f"{url}/ready", timeout=5).text == "ready"
    info = requests.get(f"{url}/score", timeout=5).json()
    assert [each["name"] for each in info["columns"]] == COLUMNS
    assert info["requests"]["requests"] >= 0
    head = requests.head(f"{url}/score", timeout=5)
    assert (head.status_code, head.content) == (200, b"")
    assert requests.get(f"{url}/", timeout=5).status_code == 404


def test_the_caller_s_request_id_comes_back(url: str) -> None:
    row = request([["north", "a@example.com", 50.0, 3, 12]])
    answer = requests.post(f"{url}/score", json=row, headers={"x-ms-client-request-id": "order-17"}, timeout=10)
    assert answer.headers["x-ms-client-request-id"] == "order-17"


def test_without_a_model_the_container_ends_and_says_why(context: Path, tmp_path: Path) -> None:
    process, _ = start(context, tmp_path)
    assert process.wait(30) == NO_MODEL
    assert process.stderr is not None
    assert "no scoring_schema.json below" in process.stderr.read().decode()


def test_a_wrong_limit_ends_it_too(context: Path, model: Path) -> None:
    process, _ = start(context, model.parent, SCORING_MAX_ROWS="many")
    assert process.wait(30) == NO_MODEL


async def ask(app: Any, path: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "query_string": b""}
    await app({**scope, "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 1)}, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])


def test_until_the_model_is_loaded_it_lives_and_is_not_ready(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(model))
    may_load = threading.Event()

    def slow() -> Handler:
        may_load.wait(20)
        return open_handler()

    async def story() -> list[tuple[int, bytes]]:
        app = create_app(slow)
        seen = []
        async with app.router.lifespan_context(app):
            seen += [await ask(app, "/live"), await ask(app, "/ready"), await ask(app, "/score", "POST", b"{}")]
            may_load.set()
            end = time.monotonic() + 20
            while (await ask(app, "/ready"))[0] != 200 and time.monotonic() < end:
                await asyncio.sleep(0.02)
            seen += [await ask(app, "/ready"), await ask(app, "/score", "POST", b"{}")]
            row = json.dumps(request([["north", "a@example.com", 50.0, 3, 12]])).encode()
            seen.append(await ask(app, "/score", "POST", row))
            many = json.dumps(request([["north", "a@example.com", 50.0, 3, 12]] * 300)).encode()
            seen += [await ask(app, "/score", "POST", many), await ask(app, "/score", "POST", b"x" * (16 * 2**20 + 1))]
        return seen

    seen = asyncio.run(story())
    assert [status for status, _ in seen] == [200, 503, 503, 200, 422, 200, 200, 413]


def test_a_model_that_can_not_be_loaded_ends_the_process() -> None:
    ended: list[int] = []

    def broken() -> Handler:
        raise ValueError("a broken graph")

    async def story() -> None:
        async with Container(broken, ended.append).lifespan(None):  # type: ignore[arg-type]
            while not ended:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(story(), 20))
    assert ended == [NO_MODEL]


def test_azure_ai_ml_takes_the_deployment_and_its_routes_are_the_app_s(context: Path) -> None:
    from azure.ai.ml import load_online_deployment

    found = load_online_deployment(str(context / "deployment.yaml"))
    assert found.environment.name == "churn-container"
    assert Path(found.environment.path) == context
    routes = {name: (each["port"], each["path"]) for name, each in found.environment.inference_config.items()}
    assert routes == {
        "livenessRoute": (8080, "/live"),
        "readinessRoute": (8080, "/ready"),
        "scoringRoute": (8080, "/score"),
    }
    assert {each.path for each in create_app().routes} >= {path for _, path in routes.values()}  # type: ignore[attr-defined]
    rest = found._to_rest_object("eastus")  # what is sent
    assert rest.properties.environment_variables == {"WORKER_COUNT": "4"}


def test_the_image_is_pinned_and_runs_as_nobody_special(context: Path) -> None:
    text = (context / "Dockerfile").read_text()
    assert "USER 10001" in text
    assert "HEALTHCHECK" in text
    assert "EXPOSE 8080" in text
    assert "--require-hashes" in text
    locked = (context / "requirements.txt").read_text()
    for line in Path(training.container.__file__).with_name("requirements.in").read_text().splitlines():
        if not line.startswith("#"):
            assert re.search(rf"^{line}==", locked, re.MULTILINE), line


def test_a_model_without_a_schema_gets_no_image(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model" / "scoring_schema.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"scoring_schema\.json"):
        write_context(tmp_path / "model", tmp_path / "image")


def test_versions_that_the_model_was_not_proven_with_are_refused(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "model"
    shutil.copytree(model, other)
    file = other / "requirements.txt"
    file.write_text(re.sub(r"onnxruntime==\S+", "onnxruntime==1.0.0", file.read_text()))
    with pytest.raises(OtherVersions, match=r"onnxruntime 1\.0\.0, not "):
        write_context(other, tmp_path / "image")
    assert not (tmp_path / "image").exists()
    assert yaml.safe_load((model / "MLmodel").read_text())["flavors"]["onnx"]
