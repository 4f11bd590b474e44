"""`rollout batch`: a trained model scores a table of 10,000 rows on a cluster, as it would row by row here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rollout.cli import app
from tests.conftest import forget_consoles
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.jobs import pool
from tests.sandbox.ml_workspace import MlWorkspace, workspace
from tests.unit.cli_rig import outputs_document

pytestmark = pytest.mark.sandbox

PACKAGES = ("mlflow-skinny", "numpy", "pandas", "pyarrow", "scikit-learn", "skops")
THRESHOLD, HOURLY = 0.3, 0.6
ROWS = 10_000


def customers(count: int, seed: int = 7) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {"customer": [f"c{number}" for number in range(count)], "minutes": draw.gamma(2.0, 90.0, count),
         "calls": draw.integers(0, 9, count)}
    )  # fmt: skip


def train(folder: Path, seed: int) -> Any:
    """A logistic regression, kept as our training keeps models."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    rows = customers(500, seed).drop(columns="customer")
    labels = (rows["minutes"] + 40 * rows["calls"] + np.random.default_rng(seed).normal(0, 60, 500) > 320).astype(int)
    model = LogisticRegression(max_iter=500).fit(rows, labels)
    mlflow.sklearn.save_model(
        model, str(folder), signature=infer_signature(rows, model.predict_proba(rows)), pyfunc_predict_fn="predict_proba",
        serialization_format="skops", pip_requirements=[f"{name}=={version(name)}" for name in PACKAGES],
        metadata={"classes": ["no", "yes"], "threshold": THRESHOLD},
    )  # fmt: skip
    return model


@dataclass
class Desk:
    """A stack with one batch endpoint, two versions of a model, and the command line."""

    ws: MlWorkspace
    folder: Path
    models: dict[str, Any]
    capsys: pytest.CaptureFixture[str] | None = None

    def run(self, *words: str, code: int = 0) -> str:
        """What `rollout batch ...` printed."""
        assert self.capsys is not None
        forget_consoles()
        ended = app.run(["batch", *words, "--outputs", str(self.folder / "outputs.json")])
        said = self.capsys.readouterr()
        assert ended == code, said.err
        return said.out if code == 0 else " ".join(said.err.split())

    def answers(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(*words, "--json").splitlines()]

    def write(self, rows: pd.DataFrame, name: str) -> str:
        path = self.folder / name
        rows.to_csv(path, index=False) if name.endswith("csv") else rows.to_parquet(path, index=False)
        return str(path)


def outputs(ws: MlWorkspace) -> dict[str, Any]:
    document = outputs_document()
    inner = document.get("rollout", document)
    subscription, group, name = ws.id.split("/")[2], ws.id.split("/")[4], ws.id.split("/")[-1]
    endpoint = ws.client.batch_endpoints.get("churn-batch")
    inner |= {"subscription_id": subscription, "resource_group": group, "endpoints": {}}
    inner["workspace"] |= {
        "name": name, "id": ws.id, "mlflow_tracking_uri": ws.sandbox.settings.url("mlflow"),
    }  # fmt: skip
    inner["clusters"] = {
        "pool": {"name": "pool", "vm_size": "Standard_DS3_v2", "tier": "Dedicated", "min_nodes": 0, "max_nodes": 2,
                 "usd_per_hour": HOURLY}
    }  # fmt: skip
    deployment = {
        "cluster": "pool", "instances": 2, "mini_batch_size": 2, "max_concurrency_per_instance": 1, "retries": 1,
        "timeout_seconds": 60, "error_threshold": -1, "output_file": "predictions.csv",
    }  # fmt: skip
    made = {"name": "churn-batch", "id": f"{ws.id}/batchEndpoints/churn-batch", "scoring_uri": endpoint.scoring_uri}
    inner["batch_endpoints"] = {"churn": {**made, "model_name": "churn", "deployment": deployment}}
    return document


@pytest.fixture(scope="module")
def office(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    from azure.ai.ml.entities import BatchEndpoint, Model

    folder = tmp_path_factory.mktemp("desk")
    with workspace(sandbox, "ws-scoring") as ws:
        pool(ws, "pool", 2)
        ws.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name="churn-batch")).result()
        models = {}
        for number in ("1", "2"):
            models[number] = train(folder / f"model-{number}", int(number))
            path = str(folder / f"model-{number}")
            ws.client.models.create_or_update(Model(name="churn", version=number, path=path, type="mlflow_model"))
        (folder / "outputs.json").write_text(json.dumps(outputs(ws)))
        yield Desk(ws, folder, models)


@pytest.fixture
def desk(office: Desk, capsys: pytest.CaptureFixture[str]) -> Desk:
    office.capsys = capsys
    return office


def test_an_endpoint_without_deployment_says_how_to_make_one(desk: Desk) -> None:
    data = desk.write(customers(10), "few.parquet")
    said = desk.run("score", "churn", "--data", data, "--output", str(desk.folder / "out.parquet"), code=6)
    assert "has no default deployment way out: rollout batch deploy" in said


