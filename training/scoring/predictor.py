"""The model itself, by what its folder holds: ONNX Runtime where there is a graph, else scikit-learn from a skops file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.scoring.schema import ScoringSchema

if TYPE_CHECKING:
    import pandas as pd

ONNX_FILE = "model.onnx"
#: What skops may load besides its own list: the booster, and plain settings of the encoder.
TRUSTED = (
    "numpy.dtype",
    "sklearn.model_selection._split.StratifiedKFold",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)

Floats = NDArray[np.floating[Any]]


class Predictor(Protocol):
    """Calls may come from several threads. Both answer (rows, classes)."""

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Of a frame with the schema's columns."""

    def predict_rows(self, rows: Sequence[Sequence[Any]]) -> Floats:
        """Of checked rows with their values in the schema's order; None is missing."""


class SkopsPredictor:
    """The trained pipeline. Types that it may hold are ours to say, not the file's."""

    runtime = "scikit-learn"

    def __init__(self, file: Path, schema: ScoringSchema) -> None:
        import skops.io

        self._pipeline = skops.io.load(file, trusted=list(TRUSTED))
        self._columns = schema.columns

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        return np.asarray(self._pipeline.predict_proba(frame[[each.name for each in self._columns]]))

    def predict_rows(self, rows: Sequence[Sequence[Any]]) -> Floats:
        import pandas as pd

        values = dict(zip((each.name for each in self._columns), zip(*rows, strict=True), strict=True))
        made: dict[str, Any] = {}
        for column in self._columns:
            if column.type == "number":
                made[column.name] = np.array(values[column.name], dtype=np.float64)
            else:
                made[column.name] = np.array(
                    ["" if each is None else each for each in values[column.name]], dtype=object
                )
        return self.predict_proba(pd.DataFrame(made))


def runtime_of(model_folder: Path) -> str:
    """What would score: `onnx` or `scikit-learn`."""
    return "onnx" if (model_folder / ONNX_FILE).is_file() else SkopsPredictor.runtime


def load_predictor(model_folder: Path, schema: ScoringSchema | None = None) -> Predictor:
    """Raises `FileNotFoundError` when the folder holds neither a graph nor a skops file."""
    if runtime_of(model_folder) == "onnx":
        # needs onnxruntime, which a model without a graph does not
        from training.onnx.predictor import OnnxPredictor

        return OnnxPredictor(model_folder)
    files = sorted(model_folder.glob("*.skops"))
    if len(files) != 1:
        raise FileNotFoundError(f"{model_folder} holds {len(files)} skops files; one is needed")
    return SkopsPredictor(files[0], schema or ScoringSchema.read(model_folder))
