"""Features without leakage, a model that is the same twice, and a judgement on rows that it never saw."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.conftest import CASE, FLOORS, ROWS, Workshop, customers
from training.comparison import compare
from training.learning import cross_validate, make_folds
from training.scores import best_threshold, metrics, predicted
from training.steps.evaluate import Evaluation, evaluate, load
from training.steps.features import ENCODED_FILE, TARGET, TEST_FILE, TRAIN_FILE, FeatureMetadata, engineer, features_of
from training.steps.train import TrainingMetrics, train
from training.steps.validate import validate
from training.usecase import FeatureSettings, UseCase


def metadata(shop: Workshop) -> FeatureMetadata:
    return FeatureMetadata.model_validate_json((shop.folder / "feature_metadata.json").read_text())


def test_features_are_chosen_and_the_test_rows_set_aside(learned: Workshop) -> None:
    found = metadata(learned)
    assert (found.rows, found.train_rows, found.test_rows) == (ROWS, 960, 240)
    assert set(found.plan.columns) == {"charge", "calls", "months", "area", "email"}, "ids are no features"
    assert "charge * calls" in found.plan.kept
    assert max(found.importance.values()) == 1
    assert all(found.importance[name] < CASE.features.min_importance for name in found.dropped)
    train_rows = pd.read_parquet(learned.engineered / TRAIN_FILE)
    test_rows = pd.read_parquet(learned.engineered / TEST_FILE)
    assert test_rows[TARGET].mean() == pytest.approx(train_rows[TARGET].mean(), abs=0.01), "stratified"
    encoded = pd.read_parquet(learned.engineered / ENCODED_FILE)
    assert list(encoded.columns) == list(found.plan.kept)


def test_a_category_that_says_nothing_is_encoded_as_nothing(tmp_path: Path) -> None:
    """One category a row: encoded with its own target it would tell all; out of fold it tells nothing."""
    table = customers()
    table["email"] = [f"{number}@example.com" for number in range(len(table))]
    table.to_csv(tmp_path / "table.csv", index=False)
    case = CASE.model_copy(update={"features": FeatureSettings(min_importance=0.0)})
    validate(tmp_path / "table.csv", case, tmp_path)
    found = engineer(tmp_path / "validated_data", case, tmp_path)
    encoded = pd.read_parquet(tmp_path / "engineered_features" / ENCODED_FILE)
    target = pd.read_parquet(tmp_path / "engineered_features" / TRAIN_FILE)[TARGET]
    assert abs(np.corrcoef(encoded["email"], target)[0, 1]) < 0.15
    assert found.importance["email"] < 0.2


def test_folds_are_encoded_without_their_judged_rows(learned: Workshop) -> None:
    plan = metadata(learned).plan
    frame = pd.read_parquet(learned.engineered / TRAIN_FILE)
    x, y = features_of(frame, plan), frame[TARGET].to_numpy()
    noise = np.random.default_rng(5).permutation(y)
    parts = make_folds(x, noise, plan, 3)
    guessed = cross_validate(parts, noise, plan, {"max_depth": 3, "learning_rate": 0.1}, CASE.search)
    assert abs(guessed.mean("auc") - 0.5) < 0.08, "nothing can be learned from shuffled targets"


def test_the_same_table_gives_the_same_model(learned: Workshop, tmp_path: Path) -> None:
    first = TrainingMetrics.model_validate_json((learned.folder / "training_metrics.json").read_text())
    with mlflow.start_run():
        again = train(learned.engineered, CASE, FLOORS, tmp_path / "again")
    assert again == first
    with mlflow.start_run():
        shorter = CASE.search.model_copy(update={"max_rounds": 10})
        other = train(learned.engineered, CASE.model_copy(update={"search": shorter}), FLOORS, tmp_path / "other")
    assert other.model_hash != first.model_hash


def test_training_is_tracked_with_every_trial(learned: Workshop) -> None:
    runs = mlflow.search_runs(search_all_experiments=True)
    trials = runs[runs["tags.mlflow.runName"].str.startswith("trial-")]
    assert len(trials) >= CASE.search.trials
    assert trials["metrics.cv_auc"].notna().all()
    parent = runs[runs["tags.mlflow.runName"] == "train"].iloc[-1]
    assert {"metrics.cv_f1", "metrics.rival_cv_auc", "metrics.auc", "params.threshold"} <= set(runs.columns)
    assert parent["params.max_depth"]


def test_a_model_is_stored_without_pickle_and_a_pickled_one_is_not_loaded(learned: Workshop) -> None:
    folder = learned.folder / "trained_model"
    assert not list(folder.rglob("*.pkl"))
    model, threshold = load(folder)
    assert 0 < (threshold or 0) < 1
    described = (folder / "MLmodel").read_text()
    (folder / "MLmodel").write_text(
        described.replace("serialization_format: skops", "serialization_format: cloudpickle")
    )
    with pytest.raises(ValueError, match="only skops is loaded here"):
        load(folder)
    assert model.predict_proba(pd.read_parquet(learned.engineered / TEST_FILE)).shape == (240, 2)


def test_the_evaluation_says_how_good_for_whom_and_why(learned: Workshop) -> None:
    found = Evaluation.model_validate_json((learned.folder / "evaluation_metrics.json").read_text())
    assert found.metrics["auc"] > 0.9
    for name, (low, high) in found.intervals.items():
        assert low <= found.metrics[name] <= high
    assert sum(map(sum, found.confusion)) == found.rows == 240
    assert set(found.segments["area"].groups) == {"north", "south", "west"}
    assert 0 <= (found.segments["area"].odds_gap or 0) <= 1
    assert set(list(found.shap)[:2]) <= {"calls", "charge", "charge * calls"}, "what the table was made of"
    for picture in ("confusion_matrix.png", "calibration.png", "shap.png"):
        assert (learned.folder / picture).read_bytes()[:4] == b"\x89PNG"
    assert json.loads((learned.folder / "improvement.json").read_text()) == {"baseline": None}


def test_a_worse_model_is_told_from_the_baseline(learned: Workshop, tmp_path: Path) -> None:
    frame = pd.read_parquet(learned.engineered / TRAIN_FILE)
    frame[TARGET] = np.random.default_rng(3).permutation(frame[TARGET])
    frame.to_parquet(learned.engineered / TRAIN_FILE)
    with mlflow.start_run():
        train(learned.engineered, CASE, {}, tmp_path / "worse")
        baseline = ("churn:1", learned.folder / "trained_model")
        found = evaluate(tmp_path / "worse" / "trained_model", learned.engineered, CASE, tmp_path / "worse", baseline)
    assert found.worse_than_baseline
    assert (found.p_value or 1) < 0.05
    said = json.loads((tmp_path / "worse" / "improvement.json").read_text())
    assert said["improvement"]["auc"] < 0
    assert said["intervals"]["auc"][1] < 0


def test_mcnemar_counts_who_is_right_alone() -> None:
    truth = np.array([1] * 20)
    good, bad = np.tile([0.1, 0.9], (20, 1)), np.tile([0.1, 0.9], (20, 1))
    bad[:10] = [0.9, 0.1]
    found = compare(truth, (bad, 0.5), (good, 0.5), seed=1)
    assert (found.only_new_right, found.only_baseline_right) == (0, 10)
    assert found.p_value == pytest.approx(2 * 0.5**10), "ten fair coins, two-sided"
    assert found.worse
    assert compare(truth, (good, 0.5), (good, 0.5), seed=1).p_value == 1


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=20, max_size=60).filter(
        lambda r: len({t for t, _ in r}) == 2
    )
)
def test_the_tuned_threshold_has_the_widest_smallest_margin(rows: list[tuple[bool, float]]) -> None:
    truth = np.array([int(positive) for positive, _ in rows])
    probability = np.array([[1 - share, share] for _, share in rows])
    floors = {"precision": 0.6, "recall": 0.6}

    def margin(threshold: float) -> float:
        found = metrics(truth, probability, threshold)
        return min(found[name] - floor for name, floor in floors.items())

    tuned = best_threshold(truth, probability, floors)
    assert 0.05 <= tuned <= 0.95
    assert margin(tuned) >= max(margin(each) for each in (0.1, 0.25, 0.5, 0.75, 0.9)) - 1e-9


def test_several_classes_go_to_the_likeliest() -> None:
    assert list(predicted(np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]]), None)) == [1, 0]


def test_a_score_in_bins_is_learned_as_classes(tmp_path: Path) -> None:
    """Viability: a number from 0 to 100, in three bins."""
    table = customers()
    table["score"] = (100 - table["charge"]).clip(0, 100)
    case = UseCase(
        name="viability",
        target="score",
        task="multiclass",
        bins=(40, 60),
        labels=("low", "fair", "good"),
        ids=("id",),
        drop=("charge", "left"),
        search=CASE.search,
    )
    table["hint"] = table["charge"] + np.random.default_rng(4).normal(0, 5, len(table))
    table.to_parquet(tmp_path / "table.parquet")
    report = validate(tmp_path / "table.parquet", case, tmp_path)
    assert set(report.classes) == {"low", "fair", "good"}
    found = engineer(tmp_path / "validated_data", case, tmp_path)
    assert found.plan.classes == ("low", "fair", "good"), "as they rise"
    with mlflow.start_run():
        trained = train(tmp_path / "engineered_features", case, {}, tmp_path)
        judged = evaluate(tmp_path / "trained_model", tmp_path / "engineered_features", case, tmp_path)
    assert trained.threshold is None
    assert judged.metrics["accuracy"] > 0.6
    assert len(judged.confusion) == 3
