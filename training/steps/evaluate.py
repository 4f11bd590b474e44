"""Step 4, evaluate: how good the model is on rows that it never saw, for whom, why, and against what serves now.

In: `trained_model/`, `engineered_features/`, and the baseline's model folder if there is one.
Out: `evaluation_metrics.json`, `improvement.json`, `confusion_matrix.png`, `calibration.png`, `shap.png`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, demographic_parity_difference, equalized_odds_difference
from pydantic import BaseModel, ConfigDict, Field
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, recall_score
from sklearn.pipeline import Pipeline
from xgboost import DMatrix

from training import pictures
from training.comparison import Comparison, compare, intervals
from training.plan import FeaturePlan
from training.scores import Floats, Ints, metrics, predicted
from training.steps import command
from training.steps.features import ENGINEERED, METADATA, TARGET, TEST_FILE, FeatureMetadata, features_of
from training.steps.train import MODEL_FOLDER, TRUSTED
from training.usecase import UseCase, load_use_case

EVALUATION, IMPROVEMENT = "evaluation_metrics.json", "improvement.json"
CONFUSION, CALIBRATION, SHAP = "confusion_matrix.png", "calibration.png", "shap.png"
#: Smaller groups say nothing: a rate of fewer rows is off by ten points by chance.
MIN_GROUP = 30
_SHAP_ROWS = 500


class Segment(BaseModel):
    """How one column's groups fare. The gaps are differences between the best and the worst group, in [0, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    groups: dict[str, dict[str, float]]
    parity_gap: float | None = Field(description="share predicted positive; binary only")
    odds_gap: float | None = Field(description="larger of the gaps in true and false positive rate; binary only")


class Evaluation(BaseModel):
    """All that the gates and the model card need of the test rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    threshold: float | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = Field(description="95 %, bootstrap")
    brier: float | None = Field(description="mean squared error of the probability, 0 is best; binary only")
    calibration: tuple[tuple[float, float], ...] = Field(description="(mean predicted, share positive) by decile")
    confusion: tuple[tuple[int, ...], ...] = Field(description="rows: truth, columns: predicted, in the classes' order")
    classes: tuple[str, ...]
    segments: dict[str, Segment]
    shap: dict[str, float] = Field(description="mean absolute SHAP value of each feature, log odds")
    baseline: str | None = None
    p_value: float | None = None
    worse_than_baseline: bool | None = None


def evaluate(
    trained: Path, engineered: Path, case: UseCase, output: Path, baseline: tuple[str, Path] | None = None
) -> Evaluation:
    """Judge the model on the test rows. `baseline`: what it is called, and its model folder."""
    plan = FeatureMetadata.model_validate_json((engineered / METADATA).read_text()).plan
    frame = pd.read_parquet(engineered / TEST_FILE)
    x, truth = features_of(frame, plan), frame[TARGET].to_numpy(dtype=np.int64)
    model, threshold = load(trained)
    probability = np.asarray(model.predict_proba(x), dtype=np.float64)
    versus = _compare(truth, (probability, threshold), x, case, baseline)
    update: dict[str, Any] = {"shap": _shap(model, x, plan)}
    if baseline and versus:
        update |= {"baseline": baseline[0], "p_value": versus.p_value, "worse_than_baseline": versus.worse}
    found = _evaluation(truth, probability, threshold, frame, plan, case).model_copy(update=update)
    _write(output, found, versus, truth, probability, plan)
    mlflow.log_metrics({name: value for name, value in found.metrics.items() if not np.isnan(value)})
    return found


def load(folder: Path) -> tuple[Pipeline, float | None]:
    """The model and its threshold. The types that skops may load are ours to say, not the file's."""
    import skops.io
    import yaml

    described = yaml.safe_load((folder / "MLmodel").read_text())
    flavor = described["flavors"]["sklearn"]
    if flavor.get("serialization_format") != "skops":
        raise ValueError(f"{folder}: stored as {flavor.get('serialization_format')}; only skops is loaded here")
    model = skops.io.load(folder / flavor["pickled_model"], trusted=list(TRUSTED))
    return model, (described.get("metadata") or {}).get("threshold")


def _compare(
    truth: Ints, new: tuple[Floats, float | None], x: pd.DataFrame, case: UseCase, baseline: tuple[str, Path] | None
) -> Comparison | None:
    if baseline is None:
        return None
    name, folder = baseline
    try:
        model, threshold = load(folder)
        missing = [column for column in model.feature_names_in_ if column not in x]
    except (OSError, KeyError, ValueError) as error:
        raise command.Misused(f"the baseline {name} can't be loaded: {error}") from error
    if missing:
        raise command.Misused(f"the baseline {name} takes columns that the table lacks: {', '.join(missing)}")
    return compare(
        truth,
        new,
        (np.asarray(model.predict_proba(x[list(model.feature_names_in_)]), dtype=np.float64), threshold),
        case.seed,
    )


