"""Metrics of a classifier's probabilities; of the positive class where there are two, else averaged over classes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

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
    precision, recall, f1, _ = precision_recall_fscore_support(truth, guess, zero_division=0, **how)
    return {
        "accuracy": float(np.mean(truth == guess)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
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

    chosen = probability[:, 1][None, :] >= _GRID[:, None]
    hits, positives = (chosen & (truth == 1)).sum(axis=1), int((truth == 1).sum())
    recall, precision = hits / max(1, positives), hits / np.maximum(1, chosen.sum(axis=1))
    found = {
        "accuracy": (chosen == (truth == 1)).mean(axis=1),
        "precision": precision,
        "recall": recall,
        "f1": 2 * hits / np.maximum(1, chosen.sum(axis=1) + positives),
    }
    margins = [found[name] - floor for name, floor in floors.items() if name in found]
    smallest = np.round(np.min(margins, axis=0), 9) if margins else np.zeros(len(_GRID))
    best = np.lexsort((-np.abs(_GRID - 0.5), np.round(found["f1"], 9), smallest))[-1]
    return round(float(_GRID[best]), 3)
