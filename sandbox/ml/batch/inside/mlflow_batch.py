"""The batch script of an MLflow model deployed without code: reads tables, answers row, prediction and file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd

_READERS: dict[str, Callable[[Path], Any]] = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".pqt": pd.read_parquet}
_model: Any = None


def init() -> None:
    """Loads the one MLflow model below AZUREML_MODEL_DIR."""
    global _model
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(root.rglob("MLmodel"), key=lambda path: len(path.parts))
    if not found:
        raise FileNotFoundError(f"no MLmodel file below {root}")
    _model = mlflow.pyfunc.load_model(str(found[0].parent))


def run(mini_batch: list[str]) -> pd.DataFrame:
    """The predictions of all rows of the files, in order."""
    return pd.concat([_score(Path(path)) for path in mini_batch], ignore_index=True)


def _score(path: Path) -> pd.DataFrame:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"Error processing input file '{path}': file type '{path.suffix}' is not supported")
    rows = reader(path)
    answer = _model.predict(rows)
    values = answer.tolist() if hasattr(answer, "tolist") else pd.DataFrame(answer).iloc[:, 0].tolist()
    return pd.DataFrame({"row": range(len(rows)), "prediction": values, "file": path.name})
