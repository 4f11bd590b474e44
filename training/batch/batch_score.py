"""The batch script of an MLflow model with a signature: rows that the model can't take are named, the others scored.

`run(mini_batch)` reads Parquet or CSV files and gives one JSON object for each row: file, row, and either prediction
with probability_CLASS of each class, or error. No value of a row is in an error, so none gets into a log.
Stands alone: it is uploaded as it is, and imports nothing of the project.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd

_READERS: dict[str, Any] = {
    ".parquet": pd.read_parquet,
    ".pq": pd.read_parquet,
    # As text: the signature says what is a number, and 01234 may be a name.
    ".csv": lambda path: pd.read_csv(path, dtype=str),
}
_TRUTH = {"true": True, "false": False}
_FLOATS = {"double": "float64", "float": "float32"}
_WHOLE = {"long": "int64", "integer": "int32"}
_model: Any = None


def init() -> None:
    """Loads the one MLflow model below AZUREML_MODEL_DIR."""
    global _model
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(root.rglob("MLmodel"), key=lambda path: len(path.parts))
    if not found:
        raise FileNotFoundError(f"no MLmodel file below {root}")
    _model = mlflow.pyfunc.load_model(str(found[0].parent))


def run(mini_batch: list[str]) -> list[str]:
    """One line for each row of the files, in order."""
    return [line for path in mini_batch for line in _score(Path(path))]


def _score(path: Path) -> Iterator[str]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path.name}: file type '{path.suffix}' is not supported; known are {', '.join(_READERS)}")
    rows, problems = check(reader(path), _model.metadata.get_input_schema())
    good = np.flatnonzero([not problem for problem in problems])
    answers = iter(_answers(rows.iloc[good]) if len(good) else ())
    for row, problem in enumerate(problems):
        yield json.dumps({"file": path.name, "row": row, **({"error": problem} if problem else next(answers))})


def check(rows: pd.DataFrame, schema: Any) -> tuple[pd.DataFrame, list[str]]:
    """The signature's columns in its types and order, and for each row what is wrong with it; empty: nothing.

    A column that is missing is every row's problem, so it is raised.
    """
    if schema is None or not schema.has_input_names():
        return rows, [""] * len(rows)
    specs = list(schema.inputs)
    missing = [spec.name for spec in specs if spec.name not in rows.columns and spec.required]
    if missing:
        raise ValueError(f"missing columns: {', '.join(missing)}")
    found: list[list[str]] = [[] for _ in range(len(rows))]
    columns = {}
    for spec in specs:
        if spec.name in rows.columns:
            columns[spec.name], wrong, problem = _cast(rows[spec.name], spec.type.name)
            for row in np.flatnonzero(wrong):
                found[row].append(f"{spec.name}: {problem}")
    return pd.DataFrame(columns), ["; ".join(each) for each in found]


def _cast(values: Any, kind: str) -> tuple[Any, Any, str]:
    """In the signature's type, with which rows are wrong and in what way; wrong ones hold anything of the type."""
    if kind in _FLOATS:
        numbers = pd.to_numeric(values, errors="coerce").astype("float64")
        return numbers.astype(_FLOATS[kind]), numbers.isna() & values.notna(), "not a number"
    if kind in _WHOLE:
        numbers = pd.to_numeric(values, errors="coerce").astype("float64")
        limits = np.iinfo(_WHOLE[kind])
        wrong = numbers.isna() | (numbers % 1 != 0) | (numbers < limits.min) | (numbers > limits.max)
        return numbers.mask(wrong, 0).astype(_WHOLE[kind]), wrong, "not a whole number"
    if kind == "boolean":
        truth = values.astype(str).str.lower().map(_TRUTH)
        return truth.fillna(False).astype(bool), truth.isna(), "neither true nor false"
    if kind == "string":
        return values.astype(object).where(values.isna(), values.astype(str)), values.isna(), "missing"
    return values, values.isna() & False, ""


def _answers(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    answer = np.asarray(_model.predict(rows))
    metadata = _model.metadata.metadata or {}
    classes = list(metadata.get("classes") or [])
    if answer.ndim == 2 and answer.shape[1] == len(classes):
        chosen = answer.argmax(axis=1)
        if len(classes) == 2 and metadata.get("threshold") is not None:
            chosen = (answer[:, 1] >= float(metadata["threshold"])).astype(int)
        names = [f"probability_{each}" for each in classes]
        for label, values in zip(chosen, answer.tolist(), strict=True):
            yield {"prediction": classes[label], **dict(zip(names, values, strict=True))}
        return
    for value in answer.tolist():
        yield {"prediction": value}
