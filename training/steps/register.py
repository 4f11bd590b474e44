"""Step 5, register: judge the gates; a model that passes all becomes the next version, any other is refused.

In: everything so far. Out: `quality_gate_status.txt`, the model card, and `registered_model_info.json` only for a registered one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
import yaml
from mlflow.tracking import MlflowClient
from pydantic import BaseModel, ConfigDict, Field

from contract.policy import Gates
from training import card, footprint
from training.gates import Measured, Shortfall, shortfalls
from training.steps.evaluate import EVALUATION, Evaluation
from training.steps.features import METADATA, TEST_FILE, FeatureMetadata
from training.steps.train import MODEL_FOLDER, TRAINING_METRICS, TrainingMetrics
from training.usecase import UseCase
from training.versions import digest, next_version

STATUS, INFO = "quality_gate_status.txt", "registered_model_info.json"
#: Where the model lies below its run.
ARTIFACT = "model"


class RegisteredModelInfo(BaseModel):
    """The version that was made, and what it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str = Field(description="the registry's number")
    semantic_version: str
    run_id: str
    model_hash: str
    data_hash: str
    tags: dict[str, str]


class GatesMissed(Exception):
    """The model was refused; `shortfalls` says why. Nothing was registered."""

    def __init__(self, missed: list[Shortfall]) -> None:
        super().__init__("; ".join(map(str, missed)))
        self.shortfalls = missed


@dataclass(frozen=True, slots=True)
class Facts:
    """What the steps before have left."""

    features: FeatureMetadata
    training: TrainingMetrics
    evaluation: Evaluation
    footprint: footprint.Footprint

    @classmethod
    def read(cls, folder: Path) -> Facts:
        """Read them below one folder, and measure the model's footprint."""
        model, rows = folder / MODEL_FOLDER, folder / "engineered_features" / TEST_FILE
        return cls(
            features=FeatureMetadata.model_validate_json((folder / METADATA).read_text()),
            training=TrainingMetrics.model_validate_json((folder / TRAINING_METRICS).read_text()),
            evaluation=Evaluation.model_validate_json((folder / EVALUATION).read_text()),
            footprint=footprint.measure(model, rows),
        )

    def measured(self, case: UseCase) -> Measured:
        """As the gates want it."""
        gaps = [each.odds_gap for each in self.evaluation.segments.values() if each.odds_gap is not None]
        return Measured(
            metrics=self.evaluation.metrics,
            cv_std=max(self.training.cv_std.values()),
            latency_ms=self.footprint.latency_ms,
            memory_mb=self.footprint.memory_mb,
            size_mb=self.footprint.size_mb,
            odds_gap=max(gaps, default=None),
            worse_than_baseline=self.evaluation.worse_than_baseline,
            p_value=self.evaluation.p_value,
            missing_in_card=card.missing_fields(case),
        )


def register(
    folder: Path, case: UseCase, gates: Gates, name: str, tags: Mapping[str, str], *, facts: Facts | None = None
) -> RegisteredModelInfo:
    """Make the model the next version of `name`, in the active run. Raises `GatesMissed`, with the card written all the same."""
    facts = facts or Facts.read(folder)
    missed = shortfalls(facts.measured(case), case.gates or gates)
    client = MlflowClient()
    described = _tags(folder, facts, client, name, tags)
    (folder / STATUS).write_text("FAILED\n" if missed else "PASSED\n")
    written = (facts.features, facts.training, facts.evaluation, facts.footprint)
    card.write_card(case, written, missed, described, folder)
    for file in (card.MARKDOWN, card.HTML):
        mlflow.log_artifact(str(folder / file))
    mlflow.set_tag("gate_status", "FAILED" if missed else "PASSED")
    if missed:
        mlflow.set_tag("gate_shortfalls", "; ".join(each.said for each in missed))
        raise GatesMissed(missed)
    return _make(folder, client, name, described, facts)


def _tags(folder: Path, facts: Facts, client: MlflowClient, name: str, tags: Mapping[str, str]) -> dict[str, str]:
    """The caller's tags, hashes, metrics, and the semantic version that follows from them."""
    signature = yaml.safe_load((folder / MODEL_FOLDER / "MLmodel").read_text())["signature"]
    hashes = {
        "model_hash": facts.training.model_hash,
        "data_hash": facts.features.data_hash,
        "plan_hash": digest(facts.features.plan.model_dump(mode="json")),
        "signature_hash": digest([signature["inputs"], signature["outputs"]]),
    }
    metrics = {metric: f"{value:.4f}" for metric, value in facts.evaluation.metrics.items()}
    return {**tags, **hashes, **metrics, "version": next_version(_last(client, name), hashes)}


def _last(client: MlflowClient, name: str) -> Mapping[str, str] | None:
    """The tags of the newest version of `name`; None when there is none."""
    versions = client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"], max_results=1)
    return dict(versions[0].tags) if versions else None


def _make(folder: Path, client: MlflowClient, name: str, tags: dict[str, str], facts: Facts) -> RegisteredModelInfo:
    run = mlflow.active_run()
    assert run is not None  # nosec B101  # the caller opens it
    for file in (card.MARKDOWN, card.HTML):  # the card goes where the model goes, and is signed with it
        shutil.copy2(folder / file, folder / MODEL_FOLDER / file)
    mlflow.log_artifacts(str(folder / MODEL_FOLDER), ARTIFACT)
    made = mlflow.register_model(f"runs:/{run.info.run_id}/{ARTIFACT}", name, tags=tags)
    client.set_registered_model_alias(name, tags.get("environment", "latest"), made.version)
    info = RegisteredModelInfo(
        name=made.name,
        version=str(made.version),
        semantic_version=tags["version"],
        run_id=run.info.run_id,
        model_hash=facts.training.model_hash,
        data_hash=facts.features.data_hash,
        tags=tags,
    )
    (folder / INFO).write_text(info.model_dump_json(indent=2))
    return info
