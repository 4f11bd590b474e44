"""Step 3, train: the search, the model, and its simple rival.

In: `engineered_features/`. Out: `trained_model/` (an MLflow model, stored without pickle), `training_metrics.json`,
`feature_importance.json`. All of it is tracked: a run for the step, a nested one for each trial.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from pydantic import BaseModel, ConfigDict, Field
from sklearn.pipeline import Pipeline

from training.fingerprint import fingerprint
from training.gates import floors
from training.learning import (
    CrossValidation,
    Trial,
    cross_validate,
    cross_validate_rival,
    fit,
    make_folds,
    search_parameters,
)
from training.plan import FeaturePlan
from training.scores import Ints, best_threshold, metrics
from training.scoring.describe import describe
from training.scoring.predictor import TRUSTED as TRUSTED
from training.steps import command
from training.steps.features import (
    ENGINEERED,
    METADATA,
    TARGET,
    TEST_FILE,
    TRAIN_FILE,
    FeatureMetadata,
    features_of,
)
from training.steps.validate import PROFILE_FILE
from training.target import read_target
from training.usecase import UseCase, load_use_case

MODEL_FOLDER = "trained_model"
TRAINING_METRICS, IMPORTANCE = "training_metrics.json", "feature_importance.json"
#: What the served model needs; the inference environment is built from it.
SERVING_PACKAGES = ("mlflow-skinny", "numpy", "pandas", "scikit-learn", "skops", "xgboost-cpu")
EXAMPLE_ROWS = 5
#: Parameters of XGBoost that can be given instead of searched: type, and what they are.
FIXED: Mapping[str, tuple[Callable[[str], float], str]] = {
    "learning_rate": (float, "how much each tree counts"),
    "max_depth": (int, "levels of a tree"),
    "min_child_weight": (float, "least weight of a leaf"),
    "subsample": (float, "share of rows that a tree sees"),
    "colsample_bytree": (float, "share of features that a tree sees"),
    "reg_lambda": (float, "L2 penalty on leaves"),
}


class TrainingMetrics(BaseModel):
    """What training knows of the model. Scores are out of fold, at 0.5; `at_threshold` is at the tuned threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    params: dict[str, Any]
    rounds: int
    threshold: float | None = Field(description="of the positive class; None: the likeliest of several classes")
    cv_mean: dict[str, float]
    cv_std: dict[str, float]
    at_threshold: dict[str, float]
    rival_cv_mean: dict[str, float] = Field(description="logistic regression on the same folds")
    trials: int
    model_hash: str
    loss: tuple[float, ...] = Field(description="mean validation loss a boosting round; falls when training converges")


def train(
    engineered: Path,
    case: UseCase,
    floors: Mapping[str, float],
    output: Path,
    *,
    threads: int = 1,
    fixed: Mapping[str, Any] | None = None,
) -> TrainingMetrics:
    """Search, fit, store. `floors`: the gates that the threshold is tuned toward, on out-of-fold predictions only.

    `fixed`: parameters of XGBoost to take as they are, as a trial of a sweep does; there is no search then.
    """
    metadata = FeatureMetadata.model_validate_json((engineered / METADATA).read_text())
    plan = metadata.plan
    frame = pd.read_parquet(engineered / TRAIN_FILE)
    x, y = features_of(frame, plan), frame[TARGET].to_numpy(dtype=np.int64)
    parts = make_folds(x, y, plan, case.search.folds)
    if fixed is None:
        best = search_parameters(parts, y, plan, case.search, threads=threads, heard=_track_trial)
    else:
        best = Trial(0, dict(fixed), cross_validate(parts, y, plan, dict(fixed), case.search, threads=threads))
    threshold = best_threshold(y, best.result.probability, floors) if len(plan.classes) == 2 else None
    model = fit(x, y, plan, best, threads=threads)
    simple, trials = cross_validate_rival(parts, y, plan), 1 if fixed is not None else case.search.trials
    found = _summary(best, simple, y, threshold, trials, fingerprint(model, threshold))
    _store(model, x, found, metadata, output)
    # the rows that it learned from go with the model: what later ones have drifted from
    shutil.copyfile(engineered / PROFILE_FILE, output / MODEL_FOLDER / PROFILE_FILE)
    rows = (frame, pd.read_parquet(engineered / TEST_FILE))
    describe(plan, case, rows, threshold, found.model_hash).write(output / MODEL_FOLDER)
    _track(found)
    return found