def test_a_table_is_scored_as_row_by_row_and_joined_to_its_rows(desk: Desk) -> None:
    assert "is the default of churn-batch" in desk.run("deploy", "churn", "--model", "churn:1")
    rows = customers(ROWS)
    data, output = desk.write(rows, "rows.parquet"), desk.folder / "scored.parquet"
    words = ("score", "churn", "--data", data, "--output", str(output), "--rows-per-file", "1000")
    estimated = desk.answers(*words, "--dry-run")[0]
    assert (estimated["rows"], estimated["files"], estimated["mini_batches"]) == (ROWS, 10, 5)
    assert "assumed" in estimated["basis"]

    told = desk.answers(*words)
    assert "5 of 5 mini batches processed, 0 failed" in told[-2]["progress"]
    end = told[-1]
    assert (end["rows"], end["scored"], end["rejected"], end["rejects"]) == (ROWS, ROWS, 0, None)
    scored = pd.read_parquet(output)
    pd.testing.assert_frame_equal(scored[list(rows.columns)], rows)
    here = desk.models["1"].predict_proba(rows.drop(columns="customer"))
    assert np.abs(scored[["probability_no", "probability_yes"]].to_numpy() - here).max() < 1e-9
    assert scored["prediction"].tolist() == np.where(here[:, 1] >= THRESHOLD, "yes", "no").tolist()

    shown = desk.answers("show", "churn")[0]
    job = shown["jobs"][0]
    assert (job["job"], job["rows"], job["nodes"]) == (end["job"], ROWS, 2)
    cost = job["seconds"] * 2 / 3600 * HOURLY / ROWS * 1000
    assert end["usd_per_thousand"]["batch"] == pytest.approx(cost)
    assert end["basis"]["online"] == "the use case has no online endpoint"
    assert "the last job" in desk.answers(*words, "--dry-run")[0]["basis"]


def test_a_result_is_fetched_by_whoever_has_the_table(desk: Desk) -> None:
    job = desk.answers("show", "churn")[0]["jobs"][0]["job"]
    output = desk.folder / "again.csv"
    end = desk.answers("result", "churn", job, "--data", str(desk.folder / "rows.parquet"), "--output", str(output))[-1]
    assert end["scored"] == ROWS
    assert (
        pd.read_csv(output)["customer"].tolist() == pd.read_parquet(desk.folder / "scored.parquet")["customer"].tolist()
    )
    other = desk.write(customers(ROWS, seed=8), "other.parquet")
    assert "did not score" in desk.run("result", "churn", job, "--data", other, "--output", str(output), code=2)


def test_rows_that_the_model_can_not_take_are_refused_by_number_and_the_others_scored(desk: Desk) -> None:
    rows = customers(300).astype(object)
    rows.loc[17, "minutes"], rows.loc[120, "calls"], rows.loc[299, "calls"] = "a secret", "", "2.5"
    output = desk.folder / "mixed.csv"
    said = desk.run("score", "churn", "--data", desk.write(rows, "mixed-in.csv"), "--output", str(output))
    assert "297 of 300 rows are scored" in said
    refused = pd.read_csv(desk.folder / "mixed.rejects.csv")
    assert refused.to_dict("list") == {
        "row": [17, 120, 299],
        "reason": ["minutes: not a number", "calls: not a whole number", "calls: not a whole number"],
    }
    assert len(pd.read_csv(output)) == 297


def test_a_later_model_is_undone(desk: Desk) -> None:
    first = desk.answers("list")[0]["default"]
    second = desk.answers("deploy", "churn", "--model", "churn:2")[0]
    assert second["before"] == first
    assert desk.answers("deploy", "churn", "--model", "churn:2")[0]["before"] == first, "again changes nothing"
    rows = customers(50)
    data, output = desk.write(rows, "fifty.parquet"), desk.folder / "fifty-scored.parquet"
    desk.run("score", "churn", "--data", data, "--output", str(output))
    here = desk.models["2"].predict_proba(rows.drop(columns="customer"))[:, 1]
    assert np.abs(pd.read_parquet(output)["probability_yes"] - here).max() < 1e-9
    assert desk.answers("deploy", "churn", "--undo", "--dry-run")[0]["default"] == first
    assert desk.answers("deploy", "churn", "--undo")[0] == {
        "endpoint": "churn-batch", "default": first, "before": second["default"], "dry_run": False,
    }  # fmt: skip
    assert "no deployment before" in desk.run("deploy", "churn", "--undo", code=2)


def test_azures_own_script_scores_without_ours(desk: Desk) -> None:
    desk.run("deploy", "churn", "--model", "churn:1", "--no-code")
    rows = customers(100).drop(columns="customer")
    output = desk.folder / "plain.parquet"
    desk.run("score", "churn", "--data", desk.write(rows, "plain-in.parquet"), "--output", str(output))
    assert len(pd.read_parquet(output)) == 100
    desk.run("deploy", "churn", "--undo")


def test_bad_input_is_refused_before_anything_is_sent(desk: Desk) -> None:
    data, output = desk.write(customers(5).drop(columns="calls"), "lacking.parquet"), str(desk.folder / "x.parquet")
    assert "missing columns: calls" in desk.run("score", "churn", "--data", data, "--output", output, code=2)
    good = desk.write(customers(5), "five.parquet")
    assert "unknown file type '.json'" in desk.run("score", "churn", "--data", good, "--output", "x.json", code=2)
    assert "has no batch endpoint 'shop'" in desk.run("score", "shop", "--data", good, "--output", output, code=6)
    assert "churn:99" in desk.run("deploy", "churn", "--model", "churn:99", code=6)
    assert "name a model, or say --undo" in desk.run("deploy", "churn", code=2)
    (desk.folder / "code").mkdir()
    said = desk.run("deploy", "churn", "--model", "churn:1", "--code", str(desk.folder / "code"), code=2)
    assert "no batch script in it" in said
