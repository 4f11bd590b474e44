"""The six commands in a row on one machine, as the jobs run them; and how each says no."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow.tracking import MlflowClient

from contract.policy import Gates
from demo.stage import ROOT
from tests.training.conftest import CASE, Workshop, customers
from training.steps import evaluate, features, prepare, register, train, validate
from training.target import Target
from training.usecase import CardSettings, SearchSettings, write_use_case


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A table, a use case and a target, as a job is given them."""
    customers().to_csv(tmp_path / "table.csv", index=False)
    write_use_case(CASE, tmp_path / "case.yaml")
    (tmp_path / "target.json").write_text(Target(gates=Gates(complete_card=True)).model_dump_json())
    return tmp_path


def step(main: object, files: Path, *options: str) -> int:
    given = ["--use-case", str(files / "case.yaml"), "--output", str(files / "out"), *options]
    code = main(given)  # type: ignore[operator]
    assert isinstance(code, int)
    return code


def first_steps(files: Path) -> None:
    out = str(files / "out")
    assert step(validate.main, files, "--data", str(files / "table.csv")) == 0
    assert step(features.main, files, "--validated", out) == 0
    assert step(train.main, files, "--features", out, "--target", str(files / "target.json")) == 0
    assert step(evaluate.main, files, "--features", out, "--trained", out) == 0


def asked(files: Path, name: str, *options: str) -> int:
    out = str(files / "out")
    told = ("--features", out, "--trained", out, "--evaluated", out, "--target", str(files / "target.json"))
    return step(register.main, files, *told, "--name", name, *options)


def test_from_a_table_to_the_files_of_a_deployment(files: Path, learned: Workshop) -> None:
    first_steps(files)
    assert asked(files, "six", "--tags", '{"git_commit": "0a1b"}') == 0
    made = MlflowClient().get_model_version("six", "1")
    assert (made.tags["git_commit"], made.tags["environment"], made.tags["use_case"]) == ("0a1b", "dev", "churn")
    out = files / "out"
    told = ("--registered", str(out), "--trained", str(out), "--target", str(files / "target.json"))
    assert step(prepare.main, files, *told) == 0
    hashes = [
        json.loads((place / "training_metrics.json").read_text())["model_hash"] for place in (out, learned.folder)
    ]
    assert hashes[0] == hashes[1], "the commands and the functions make the same model"

    from azure.ai.ml import load_online_deployment, load_online_endpoint

    endpoint = load_online_endpoint(out / "endpoint_spec.yaml")
    deployment = load_online_deployment(out / "deployment_config.json")
    assert (endpoint.name, deployment.endpoint_name) == ("churn-dev", "churn-dev")
    assert str(deployment.model).endswith("six:1")
    scaling = json.loads((out / "scaling_policy.json").read_text())["properties"]
    assert scaling["targetResourceUri"].endswith(f"/deployments/{deployment.name}")
    assert scaling["profiles"][0]["capacity"] == {"minimum": "1", "maximum": "10", "default": "1"}


def test_a_refused_model_ends_with_7_and_leaves_its_papers(files: Path, learned: Workshop) -> None:
    noise = customers()
    noise["left"] = np.random.default_rng(3).permutation(noise["left"])
    noise.to_csv(files / "table.csv", index=False)
    write_use_case(CASE.model_copy(update={"card": CardSettings()}), files / "case.yaml")
    first_steps(files)
    assert asked(files, "noise") == 7
    out = files / "out"
    verdict = register.Verdict.model_validate_json((out / "gates.json").read_text())
    missed = {each.gate: each.said for each in verdict.missed}
    assert {"accuracy", "precision", "recall", "card"} <= set(missed)
    assert "under 0.750" in missed["accuracy"]
    assert (out / "quality_gate_status.txt").read_text() == "FAILED\n"
    assert "Refused:" in (out / "model_card.md").read_text()
    assert not (out / "registered_model_info.json").exists()
    assert MlflowClient().search_registered_models("name = 'noise'") == []


