"""`rollout model optimize` on models of the workspace's registry, which is a real MLflow server, and on folders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from rollout.cli import app
from tests.conftest import forget_consoles
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace, workspace
from tests.training.conftest import Workshop, _learned, _tracking, learned
from tests.unit.cli_rig import outputs_document

__all__ = ["_learned", "_tracking", "learned"]

TAGS = {"version": "1.2.0", "gate_status": "PASSED", "git_commit": "0a1b2c3"}


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox) -> Iterator[MlWorkspace]:
    with workspace(sandbox, "optimize") as made:
        yield made


@pytest.fixture(scope="module")
def outputs(ws: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    document = outputs_document()
    document["subscription_id"] = ws.sandbox.settings.subscription_id
    document["resource_group"] = "rg-optimize"
    document["workspace"] |= {"name": "optimize", "id": ws.id}
    file = tmp_path_factory.mktemp("outputs") / "outputs.json"
    file.write_text(json.dumps({"rollout": document}))
    return str(file)


@pytest.fixture(scope="module")
def registered(ws: MlWorkspace, _learned: Workshop) -> str:
    """The trained model, logged and registered with MLflow as the pipeline does."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(ws.sandbox.settings.url("mlflow"))
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(_learned.folder / "trained_model"), "model")
        made = mlflow.register_model(f"runs:/{run.info.run_id}/model", "leaves", tags=TAGS)
    mlflow.set_tracking_uri(before)
    return f"leaves:{made.version}"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    forget_consoles()
    capsys.readouterr()
    code = app.run(["model", "optimize", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)  # type: ignore[no-any-return]


@pytest.mark.sandbox
def test_it_becomes_the_next_version_with_its_lineage_and_once_only(
    ws: MlWorkspace,
    outputs: str,
    registered: str,
    learned: Workshop,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = str(learned.engineered / "test.parquet")
    arguments = (registered, "--rows", rows, "--outputs", outputs)
    tried = document(capsys, *arguments, "--dry-run")
    assert tried["done"] == "nothing was registered"
    assert [each.version for each in ws.client.models.list("leaves")] == ["1"]

    found = document(capsys, *arguments)
    assert (found["model"], found["from"]) == ("leaves:2", "leaves:1")
    assert found["parity"]["rows"] == 240
    made = ws.client.models.get("leaves", "2")
    assert TAGS.items() <= made.tags.items()
    assert (made.tags["format"], made.tags["optimized_from"]) == ("onnx", "leaves:1")
    assert {"onnx", "sklearn"} <= made.flavors.keys()
    ws.client.models.download("leaves", "2", download_path=str(tmp_path))
    assert [file.name for file in tmp_path.rglob("*.onnx")]

    again = document(capsys, *arguments)
    assert again == {"model": "leaves:2", "from": "leaves:1", "already": True}
    code, _, err = run(capsys, "leaves:2", "--rows", rows, "--outputs", outputs)
    assert (code, "has an ONNX graph already" in err) == (2, True)


@pytest.mark.sandbox
def test_what_is_not_there_is_said(
    outputs: str, registered: str, learned: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = str(learned.engineered / "test.parquet")
    code, _, err = run(capsys, "nobody:1", "--rows", rows, "--outputs", outputs)
    assert (code, "nobody" in err) == (6, True)
    code, _, err = run(capsys, registered, "--outputs", outputs)
    assert (code, "--rows is missing" in err) == (2, True)
    code, _, err = run(capsys, registered, "--rows", "/nowhere.parquet", "--outputs", outputs)
    assert (code, "/nowhere.parquet: no such file" in err) == (2, True)


def test_a_folder_of_a_training_needs_no_options(learned: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, str(learned.folder / "trained_model"))
    assert code == 0
    assert "0 labels changed" in out
    assert "faster: one row" in out
    assert (learned.folder / "trained_model-onnx" / "model.onnx").is_file()
    assert (learned.folder / "trained_model-onnx" / "optimization.json").is_file()


def test_the_image_s_build_context_is_written_beside_it(learned: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (str(learned.folder / "trained_model"), "--container", str(learned.folder / "image"))
    assert f"build context of the image: {learned.folder / 'image'}" in run(capsys, *arguments)[1]
    assert (learned.folder / "image" / "Dockerfile").is_file()
    code, _, err = run(capsys, *arguments[:2], str(learned.folder))
    assert (code, "would be overwritten" in err) == (2, True)


def test_a_dry_run_writes_nothing(learned: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing was written" in run(capsys, str(learned.folder / "trained_model"), "--dry-run")[1]
    assert not (learned.folder / "trained_model-onnx").exists()


def test_predictions_that_differ_are_refused_with_code_7(
    learned: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A converter with a mistake: one leaf of the graph is another."""
    import training.onnx.convert as converting

    make = converting.to_onnx

    def wrong(pipeline: Any) -> Any:
        whole, features = make(pipeline)
        next(each for each in whole.graph.node[-1].attribute if each.name == "class_weights").floats[0] += 0.5
        return whole, features

    monkeypatch.setattr(converting, "to_onnx", wrong)
    code, _, err = run(capsys, str(learned.folder / "trained_model"))
    assert code == 7
    assert "the predictions are not equal: 240 test rows" in err
    assert not (learned.folder / "trained_model-onnx").exists()


def test_nothing_that_is_no_model_is_overwritten(learned: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, str(learned.folder / "trained_model"), "--output", str(learned.folder))
    assert (code, "would be overwritten" in err) == (2, True)
    code, _, err = run(capsys, str(learned.folder / "trained_model"), "--output", str(learned.folder / "trained_model"))
    assert (code, "would be overwritten" in err) == (2, True)
    assert (learned.folder / "trained_model" / "MLmodel").is_file()


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a\n1\n")
    code, _, err = run(capsys, str(tmp_path), "--rows", str(rows), "--output", str(tmp_path / "out"))
    assert (code, "MLmodel" in err) == (2, True)
