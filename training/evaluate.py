"""Metrics of the positive class on rows that the model never saw."""

from __future__ import annotations

import pandas as pd
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from sklearn.pipeline import Pipeline

THRESHOLD = 0.5


def evaluate(model: Pipeline, features: pd.DataFrame, target: pd.Series[int]) -> dict[str, float]:
    """accuracy, precision, recall, f1 (at probability 0.5) and auc, each in [0, 1]."""
    probability = model.predict_proba(features)[:, 1]
    predicted = (probability >= THRESHOLD).astype(int)
    return {
        "accuracy": float(accuracy_score(target, predicted)),
        "precision": float(precision_score(target, predicted, zero_division=0)),
        "recall": float(recall_score(target, predicted, zero_division=0)),
        "f1": float(f1_score(target, predicted, zero_division=0)),
        "auc": float(roc_auc_score(target, probability)),
    }