def _evaluation(
    truth: Ints,
    probability: Floats,
    threshold: float | None,
    frame: pd.DataFrame,
    plan: FeaturePlan,
    case: UseCase,
) -> Evaluation:
    binary = len(plan.classes) == 2
    guess = predicted(probability, threshold)
    spread = intervals(truth, probability, threshold, case.seed)
    curve = calibration_curve(truth, probability[:, 1], n_bins=10, strategy="quantile") if binary else ((), ())
    return Evaluation(
        rows=len(truth),
        threshold=threshold,
        metrics=metrics(truth, probability, threshold),
        intervals={name: (each.low, each.high) for name, each in spread.items()},
        brier=float(brier_score_loss(truth, probability[:, 1])) if binary else None,
        calibration=tuple((float(mean), float(share)) for share, mean in zip(*curve, strict=True)),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion_matrix(truth, guess, labels=range(len(plan.classes)))),
        classes=plan.classes,
        segments={name: _segment(truth, guess, frame[name], binary) for name in case.segments if name in frame},
        shap={},
    )  # fmt: skip


def _segment(truth: Ints, guess: Ints, column: pd.Series[Any], binary: bool) -> Segment:
    """Groups of a category, or quarters of a number; groups under MIN_GROUP rows are left out."""
    groups = pd.qcut(column, 4, duplicates="drop") if pd.api.types.is_numeric_dtype(column) else column
    groups = groups.astype(str)
    large = groups.isin([name for name, count in groups.value_counts().items() if count >= MIN_GROUP]).to_numpy()
    truth, guess, groups = truth[large], guess[large], groups[large]
    if not len(groups):
        return Segment(groups={}, parity_gap=None, odds_gap=None)
    how = {"zero_division": 0} if binary else {"zero_division": 0, "average": "macro"}
    frame = MetricFrame(
        metrics={
            "accuracy": accuracy_score,
            "recall": lambda y, p: recall_score(y, p, **how),
            "rows": lambda y, p: len(y),
        },
        y_true=truth,
        y_pred=guess,
        sensitive_features=groups,
    )
    values = {str(name): {key: float(value) for key, value in row.items()} for name, row in frame.by_group.iterrows()}
    if not binary or len(values) < 2:
        return Segment(groups=values, parity_gap=None, odds_gap=None)
    return Segment(
        groups=values,
        parity_gap=float(demographic_parity_difference(truth, guess, sensitive_features=groups)),
        odds_gap=float(equalized_odds_difference(truth, guess, sensitive_features=groups)),
    )


def _shap(model: Pipeline, x: pd.DataFrame, plan: FeaturePlan) -> dict[str, float]:
    """Exact tree SHAP, which XGBoost computes itself; averaged over classes where there are several."""
    encoded = model[:-1].transform(x.head(_SHAP_ROWS))
    values = np.abs(model.steps[-1][1].get_booster().predict(DMatrix(encoded), pred_contribs=True))[..., :-1]
    means = values.mean(axis=tuple(range(values.ndim - 1)))
    found = {name: float(value) for name, value in zip(plan.kept, means, strict=True)}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _write(
    output: Path, found: Evaluation, versus: Comparison | None, truth: Ints, probability: Floats, plan: FeaturePlan
) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / EVALUATION).write_text(found.model_dump_json(indent=2))
    (output / IMPROVEMENT).write_text(json.dumps(_improvement(found, versus), indent=2))
    pictures.confusion(found.confusion, plan.classes, output / CONFUSION)
    pictures.bars(found.shap, "mean |SHAP|, log odds", output / SHAP)
    if found.calibration:
        pictures.calibration(found.calibration, output / CALIBRATION)
    for file in (CONFUSION, SHAP, CALIBRATION):
        if (output / file).exists():
            mlflow.log_artifact(str(output / file), "evaluation")


def _improvement(found: Evaluation, versus: Comparison | None) -> dict[str, Any]:
    """For machines: what changed against the baseline, with 95 % intervals."""
    if versus is None:
        return {"baseline": None}
    return {
        "baseline": found.baseline,
        "improvement": versus.improvement,
        "intervals": {name: [each.low, each.high] for name, each in versus.intervals.items()},
        "only_new_right": versus.only_new_right,
        "only_baseline_right": versus.only_baseline_right,
        "p_value": versus.p_value,
        "worse": versus.worse,
    }


def main(arguments: list[str] | None = None) -> int:
    """`python -m training.steps.evaluate`."""
    made = command.parser("evaluate", __doc__)
    command.folder(made, "features", ENGINEERED)
    command.folder(made, "trained", MODEL_FOLDER)
    made.add_argument("--baseline", type=Path, help="model folder of what serves now")
    made.add_argument("--baseline-name", default="baseline", help="what to call it, e.g. churn:3")
    args = made.parse_args(arguments)

    def work() -> None:
        command.needed(args.features, ENGINEERED)
        command.needed(args.trained, MODEL_FOLDER)
        case, engineered = load_use_case(args.use_case), args.features / ENGINEERED
        baseline = (args.baseline_name, args.baseline) if args.baseline else None
        with mlflow.start_run(run_name="evaluate"):
            found = evaluate(args.trained / MODEL_FOLDER, engineered, case, args.output, baseline)
        scores = ", ".join(f"{name} {value:.3f}" for name, value in found.metrics.items())
        command.log.info("on %d unseen rows: %s", found.rows, scores)

    return command.run("evaluate", work)


if __name__ == "__main__":
    sys.exit(main())
