"""Only a model that passes every gate becomes a version; the card is written either way."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from contract.policy import Gates
from tests.training.conftest import CASE, Workshop
from training.steps.register import Application, Facts, GatesMissed, RegisteredModelInfo, Sources, Verdict, register
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
