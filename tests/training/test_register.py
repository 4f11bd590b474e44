"""Only a model that passes every gate becomes a version; the card is written either way."""

from __future__ import annotations

import shutil
from dataclasses import replace

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from contract.policy import Gates
from tests.training.conftest import CASE, Workshop
from training.steps.evaluate import evaluate
from training.steps.features import TARGET, TRAIN_FILE
from training.steps.register import Application, Facts, GatesMissed, RegisteredModelInfo, Sources, Verdict, register
from training.steps.train import train
from training.usecase import CardSettings, UseCase
from training.versions import next_version

TAGS = {"environment": "dev", "git_commit": "0a1b2c3"}


@pytest.fixture(scope="module")
def facts(_learned: Workshop) -> Facts:
    return Facts.read(Sources.below(_learned.folder))


def apply(shop: Workshop, name: str, case: UseCase, gates: Gates, facts: Facts) -> RegisteredModelInfo:
    return register(Application(Sources.below(shop.folder), name, TAGS), case, gates, shop.folder, facts=facts)


def versions(name: str) -> list[str]:
    return [each.version for each in MlflowClient().search_model_versions(f"name = '{name}'")]


def test_a_model_that_passes_becomes_a_version_with_its_lineage(learned: Workshop, facts: Facts) -> None:
    with mlflow.start_run() as run:
        info = apply(learned, "good", CASE, Gates(complete_card=True), facts)
    assert (info.version, info.semantic_version, info.run_id) == ("1", "1.0.0", run.info.run_id)
    assert (learned.folder / "quality_gate_status.txt").read_text() == "PASSED\n"
    made = MlflowClient().get_model_version_by_alias("good", "dev")
    assert made.tags["git_commit"] == "0a1b2c3"
    assert made.tags["model_hash"] == facts.training.model_hash
    assert made.tags["data_hash"] == facts.features.data_hash
    loaded = mlflow.pyfunc.load_model("models:/good@dev")
    assert loaded.metadata.metadata["threshold"] == facts.training.threshold
    read = RegisteredModelInfo.model_validate_json((learned.folder / "registered_model_info.json").read_text())
    assert read == info


def test_the_same_model_again_is_a_patch(learned: Workshop, facts: Facts) -> None:
    for expected in ("1.0.0", "1.0.1"):
        with mlflow.start_run():
            info = apply(learned, "again", CASE, Gates(), facts)
        assert info.semantic_version == expected


def test_a_refused_model_is_no_version_and_its_card_says_why(learned: Workshop, facts: Facts) -> None:
    poor = CASE.model_copy(update={"card": CardSettings()})
    with mlflow.start_run() as run, pytest.raises(GatesMissed) as caught:
        apply(learned, "bad", poor, Gates(accuracy=1.0, max_size_mb=0.001, complete_card=True), facts)
    assert [each.gate for each in caught.value.shortfalls] == ["accuracy", "size_mb", "card"]
    assert versions("bad") == []
    assert not (learned.folder / "registered_model_info.json").exists()
    assert (learned.folder / "quality_gate_status.txt").read_text() == "FAILED\n"
    verdict = Verdict.model_validate_json((learned.folder / "gates.json").read_text())
    assert [each.gate for each in verdict.missed] == ["accuracy", "size_mb", "card"]
    assert all(each.said and each.advice for each in verdict.missed)
    card = (learned.folder / "model_card.md").read_text()
    assert "Refused:" in card
    assert "card.owner" in card
    assert "gate_shortfalls" in mlflow.get_run(run.info.run_id).data.tags


#: Asks for nothing.
OPEN = Gates(
    accuracy=0, precision=0, recall=0, max_cv_std=None, max_latency_ms=None, max_memory_mb=None, max_size_mb=None
)


@pytest.mark.parametrize("gate", ["accuracy", "precision", "recall", "f1", "auc"])
def test_the_trained_model_a_hair_under_one_floor_is_refused_for_it_alone(
    learned: Workshop, facts: Facts, gate: str
) -> None:
    found = facts.measured(CASE).metrics[gate]
    refused_for(learned, facts, CASE, OPEN.model_copy(update={gate: found}), None)
    refused_for(learned, facts, CASE, OPEN.model_copy(update={gate: found + 1e-6}), gate)


