"""From a table to a model that earned its place: what is refused, and why, is what the user reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contract.policy import Gates
from training.data import DataError, findings, read_table, split
from training.job import TrainingRequest, command_line, staged_code
from training.model import build
from training.result import TrainingResult
from training.run import main
from training.usecase import UseCase, UseCaseError, load_use_case

CASE = UseCase(name="churn", target="left", positive="yes", drop=("id",), min_rows=100)


def customers(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    """Customers who leave when they are charged a lot, and a bit by area."""
    random = np.random.default_rng(seed)
    charge = random.normal(50, 15, rows)
    area = random.choice(["north", "south"], rows)
    left = charge + 10 * (area == "north") + random.normal(0, 3, rows) > 65
    return pd.DataFrame(
        {
            "id": range(rows),
            "charge": charge,
            "calls": random.integers(0, 9, rows),
            "area": area,
            "left": np.where(left, "yes", "no"),
        }
    )


@pytest.fixture
def use_case(tmp_path: Path) -> Path:
    file = tmp_path / "case.yaml"
    file.write_text("name: churn\ntarget: left\npositive: 'yes'\ndrop: [id]\nmin_rows: 100\n")
    return file


@pytest.fixture
def tracking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(tmp_path)
    return uri


def train(tmp_path: Path, use_case: Path, table: pd.DataFrame, *options: str) -> int:
    table.to_csv(tmp_path / "table.csv", index=False)
    arguments = ["--data", str(tmp_path / "table.csv"), "--use-case", str(use_case), "--output", str(tmp_path / "out")]
    return main([*arguments, *options])


def test_a_good_model_is_registered_with_signature_example_and_tags(
    tmp_path: Path, use_case: Path, tracking: str
) -> None:
    import mlflow

    mlflow.set_tracking_uri(tracking)
    assert train(tmp_path, use_case, customers(), "--register-as", "churn", "--tag", "commit=abc") == 0
    result = TrainingResult.model_validate_json((tmp_path / "out" / "result.json").read_text())
    assert result.model == "churn:1"
    version = mlflow.MlflowClient().get_model_version("churn", "1")
    assert version.tags["commit"] == "abc"
    assert float(version.tags["accuracy"]) == pytest.approx(result.metrics["accuracy"], abs=1e-4)
    info = mlflow.models.get_model_info("models:/churn/1")
    assert [column.name for column in info.signature.inputs] == ["charge", "calls", "area"]
    assert info.saved_input_example_info is not None


def test_a_model_under_the_gates_is_refused_and_nothing_is_registered(
    tmp_path: Path, use_case: Path, tracking: str
) -> None:
    import mlflow

    mlflow.set_tracking_uri(tracking)
    noise = customers().assign(left=np.random.default_rng(3).choice(["yes", "no"], 400))
    assert train(tmp_path, use_case, noise, "--register-as", "churn") == 7
    result = TrainingResult.model_validate_json((tmp_path / "out" / "result.json").read_text())
    assert result.model is None
    assert any(line.startswith("accuracy") and "under 0.750" in line for line in result.shortfalls)
    assert (tmp_path / "out" / "quality_gate_status.txt").read_text() == "FAILED\n"
    assert mlflow.MlflowClient().search_registered_models() == []


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (customers().drop(columns="left"), "target column 'left' is missing"),
        (customers(99), "99 rows; at least 100 are needed"),
        (customers().assign(left="no"), "never is 'yes'"),
        (customers().assign(area="north"), "column 'area' is constant"),
        (customers().assign(charge=np.nan), "column 'charge' is missing in 100.0% of rows"),
        (customers().assign(left=lambda t: t.left.mask(t.index < 3)), "missing in 3 rows"),
    ],
)
def test_a_table_that_no_model_should_learn_from_is_refused_by_name(table: pd.DataFrame, reason: str) -> None:
    assert any(reason in line for line in findings(table, CASE))
    with pytest.raises(DataError):
        split(table, CASE)


def test_all_findings_are_told_at_once() -> None:
    assert len(findings(customers(50).assign(left="no", area="x"), CASE)) == 4


def test_wrong_arguments_end_with_2_and_say_what_is_wrong(
    tmp_path: Path, use_case: Path, tracking: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert train(tmp_path, use_case, customers(), "--params", "[1]") == 2
    assert train(tmp_path, use_case, customers(), "--gates", '{"accuracy": 1.5}') == 2
    assert train(tmp_path, tmp_path / "nothing.yaml", customers()) == 2
    assert "--params must be a JSON object" in caplog.text
    assert "less than or equal to 1" in caplog.text


def test_use_cases_are_found_by_name_and_their_mistakes_named(tmp_path: Path) -> None:
    assert load_use_case("churn").positive == "yes"
    with pytest.raises(UseCaseError, match="known: churn"):
        load_use_case("chrun")
    (tmp_path / "bad.yaml").write_text("name: churn\ntarget: left\npositive: 'yes'\ntest_share: 2\n")
    with pytest.raises(UseCaseError, match="test_share: Input should be less than 1"):
        load_use_case(str(tmp_path / "bad.yaml"))


def test_unreadable_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("not parquet")
    with pytest.raises(DataError, match=r"broken\.parquet"):
        read_table(tmp_path / "broken.parquet")


def test_the_encoder_ignores_or_refuses_categories_it_never_saw() -> None:
    parts = split(customers(), CASE)
    stranger = parts.test_x.head(1).assign(area="west")
    tolerant = build("xgboost", {}, parts.train_x, seed=1).fit(parts.train_x, parts.train_y)
    assert tolerant.predict_proba(stranger).shape == (1, 2)
    strict = build("xgboost", {}, parts.train_x, seed=1, unknown="error").fit(parts.train_x, parts.train_y)
    with pytest.raises(ValueError, match="unknown categories"):
        strict.predict_proba(stranger)


def test_training_twice_gives_the_same_model() -> None:
    parts = split(customers(), CASE)
    first, second = (
        build("xgboost", {}, parts.train_x, seed=1).fit(parts.train_x, parts.train_y).predict_proba(parts.test_x)
        for _ in "12"
    )
    assert (first == second).all()


def test_the_job_runs_the_same_module_with_the_stack_s_gates() -> None:
    request = TrainingRequest(
        Path("t.csv"), "churn", "cpu", Gates(recall=0.8), "churn", params={"max_depth": 3}, tags={"a": "it's"}
    )
    line = command_line(request)
    assert line.startswith("python -m training.run --data ${{inputs.data}} --output ${{outputs.report}}")
    assert json.dumps({"max_depth": 3}) in line
    assert '"recall":0.8' in line
    with staged_code() as folder:
        assert (folder / "training" / "run.py").is_file()
        assert (folder / "contract" / "policy.py").is_file()
        assert not list(folder.rglob("__pycache__"))
