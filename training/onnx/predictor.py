"""Scores with ONNX Runtime, and large batches with the native trees. Shipped beside the model: imports nothing of ours.

Needs numpy and onnxruntime. Batches go to xgboost, where it is installed, from the row count on that was measured when the
model was optimised; without it ONNX Runtime scores them too.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

#: The whole graph; the same without its trees; the trees as XGBoost stores them.
MODEL_FILE, FEATURES_FILE, BOOSTER_FILE = "model.onnx", "features.onnx", "booster.ubj"
#: The graph's inputs (rows, columns of the kind), what the trees are given, and the answer (rows, classes).
CATEGORIES, NUMBERS = "categories", "numbers"
FEATURES, PROBABILITY = "features", "probability"
#: Keys of the graph's metadata: each input's columns as JSON, and the batch size from which on the native trees are faster.
COLUMNS, NATIVE_FROM = "columns", "native_from_rows"
#: Stands in for a category that is missing, as in training.
NO_CATEGORY = ""

Floats = NDArray[np.floating[Any]]


class OnnxPredictor:
    """Probabilities of an optimised model. One thread a call; calls may come from several threads."""

    def __init__(self, folder: Path, *, native_from: int | None = None) -> None:
        """`native_from`: rows from which on the native trees score; None: what the model says, 0: never."""
        self._folder = folder
        self._session = _session(folder / MODEL_FILE)
        known = self._session.get_modelmeta().custom_metadata_map
        columns = json.loads(known[COLUMNS])
        self.categories, self.numbers = tuple(columns[CATEGORIES]), tuple(columns[NUMBERS])
        self.native_from = int(known.get(NATIVE_FROM, 0)) if native_from is None else native_from
        if importlib.util.find_spec("xgboost") is None:
            self.native_from = 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The order in which `predict_rows` takes a row's values."""
        return (*self.categories, *self.numbers)

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """(rows, classes) float32. Columns are found by name; more of them do no harm."""
        categories = frame[list(self.categories)]
        labels = categories.to_numpy(dtype=object)
        if (missing := categories.isna().to_numpy()).any():
            labels = np.where(missing, NO_CATEGORY, labels)
        return self._score(labels, frame[list(self.numbers)].to_numpy(dtype=np.float64))

    def predict_rows(self, rows: Sequence[Sequence[Any]]) -> Floats:
        """The same from plain rows with their values in the order of `columns`; None is missing. For few rows: no pandas."""
        split = len(self.categories)
        labels = [[NO_CATEGORY if label is None else label for label in row[:split]] for row in rows]
        # None becomes NaN
        return self._score(np.array(labels, dtype=object), np.array([row[split:] for row in rows], dtype=np.float64))

    def _score(self, labels: NDArray[Any], numbers: Floats) -> Floats:
        feed: dict[str, NDArray[Any]] = {}
        if self.categories:
            feed[CATEGORIES] = labels
        if self.numbers:
            feed[NUMBERS] = numbers
        rows = len(labels)
        if rows == 0:
            raise ValueError("no rows to score")
        if self.native_from and rows >= self.native_from:
            return self._native.score(feed)
        scored: Floats = self._session.run([PROBABILITY], feed)[0]
        return scored

    @cached_property
    def _native(self) -> _NativeTrees:
        # made by the first large batch: a service that gets none does not pay for it
        return _NativeTrees(self._folder)


class _NativeTrees:
    """The features by ONNX Runtime, the trees by XGBoost: the same features to the bit, and sooner for many rows."""

    def __init__(self, folder: Path) -> None:
        import xgboost

        self._features = _session(folder / FEATURES_FILE)
        self._booster = xgboost.Booster({"nthread": 1}, model_file=folder / BOOSTER_FILE)

    def score(self, feed: dict[str, NDArray[Any]]) -> Floats:
        found: Floats = self._booster.inplace_predict(self._features.run([FEATURES], feed)[0])
        # XGBoost gives the positive class alone where there are two
        return np.column_stack([1 - found, found]) if found.ndim == 1 else found


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # replicas and workers are how a service takes more cores; threads that wait for each other cost single rows dearly
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