@pytest.mark.parametrize("gate", ["cv_std", "latency_ms", "memory_mb", "size_mb", "odds_gap"])
def test_the_trained_model_a_hair_over_one_ceiling_is_refused_for_it_alone(
    learned: Workshop, facts: Facts, gate: str
) -> None:
    found = getattr(facts.measured(CASE), gate)
    refused_for(learned, facts, CASE, OPEN.model_copy(update={f"max_{gate}": found}), None)
    refused_for(learned, facts, CASE, OPEN.model_copy(update={f"max_{gate}": found * 0.999}), gate)


def test_the_trained_model_with_an_empty_card_is_refused_for_it_alone(learned: Workshop, facts: Facts) -> None:
    asks = OPEN.model_copy(update={"complete_card": True})
    refused_for(learned, facts, CASE, asks, None)
    refused_for(learned, facts, CASE.model_copy(update={"card": CardSettings()}), asks, "card")


def test_a_model_worse_than_what_serves_is_refused_for_it_alone(learned: Workshop, facts: Facts) -> None:
    """Learned from rows of which a third have the wrong target."""
    baseline = learned.folder / "serves"
    shutil.copytree(learned.folder / "trained_model", baseline)
    frame = pd.read_parquet(learned.engineered / TRAIN_FILE)
    frame.loc[frame.index % 3 == 0, TARGET] = 1 - frame[TARGET]
    frame.to_parquet(learned.engineered / TRAIN_FILE)
    with mlflow.start_run():
        train(learned.engineered, CASE, {}, learned.folder)
        found = evaluate(
            learned.folder / "trained_model", learned.engineered, CASE, learned.folder, ("churn:1", baseline)
        )
    worse = replace(facts, evaluation=found)
    refused_for(learned, worse, CASE, OPEN, None)
    refused_for(learned, worse, CASE, OPEN.model_copy(update={"not_worse_than_baseline": True}), "baseline")


def refused_for(shop: Workshop, facts: Facts, case: UseCase, gates: Gates, gate: str | None) -> None:
    """Registered when `gate` is None; else refused for that gate and no other, and not registered."""
    name = f"judged-{gate or 'well'}"
    before = versions(name)
    with mlflow.start_run():
        if gate is None:
            apply(shop, name, case, gates, facts)
            return
        with pytest.raises(GatesMissed) as caught:
            apply(shop, name, case, gates, facts)
    assert [each.gate for each in caught.value.shortfalls] == [gate]
    assert versions(name) == before == []


def test_the_card_has_what_a_reviewer_signs(learned: Workshop, facts: Facts) -> None:
    loud = CASE.model_copy(update={"description": "Will <b>this</b> customer leave?"})
    with mlflow.start_run():
        apply(learned, "carded", loud, Gates(), facts)
    card = (learned.folder / "model_card.md").read_text()
    for said in (
        "Every gate passed.",
        "Retention",
        "| north |",
        "Equalized-odds gap",
        "1,200 rows",
        "Mean absolute SHAP",
    ):
        assert said in card
    page = (learned.folder / "model_card.html").read_text()
    assert "<table>" in page
    assert "<b>" not in page, "values are text"


def test_versions_follow_what_changed() -> None:
    now = {"signature_hash": "s", "data_hash": "d", "plan_hash": "p"}
    assert next_version(None, now) == "1.0.0"
    assert next_version({**now, "version": "1.4.2"}, now) == "1.4.3"
    assert next_version({**now, "version": "1.4.2", "data_hash": "other"}, now) == "1.5.0"
    assert next_version({**now, "version": "1.4.2", "plan_hash": "other"}, now) == "1.5.0"
    assert next_version({**now, "version": "1.4.2", "signature_hash": "other"}, now) == "2.0.0"
    assert next_version({"version": "by hand"}, now) == "1.0.0"