def test_a_refused_table_ends_with_2_and_leaves_its_report(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    customers(999).assign(months=3).to_csv(files / "table.csv", index=False)
    assert step(validate.main, files, "--data", str(files / "table.csv")) == 2
    assert "999 rows; at least 1000 are needed" in caplog.text
    assert "column 'months' is constant" in caplog.text
    assert len(json.loads((files / "out" / "validation_report.json").read_text())["findings"]) == 2


def test_wrong_inputs_end_with_2_and_are_named(
    files: Path, learned: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    here, nothing = str(learned.folder), str(files / "nothing")
    assert step(features.main, files, "--validated", nothing) == 2
    assert "has no validated_data" in caplog.text
    (files / "target.json").write_text('{"gates": {"accuracy": 2}}')
    assert step(train.main, files, "--features", here, "--target", str(files / "target.json")) == 2
    assert "gates.accuracy" in caplog.text
    given = ("--features", here, "--trained", here, "--evaluated", here)
    assert step(register.main, files, *given, "--tags", "[1]") == 2
    assert step(register.main, files, *given, "--tags", "{") == 2
    assert "is not a JSON object" in caplog.text
    (files / "case.yaml").write_text("name: x")
    assert step(validate.main, files) == 2
    assert "target: Field required" in caplog.text


def test_a_trial_of_a_sweep_takes_its_parameters_and_does_not_search(files: Path, learned: Workshop) -> None:
    assert step(train.main, files, "--features", str(learned.folder), "--max-depth", "2", "--learning-rate", "0.2") == 0
    found = train.TrainingMetrics.model_validate_json((files / "out" / "training_metrics.json").read_text())
    assert (found.params, found.trials) == ({"max_depth": 2, "learning_rate": 0.2}, 1)


def test_the_model_that_serves_is_what_drift_and_quality_are_measured_against(
    files: Path, learned: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    baseline = str(learned.folder / "trained_model")
    assert step(validate.main, files, "--data", str(files / "table.csv"), "--baseline", baseline) == 0
    moved = customers()
    moved["charge"] += 20
    moved.to_csv(files / "moved.csv", index=False)
    assert step(validate.main, files, "--data", str(files / "moved.csv"), "--baseline", baseline) == 2
    assert "column 'charge' has drifted" in caplog.text
    told = ("--features", str(learned.folder), "--trained", str(learned.folder), "--baseline", baseline)
    assert step(evaluate.main, files, *told, "--baseline-name", "churn:1") == 0
    said = json.loads((files / "out" / "improvement.json").read_text())
    assert (said["baseline"], said["improvement"]["auc"], said["worse"]) == ("churn:1", 0, False)


def test_a_baseline_that_does_not_fit_is_named(
    files: Path, learned: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    told = ("--features", str(learned.folder), "--trained", str(learned.folder), "--baseline-name", "churn:1")
    assert step(evaluate.main, files, *told, "--baseline", str(files / "nothing")) == 2
    assert "the baseline churn:1 can't be loaded" in caplog.text
    described = yaml.safe_load((learned.folder / "trained_model" / "MLmodel").read_text())
    assert described["metadata"]["classes"] == ["no", "yes"]


def test_a_score_in_bins_is_learned_as_several_classes(files: Path, learned: Workshop) -> None:
    ideas = customers()
    ideas["viability_score"] = (ideas["charge"] * (10 - ideas["calls"]) / 6).clip(0, 100)
    ideas.drop(columns=["left", "email", "id"]).to_csv(files / "table.csv", index=False)
    from training.usecase import load_use_case

    case = load_use_case("viability")
    quick = SearchSettings(trials=1, folds=3, max_rounds=40, early_stopping_rounds=5)
    write_use_case(case.model_copy(update={"search": quick}), files / "case.yaml")
    first_steps(files)
    found = evaluate.Evaluation.model_validate_json((files / "out" / "evaluation_metrics.json").read_text())
    assert found.classes == ("poor", "weak", "promising", "strong")
    assert found.threshold is None
    assert found.metrics["auc"] > 0.9


def test_a_table_that_nobody_has_seen_is_learned_with_one_file_and_passes_prods_gates(
    files: Path, learned: Workshop
) -> None:
    """10,000 rows, numbers only, a target of 0 and 1; the gates are those of Pulumi.prod.yaml."""
    random = np.random.default_rng(23)
    table = pd.DataFrame(random.normal(size=(10_000, 8)), columns=[f"reading_{number}" for number in range(8)])
    signal = table["reading_0"] * 2 + table["reading_1"] * table["reading_2"] * 1.5 - table["reading_5"]
    table["failed"] = (signal + random.normal(scale=0.3, size=len(table)) > 0.8).astype(int)
    table.to_csv(files / "table.csv", index=False)
    (files / "case.yaml").write_text(
        f"name: pumps\ndescription: Will this pump fail?\ntarget: failed\npositive: 1\nsearch: {{trials: 1, folds: 5}}\n"
        f"card: {json.dumps(CASE.card.model_dump())}\n"
    )
    stack = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]["azureml-rollouts:gates"]
    gates = Gates.model_validate({re.sub("([A-Z])", r"_\1", name).lower(): value for name, value in stack.items()})
    (files / "target.json").write_text(Target(stack="prod", environment="prod", gates=gates).model_dump_json())
    first_steps(files)
    assert asked(files, "pumps") == 0
    assert (gates.accuracy, gates.complete_card, gates.not_worse_than_baseline) == (0.9, True, True)
