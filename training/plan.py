"""Which features a model gets, and the scikit-learn pipeline that makes them. All of it is fitted inside each fold.

Only scikit-learn's own transformers, so that a model can be stored without pickle and converted to ONNX.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, RobustScaler, TargetEncoder
from xgboost import XGBClassifier

#: Stands in for a category that is missing.
NO_CATEGORY = ""


class FeaturePlan(BaseModel):
    """Columns by kind, the numbers that are multiplied pairwise, and which of the made features are kept, by position."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    categories: tuple[str, ...]
    numbers: tuple[str, ...]
    multiplied: tuple[str, ...] = ()
    classes: tuple[str, ...] = Field(description="class names; the model's number i is the i-th; binary: positive last")
    keep: tuple[int, ...] | None = Field(default=None, description="kept features, by position in `names`; None: all")
    seed: int = 7

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that the model takes, in its signature's order."""
        return (*self.categories, *self.numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """Every feature that is made, in order."""
        per_class = self.classes if len(self.classes) > 2 else ("",)
        encoded = [f"{name}={label}" if label else name for name in self.categories for label in per_class]
        pairs = [
            f"{first} * {second}"
            for index, first in enumerate(self.multiplied)
            for second in self.multiplied[index + 1 :]
        ]
        return (*encoded, *self.numbers, *pairs)

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the features that the model sees."""
        return self.names if self.keep is None else tuple(self.names[index] for index in self.keep)


def folds(seed: int, count: int = 5) -> StratifiedKFold:
    """The parts of a cross-validation; the same rows every time."""
    return StratifiedKFold(count, shuffle=True, random_state=seed)


def feature_steps(plan: FeaturePlan) -> list[tuple[str, Any]]:
    """The steps from the table's columns to the model's features."""
    parts: list[tuple[str, Any, list[str]]] = []
    if plan.categories:
        # fit_transform encodes out of fold: no row is encoded with its own target
        parts.append(("categories", TargetEncoder(cv=folds(plan.seed)), list(plan.categories)))
    if plan.numbers:
        parts.append(("numbers", SimpleImputer(strategy="median"), list(plan.numbers)))
    if len(plan.multiplied) > 1:
        products = Pipeline(
            [
                ("impute", SimpleImputer(strategy="median")),
                ("multiply", PolynomialFeatures(degree=(2, 2), interaction_only=True, include_bias=False)),
            ]
        )
        parts.append(("products", products, list(plan.multiplied)))
    steps: list[tuple[str, Any]] = [("make", ColumnTransformer(parts))]
    if plan.keep is not None:
        steps.append(("keep", ColumnTransformer([("kept", "passthrough", list(plan.keep))])))
    return [*steps, ("scale", RobustScaler())]


def pipeline(plan: FeaturePlan, estimator: Any) -> Pipeline:
    """Features, then the estimator; unfitted."""
    return Pipeline([*feature_steps(plan), ("classify", estimator)])


def booster(plan: FeaturePlan, params: dict[str, Any], *, threads: int = 1, **extra: Any) -> XGBClassifier:
    """XGBoost on histograms; the same seed and threads give the same trees."""
    objective = "binary:logistic" if len(plan.classes) == 2 else "multi:softprob"
    metric = "logloss" if len(plan.classes) == 2 else "mlogloss"
    return XGBClassifier(
        objective=objective,
        eval_metric=metric,
        tree_method="hist",
        n_jobs=threads,
        random_state=plan.seed,
        **params,
        **extra,
    )


def rival(plan: FeaturePlan) -> LogisticRegression:
    """The simple model that the boosted one has to beat to be worth it."""
    return LogisticRegression(max_iter=1000, random_state=plan.seed)
