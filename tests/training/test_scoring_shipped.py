"""What runs in a deployment: the handler with its log and its collector, the cache, the code folder, Azure's entry script."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.training.conftest import Workshop
from training.onnx.convert import convert
from training.scoring import collect
from training.scoring.cache import RowCache
from training.scoring.collect import NotCollecting, collecting
from training.scoring.handler import Handler, limits_of
from training.scoring.package import NotPinned, write_code
from training.scoring.predictor import load_predictor
from training.scoring.schema import ScoringSchema
from training.scoring.service import Limits, Service

SECRET = "ada@example.com"
ROW = {"area": "north", "email": SECRET, "charge": 61.5, "calls": 2, "months": 7}


@pytest.fixture(scope="session")
def folder(_learned: Workshop) -> Path:
    return _learned.folder / "trained_model"


@pytest.fixture
def service(folder: Path) -> Service:
    return Service.open(folder, version="7")


def post(handler: Handler, document: Any, correlation: str = "") -> tuple[int, dict[str, Any]]:
    reply = handler.handle("POST", json.dumps(document).encode(), correlation)
    return reply.status, json.loads(reply.body)


class TestHandler:
    def test_each_request_is_one_line_without_a_value(self, service: Service, caplog: pytest.LogCaptureFixture) -> None:
        handler = Handler(service, NotCollecting())
        with caplog.at_level(logging.INFO, "azmlinfsrv.scoring"):
            assert post(handler, {"input_data": [ROW, ROW]}, "abc-1")[0] == 200
            assert post(handler, {"input_data": [{**ROW, "charge": SECRET}]}, f"{SECRET}\nforged")[0] == 422
        lines = [json.loads(each.getMessage().removeprefix("scored ")) for each in caplog.records]
        assert [(each["status"], each["rows"], each["model"]) for each in lines] == [
            (200, 2, "churn:7"),
            (422, 0, "churn:7"),
        ]
        assert lines[0]["correlation"] == "abc-1"
        assert lines[1]["problems"] == {"text in place of a number": 1}
        assert SECRET not in caplog.text

    def test_a_model_that_fails_is_a_500_that_tells_nothing(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken:
            def predict_rows(self, rows: Any) -> Any:
                raise RuntimeError(f"could not convert {rows}")

            predict_proba = predict_rows

        status, found = post(Handler(Service(service.schema, Broken()), NotCollecting()), {"input_data": [ROW]}, "c-9")
        assert status == 500
        assert found["error"]["correlation"] == "c-9"
        assert "RuntimeError" in caplog.text
        assert "predict_rows" in caplog.text, "where"
        assert SECRET not in caplog.text + json.dumps(found)

    def test_get_tells_what_is_served_and_other_methods_are_refused(self, service: Service) -> None:
        handler = Handler(service, NotCollecting())
        info = json.loads(handler.handle("GET", b"").body)
        assert info["model"] == {
            "name": "churn",
            "version": "7",
            "hash": service.schema.model_hash,
            "runtime": "scikit-learn",
        }
        assert info["collection"] == {"enabled": False}
        assert handler.handle("OPTIONS", b"").status == 204
        assert handler.handle("PUT", b"").headers["Allow"] == "GET, HEAD, POST, OPTIONS"
        assert handler.too_large().status == 413

    def test_limits_are_set_by_the_deployment(self) -> None:
        assert limits_of({"SCORING_MAX_ROWS": "5", "SCORING_CACHE_ENTRIES": "0"}) == Limits(max_rows=5, cache_entries=0)
        with pytest.raises(ValueError, match="SCORING_MAX_ROWS is 'many'"):
            limits_of({"SCORING_MAX_ROWS": "many"})


class TestCache:
    def test_the_same_row_is_asked_once(self, service: Service) -> None:
        first, again = (service.score({"input_data": [{**ROW, "calls": calls}]}) for calls in (2, 2.0))
        assert (first.cached, again.cached) == (0, 1)
        assert first.probabilities == again.probabilities
        mixed = service.score({"input_data": [ROW, {**ROW, "months": 8}]})
        assert mixed.cached == 1
        assert service.info()["cache"]["hit_rate"] == 0.5

    def test_a_hit_never_crosses_models(self) -> None:
        assert RowCache("one").key((1.0, "a")) != RowCache("two").key((1.0, "a"))

    @given(st.lists(st.integers(0, 12), max_size=60), st.integers(0, 5), st.integers(0, 2000))
    def test_it_stays_within_its_bounds_and_tells_no_lies(self, asked: list[int], entries: int, size: int) -> None:
        cache = RowCache("model", entries, size)
        for number in asked:
            key = cache.key((float(number),))
            assert cache.get(key) in (None, (float(number), 0.5))
            cache.put(key, (float(number), 0.5))
            info = cache.info()
            assert info["entries"] <= entries
            assert 0 <= info["bytes"] <= size

    def test_the_least_recently_used_goes_first(self) -> None:
        cache = RowCache("model", 2)
        one, two, three = (cache.key((number,)) for number in range(3))
        cache.put(one, (1.0,))
        cache.put(two, (2.0,))
        cache.get(one)
        cache.put(three, (3.0,))
        assert (cache.get(one), cache.get(two), cache.get(three)) == ((1.0,), None, (3.0,))

    def test_threads_get_the_answers_of_their_rows(self, service: Service) -> None:
        truth = {calls: service.score({"input_data": {**ROW, "calls": calls}}).probabilities for calls in range(8)}
        wrong: list[int] = []

        def ask() -> None:
            for turn in range(40):
                if service.score({"input_data": {**ROW, "calls": turn % 8}}).probabilities != truth[turn % 8]:
                    wrong.append(turn)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class Sidecar(BaseHTTPRequestHandler):
    """The collector beside the container."""

    got: list[tuple[dict[str, str], Any]]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        self.got.append(({name.lower(): value for name, value in self.headers.items()}, json.loads(content)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def sidecar() -> Iterator[tuple[int, list[tuple[dict[str, str], Any]]]]:
    got: list[tuple[dict[str, str], Any]] = []
    with HTTPServer(("127.0.0.1", 0), type("Handler", (Sidecar,), {"got": got})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, got
        server.shutdown()


@pytest.fixture
def monitoring() -> Iterator[Any]:
    """azureml-ai-monitoring, begun anew."""
    from azureml.ai.monitoring import init

    init.teardown()
    yield init
    init.teardown()


def configured(folder: Path, patch: pytest.MonkeyPatch, port: int, **collections: Any) -> None:
    file = folder / "collector.json"
    file.write_text(json.dumps({"runMode": "cloud", "collections": collections}))
    patch.setenv("AZUREML_MDC_CONFIG_PATH", str(file))
    patch.setenv("AZUREML_MDC_PORT", str(port))


class TestCollecting:
    def test_inputs_and_outputs_go_to_azures_collector_masked(
        self, service: Service, sidecar: Any, monitoring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port, got = sidecar
        configured(tmp_path, monkeypatch, port, model_inputs={"enabled": True}, model_outputs={"enabled": True})
        handler = Handler(service, collecting(service.schema))
        status, answer = post(handler, {"input_data": [ROW, {**ROW, "calls": 9}]}, "c-1")
        assert status == 200
        monitoring.teardown(wait_for_flush=True)
        sent = {headers["ce-type"].rpartition(".")[2]: (headers, data) for headers, data in got}
        assert sent["model_inputs"][1][1] == {
            "area": "north",
            "email": "***",
            "charge": 61.5,
            "calls": 9.0,
            "months": 7.0,
        }
        assert [row["prediction"] for row in sent["model_outputs"][1]] == answer["predictions"]
        assert {headers["ce-x-request-id"] for headers, _ in sent.values()} == {"c-1"}
        assert SECRET not in json.dumps(got)
        assert handler._collecting.info()["collected"] == 2

    def test_the_rate_is_honoured(
        self, service: Service, sidecar: Any, monitoring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port, got = sidecar
        configured(tmp_path, monkeypatch, port, model_inputs={"enabled": True, "sampleRatePercentage": 30})
        handler = Handler(service, collecting(service.schema))
        for _ in range(200):
            post(handler, {"input_data": [ROW]})
        monitoring.teardown(wait_for_flush=True)
        assert 25 < len(got) < 100, "30 % of 200, give or take five deviations"

    def test_a_collector_that_fails_fails_no_request(
        self, service: Service, monitoring: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        configured(tmp_path, monkeypatch, 1, model_inputs={"enabled": True})
        kept = collecting(service.schema)

        def full(*_: Any) -> None:
            raise OSError(SECRET)

        monkeypatch.setattr(kept._collectors["model_inputs"], "collect", full)  # type: ignore[attr-defined]
        assert post(Handler(service, kept), {"input_data": [ROW]})[0] == 200
        assert kept.info()["dropped"] == 1
        assert "not collected: OSError" in caplog.text
        assert SECRET not in caplog.text

    @pytest.mark.parametrize(
        "content", ["{", "[]", '{"collections": {"model_inputs": 1}}', '{"collections": {"other": {"enabled": true}}}']
    )
    def test_a_configuration_that_makes_no_sense_costs_the_collection_only(
        self, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
    ) -> None:
        (tmp_path / "file").write_text(content)
        assert isinstance(
            collecting(service.schema, {"AZUREML_MDC_CONFIG_PATH": str(tmp_path / "file")}), NotCollecting
        )
        assert isinstance(
            collecting(service.schema, {"AZUREML_MDC_CONFIG_PATH": str(tmp_path / "none")}), NotCollecting
        )
        assert isinstance(collecting(service.schema, {}), NotCollecting)
        monkeypatch.setattr(collect, "AzureCollecting", None)
        assert isinstance(collecting(service.schema, {"AZUREML_MDC_ENABLED": "true"}), NotCollecting)


class TestCodeFolder:
    def test_it_is_whole_and_pinned(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "old.py").write_text("")
        made = write_code(folder, tmp_path / "code")
        assert not (made / "old.py").exists()
        assert not list(tmp_path.glob("*.partial"))
        pip = next(
            each for each in yaml.safe_load((made / "conda.yaml").read_text())["dependencies"] if isinstance(each, dict)
        )["pip"]
        assert all("==" in line for line in pip)
        assert "azureml-inference-server-http==1.5.1" in pip
        assert any(line.startswith("scikit-learn==") for line in pip)
        assert not any(line.startswith("mlflow") for line in pip)

    def test_it_scores_with_nothing_of_the_rest(self, folder: Path, tmp_path: Path) -> None:
        made = write_code(folder, tmp_path / "code")
        script = (
            "import sys, json\nfrom pathlib import Path\nsys.path.insert(0, '.')\n"
            "import training.scoring.handler\nfrom training.scoring.service import Service\n"
            "assert training.__file__.startswith(str(Path.cwd())), training.__file__\n"
            f"print(Service.open(Path({str(folder)!r})).answer({json.dumps({'input_data': ROW}).encode()!r}).status)\n"
            "print(sorted(name for name in sys.modules if name.startswith(('mlflow', 'training.steps', 'training.plan'))))\n"
        )
        done = subprocess.run(
            [sys.executable, "-S", "-c", _SITE + script],
            cwd=made,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout.splitlines() == ["200", "[]"], done.stderr

    def test_an_optimised_model_brings_its_runtime_and_leaves_scikit_learn(self, folder: Path, tmp_path: Path) -> None:
        optimised = convert(folder, tmp_path / "optimised")
        made = write_code(optimised, tmp_path / "code")
        conda = (made / "conda.yaml").read_text()
        assert "onnxruntime==" in conda
        assert "scikit-learn" not in conda
        assert (made / "training" / "onnx" / "predictor.py").is_file()

    def test_what_can_not_be_shipped_is_refused(self, folder: Path, learned: Workshop, tmp_path: Path) -> None:
        model = learned.folder / "trained_model"
        (model / "requirements.txt").write_text("# packages\nnumpy==2.4.6\nxgboost-cpu>=3\nscikit-learn==1.*\n")
        with pytest.raises(NotPinned, match=r"xgboost-cpu>=3, scikit-learn==1\.\*"):
            write_code(model, tmp_path / "code")
        (model / "scoring_schema.json").unlink()
        with pytest.raises(FileNotFoundError, match="scoring_schema"):
            write_code(model, tmp_path / "code")
        next(model.glob("*.skops")).unlink()
        with pytest.raises(FileNotFoundError, match="0 skops files"):
            load_predictor(model, ScoringSchema.read(folder))
        assert not (tmp_path / "code").exists()


#: The installed packages, and not this project, which is installed in place.
_SITE = f"import sys\nsys.path[:0] = {[each for each in sys.path if 'site-packages' in each]!r}\n"


@pytest.fixture
def entry(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """score.py behind flask, as Azure's server puts it there; that server is not installed beside the tests."""

    class Response(flask.Response):
        def __init__(self, message: Any, status_code: int, headers: dict[str, str]) -> None:
            super().__init__(message, status=status_code, headers=headers)

    for name, content in (("aml_request", {"rawhttp": lambda run: run}), ("aml_response", {"AMLResponse": Response})):
        module = ModuleType(f"azureml_inference_server_http.api.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in ("azureml_inference_server_http", "azureml_inference_server_http.api"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delitem(sys.modules, "training.scoring.score", raising=False)
    shutil.copytree(folder, tmp_path / "churn" / "7" / "model")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "churn" / "7"))
    monkeypatch.setenv("SCORING_MAX_BODY_BYTES", "1000")
    from training.scoring import score

    yield score
    sys.modules.pop("training.scoring.score", None)


