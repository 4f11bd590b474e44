"""Step 5, register: judge the gates; a model that passes all becomes the next version, any other is refused.

In: what features, train and evaluate have left. Out: `quality_gate_status.txt`, `gates.json` (each miss, by how much, and what
to try), the model card, and `registered_model_info.json` only for a registered one.
"""

from __future__ import annotations

import os
import sys
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
from training.steps import command
from training.steps.evaluate import EVALUATION, Evaluation
from training.steps.features import ENGINEERED, METADATA, TEST_FILE, FeatureMetadata
from training.steps.train import MODEL_FOLDER, TRAINING_METRICS, TrainingMetrics
from training.target import read_target
from training.usecase import UseCase, load_use_case
from training.versions import digest, next_version

STATUS, VERDICT, INFO = "quality_gate_status.txt", "gates.json", "registered_model_info.json"
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


class Miss(BaseModel):
    """A gate that is missed, in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    said: str
    advice: str = Field(description="what to try")


class Verdict(BaseModel):
    """Whether the model may be registered, and what it was judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool
    missed: tuple[Miss, ...] = ()
    gates: Gates
    metrics: dict[str, float]
    model_hash: str


class GatesMissed(Exception):
    """The model was refused; `shortfalls` says why. Nothing was registered."""

    def __init__(self, missed: list[Shortfall]) -> None:
        super().__init__("; ".join(map(str, missed)))
        self.shortfalls = missed


@dataclass(frozen=True, slots=True)
class Sources:
    """The folders that the steps before have written into; one for all when they ran side by side on one machine."""

    features: Path
    trained: Path
    evaluated: Path

    @classmethod
    def below(cls, folder: Path) -> Sources:
        return cls(folder, folder, folder)

    @property
    def model(self) -> Path:
        return self.trained / MODEL_FOLDER