def _track_trial(trial: Trial) -> None:
    with mlflow.start_run(run_name=f"trial-{trial.number}", nested=True):
        mlflow.log_params(trial.params)
        mlflow.log_metrics({f"cv_{name}": trial.result.mean(name) for name in trial.result.scores})
        for step, loss in enumerate(trial.result.loss[:: max(1, len(trial.result.loss) // 50)]):
            mlflow.log_metric("validation_loss", loss, step=step)


def _track(found: TrainingMetrics) -> None:
    mlflow.log_params({**found.params, "rounds": found.rounds, "threshold": found.threshold})
    mlflow.log_metrics({f"cv_{name}": value for name, value in found.cv_mean.items()})
    mlflow.log_metrics({f"cv_std_{name}": value for name, value in found.cv_std.items()})
    mlflow.log_metrics({f"rival_cv_{name}": value for name, value in found.rival_cv_mean.items()})
    # what a sweep maximises: out of fold, at the tuned threshold
    mlflow.log_metric("f1_score", found.at_threshold["f1"])
    mlflow.set_tag("model_hash", found.model_hash)


def _summary(
    best: Trial, simple: CrossValidation, y: Ints, threshold: float | None, trials: int, model_hash: str
) -> TrainingMetrics:
    return TrainingMetrics(
        params=best.params,
        rounds=best.result.rounds,
        threshold=threshold,
        cv_mean={name: best.result.mean(name) for name in best.result.scores},
        cv_std={name: best.result.deviation(name) for name in best.result.scores},
        at_threshold=metrics(y, best.result.probability, threshold),
        rival_cv_mean={name: simple.mean(name) for name in simple.scores},
        trials=trials,
        model_hash=model_hash,
        loss=best.result.loss,
    )


def _store(model: Pipeline, x: pd.DataFrame, found: TrainingMetrics, metadata: FeatureMetadata, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    folder, rows = output / MODEL_FOLDER, x.head(EXAMPLE_ROWS)
    shutil.rmtree(folder, ignore_errors=True)
    mlflow.sklearn.save_model(
        model,
        str(folder),
        signature=infer_signature(rows, model.predict_proba(rows)),
        input_example=rows,
        pyfunc_predict_fn="predict_proba",
        serialization_format="skops",
        skops_trusted_types=list(TRUSTED),
        pip_requirements=[f"{package}=={version(package)}" for package in SERVING_PACKAGES],
        metadata={"classes": list(metadata.plan.classes), "threshold": found.threshold, "model_hash": found.model_hash},
    )
    (output / TRAINING_METRICS).write_text(found.model_dump_json(indent=2))
    (output / IMPORTANCE).write_text(json.dumps(importance(model, metadata.plan), indent=2))


def importance(model: Pipeline, plan: FeaturePlan) -> dict[str, float]:
    """Total gain of each kept feature as a share of all, the strongest first."""
    gains = model.steps[-1][1].get_booster().get_score(importance_type="total_gain")
    total = sum(gains.values()) or 1.0
    values = {name: float(gains.get(f"f{index}", 0.0)) / total for index, name in enumerate(plan.kept)}
    return dict(sorted(values.items(), key=lambda item: (-item[1], item[0])))


def main(arguments: list[str] | None = None) -> int:
    """`python -m training.steps.train`."""
    made = command.parser("train", __doc__)
    command.folder(made, "features", ENGINEERED)
    made.add_argument(
        "--target", type=Path, help="the stack's gates (target.json), toward which the threshold is tuned"
    )
    made.add_argument("--threads", type=int, default=1, help="of one fit; more give other trees in the last digits")
    for name, (type_, help_) in FIXED.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=type_, help=f"{help_}; any of these: no search")
    args = made.parse_args(arguments)

    def work() -> None:
        command.needed(args.features, ENGINEERED)
        case = load_use_case(args.use_case)
        fixed = command.given(**{name: getattr(args, name) for name in FIXED})
        gates = case.gates or read_target(args.target).gates
        with mlflow.start_run(run_name="train"):
            found = train(
                args.features / ENGINEERED, case, floors(gates), args.output, threads=args.threads, fixed=fixed or None
            )
        scores = ", ".join(f"{name} {value:.3f}" for name, value in found.at_threshold.items())
        command.log.info("out of fold: %s; %d rounds, model %s", scores, found.rounds, found.model_hash[:12])

    return command.run("train", work)


if __name__ == "__main__":
    sys.exit(main())