class TestEntryScript:
    def test_it_answers_under_flask(self, entry: Any) -> None:
        entry.init()
        app = flask.Flask("server")
        app.add_url_rule("/score", view_func=lambda: entry.run(flask.request), methods=["GET", "POST", "OPTIONS"])
        client = app.test_client()
        answer = client.post("/score", data=json.dumps({"input_data": ROW}))
        assert answer.status_code == 200
        assert answer.get_json()["model"]["version"] == "7"
        assert client.post("/score", data="x").status_code == 400
        assert client.post("/score", data=b"x" * 1001).status_code == 413
        assert client.get("/score").get_json()["limits"]["body_bytes"] == 1000

    def test_a_folder_without_a_schema_ends_the_start(
        self, entry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "empty").mkdir()
        monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path / "empty"))
        with pytest.raises(FileNotFoundError, match="scoring_schema"):
            entry.init()


def test_numbers_beyond_what_the_model_can_hold_are_refused_and_not_a_failure(service: Service) -> None:
    """Products of two numbers are features: what the schema lets through stays within float32."""
    far = service.schema.columns[-1].maximum
    assert far is not None
    status = {
        calls: service.answer(json.dumps({"input_data": {**ROW, "calls": calls}}).encode()).status
        for calls in (far, far * 2)
    }
    assert status == {far: 200, far * 2: 422}
    assert np.isfinite(np.float32(far) ** 2)
