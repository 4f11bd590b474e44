"""The estimators: XGBoost or, as its simple rival, logistic regression, each behind one scikit-learn pipeline."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

Kind = Literal["xgboost", "logistic"]
UnknownCategories = Literal["ignore", "error"]

DEFAULTS: dict[Kind, dict[str, Any]] = {
    "xgboost": {"n_estimators": 60, "max_depth": 4, "learning_rate": 0.2},
    "logistic": {"C": 1.0, "max_iter": 300},
}


def build(
    kind: Kind, params: dict[str, Any], features: pd.DataFrame, *, seed: int, unknown: UnknownCategories = "ignore"
) -> Pipeline:
    """An unfitted pipeline for the columns of `features`; `params` override `DEFAULTS[kind]`.

    `unknown="error"` makes scoring refuse a category that training never saw.
    """
    numeric = list(features.select_dtypes("number").columns)
    categorical = [name for name in features.columns if name not in numeric]
    encoder = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown=unknown, sparse_output=False), categorical),
            ("numbers", StandardScaler() if kind == "logistic" else "passthrough", numeric),
        ]
    )
    return Pipeline([("encode", encoder), ("classify", _estimator(kind, {**DEFAULTS[kind], **params}, seed))])


def _estimator(kind: Kind, params: dict[str, Any], seed: int) -> Any:
    if kind == "xgboost":
        # One thread: single rows gain nothing from more, and replicas share the cores.
        return XGBClassifier(n_jobs=1, random_state=seed, eval_metric="logloss", **params)
    return LogisticRegression(random_state=seed, **params)