@dataclass(frozen=True, slots=True)
class Facts:
    """What the steps before have left."""

    features: FeatureMetadata
    training: TrainingMetrics
    evaluation: Evaluation
    footprint: footprint.Footprint

    @classmethod
    def read(cls, sources: Sources) -> Facts:
        """Read them, and measure the model's footprint."""
        return cls(
            features=FeatureMetadata.model_validate_json((sources.features / METADATA).read_text()),
            training=TrainingMetrics.model_validate_json((sources.trained / TRAINING_METRICS).read_text()),
            evaluation=Evaluation.model_validate_json((sources.evaluated / EVALUATION).read_text()),
            footprint=footprint.measure(sources.model, sources.features / ENGINEERED / TEST_FILE),
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


@dataclass(frozen=True, slots=True)
class Application:
    """What asks to be registered: the model's files, the name that it wants, and the tags that it brings."""

    sources: Sources
    name: str
    tags: Mapping[str, str]


def register(
    asks: Application, case: UseCase, gates: Gates, output: Path, *, facts: Facts | None = None
) -> RegisteredModelInfo:
    """Make the model the next version, in the active run. Raises `GatesMissed`, with the card written all the same.

    `gates`: the stack's; those of the use case come first.
    """
    facts, gates, client = facts or Facts.read(asks.sources), case.gates or gates, MlflowClient()
    missed = shortfalls(facts.measured(case), gates)
    tags = _tags(asks, facts, client)
    _write(output, case, facts, missed, gates, tags)
    mlflow.set_tag("gate_status", "FAILED" if missed else "PASSED")
    if missed:
        mlflow.set_tag("gate_shortfalls", "; ".join(each.said for each in missed))
        raise GatesMissed(missed)
    info = _make(asks, client, tags, facts, output)
    (output / INFO).write_text(info.model_dump_json(indent=2))
    return info


def _write(
    output: Path, case: UseCase, facts: Facts, missed: list[Shortfall], gates: Gates, tags: dict[str, str]
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / STATUS).write_text("FAILED\n" if missed else "PASSED\n")
    verdict = Verdict(
        passed=not missed,
        missed=tuple(Miss(gate=each.gate, said=each.said, advice=each.advice) for each in missed),
        gates=gates,
        metrics=facts.evaluation.metrics,
        model_hash=facts.training.model_hash,
    )
    (output / VERDICT).write_text(verdict.model_dump_json(indent=2))
    written = (facts.features, facts.training, facts.evaluation, facts.footprint)
    card.write_card(case, written, missed, tags, output)
    for file in (card.MARKDOWN, card.HTML):
        mlflow.log_artifact(str(output / file))


def _tags(asks: Application, facts: Facts, client: MlflowClient) -> dict[str, str]:
    """The caller's tags, hashes, metrics, and the semantic version that follows from them."""
    signature = yaml.safe_load((asks.sources.model / "MLmodel").read_text())["signature"]
    hashes = {
        "model_hash": facts.training.model_hash,
        "data_hash": facts.features.data_hash,
        "plan_hash": digest(facts.features.plan.model_dump(mode="json")),
        "signature_hash": digest([signature["inputs"], signature["outputs"]]),
    }
    metrics = {metric: f"{value:.4f}" for metric, value in facts.evaluation.metrics.items()}
    return {**asks.tags, **hashes, **metrics, "version": next_version(_last(client, asks.name), hashes)}


def _last(client: MlflowClient, name: str) -> Mapping[str, str] | None:
    """The tags of the newest version of `name`; None when there is none."""
    versions = client.search_model_versions(f"name = '{name}'", order_by=["version_number DESC"], max_results=1)
    return dict(versions[0].tags) if versions else None


def _make(
    asks: Application, client: MlflowClient, tags: dict[str, str], facts: Facts, output: Path
) -> RegisteredModelInfo:
    run = mlflow.active_run()
    assert run is not None  # nosec B101  # the caller opens it
    mlflow.log_artifacts(str(asks.sources.model), ARTIFACT)
    for file in (card.MARKDOWN, card.HTML):  # the card goes where the model goes, and is signed with it
        mlflow.log_artifact(str(output / file), ARTIFACT)
    made = mlflow.register_model(f"runs:/{run.info.run_id}/{ARTIFACT}", asks.name, tags=tags)
    client.set_registered_model_alias(asks.name, tags.get("environment", "latest"), made.version)
    return RegisteredModelInfo(
        name=made.name,
        version=str(made.version),
        semantic_version=tags["version"],
        run_id=run.info.run_id,
        model_hash=facts.training.model_hash,
        data_hash=facts.features.data_hash,
        tags=tags,
    )


def main(arguments: list[str] | None = None) -> int:
    """`python -m training.steps.register`."""
    made = command.parser("register", __doc__)
    command.folder(made, "features", METADATA)
    command.folder(made, "trained", MODEL_FOLDER)
    command.folder(made, "evaluated", EVALUATION)
    made.add_argument("--target", type=Path, help="the stack's gates (target.json); default: dev's")
    made.add_argument("--name", default="", help="register as; default: the use case's name")
    made.add_argument("--tags", default="", help="a JSON object of tags")
    args = made.parse_args(arguments)

    def work() -> int:
        command.needed(args.features, METADATA, ENGINEERED)
        command.needed(args.trained, MODEL_FOLDER, TRAINING_METRICS)
        command.needed(args.evaluated, EVALUATION)
        case, target = load_use_case(args.use_case), read_target(args.target)
        tags = {"stack": target.stack, "environment": target.environment, "use_case": case.name}
        # which pipeline made it
        tags |= {"job": job} if (job := os.environ.get("AZUREML_ROOT_RUN_ID", "")) else {}
        tags |= command.tags(args.tags)
        asks = Application(Sources(args.features, args.trained, args.evaluated), args.name or case.name, tags)
        try:
            with mlflow.start_run(run_name="register"):
                info = register(asks, case, target.gates, args.output)
        except GatesMissed as error:
            for each in error.shortfalls:
                command.log.error("gate refused: %s", each)
            return command.REFUSED
        command.log.info("registered %s:%s, version %s", info.name, info.version, info.semantic_version)
        return 0

    return command.run("register", work)


if __name__ == "__main__":
    sys.exit(main())
