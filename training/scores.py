"""Metrics of a classifier's probabilities; of the positive class where there are two, else averaged over classes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
#: Thresholds that are tried.
_GRID = np.linspace(0.05, 0.95, 181)


def predicted(probability: Floats, threshold: float | None) -> Ints:
    """Class numbers of `probability`, shape (rows, classes); `threshold` is the positive class's, None: the likeliest."""
    if threshold is None:
        return np.asarray(probability.argmax(axis=1), dtype=np.int64)
    return np.asarray(probability[:, 1] >= threshold, dtype=np.int64)


def metrics(truth: Ints, probability: Floats, threshold: float | None) -> dict[str, float]:
    """accuracy, precision, recall, f1 and auc, each in [0, 1]; auc is nan where a class is absent."""
    classes = probability.shape[1]
    guess = predicted(probability, threshold)
    how: dict[str, Any] = {"average": "binary"} if classes == 2 else {"average": "macro"}
    return {
        "accuracy": float(accuracy_score(truth, guess)),
        "precision": float(precision_score(truth, guess, zero_division=0, **how)),
        "recall": float(recall_score(truth, guess, zero_division=0, **how)),
        "f1": float(f1_score(truth, guess, zero_division=0, **how)),
        "auc": auc(truth, probability),
    }


def auc(truth: Ints, probability: Floats) -> float:
    """Area under the ROC curve; over more than two classes one against the rest, averaged."""
    if len(np.unique(truth)) < probability.shape[1]:
        return float("nan")
    if probability.shape[1] == 2:
        return float(roc_auc_score(truth, probability[:, 1]))
    return float(roc_auc_score(truth, probability, multi_class="ovr", average="macro"))


def best_threshold(truth: Ints, probability: Floats, floors: Mapping[str, float]) -> float:
    """The threshold whose smallest margin over `floors` is widest; of equals, and without floors, the one with the best F1.

    For out-of-fold probabilities of the training rows only: tuned on test rows it would flatter.
    """

    def worth(threshold: float) -> tuple[float, float, float]:
        found = metrics(truth, probability, threshold)
        margin = min((found[name] - floor for name, floor in floors.items() if name in found), default=0.0)
        return round(margin, 9), round(found["f1"], 9), -abs(threshold - 0.5)

    return round(float(max(_GRID, key=worth)), 3)
