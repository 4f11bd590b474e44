"""The score script of an MLflow model deployed without code.

Request: {"input_data": X, "params": {...}}; X is {"columns", "index", "data"}, a list of rows, of records or of values,
or a tensor. Answer: the predictions as JSON.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd

_model: Any = None
_schema: Any = None
_takes_params = False


def init() -> None:
    """Loads the one MLflow model below AZUREML_MODEL_DIR."""
    global _model, _schema, _takes_params
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    found = sorted(root.rglob("MLmodel"), key=lambda path: len(path.parts))
    if not found:
        raise FileNotFoundError(f"no MLmodel file below {root}")
    _model = mlflow.pyfunc.load_model(str(found[0].parent))
    _schema = _model.metadata.get_input_schema()
    get_params = getattr(_model.metadata, "get_params_schema", None)
    _takes_params = bool(get_params is not None and get_params())


def run(raw_data: str) -> Any:
    """Predictions for the rows of `input_data`. A request that is not understood raises, which answers 500."""
    request = json.loads(raw_data)
    if not isinstance(request, dict) or "input_data" not in request:
        raise ValueError("The request must be a JSON object with a top-level key 'input_data'.")
    data = _parse(request["input_data"])
    params = request.get("params")
    answer = _model.predict(data, params=params) if params and _takes_params else _model.predict(data)
    return _jsonable(answer)


def _parse(value: Any) -> Any:
    if isinstance(value, dict) and "data" in value:
        frame = pd.DataFrame(value["data"], columns=value.get("columns"), index=value.get("index"))
        return _cast(frame)
    if isinstance(value, dict):  # tensors by name
        return {name: np.asarray(column) for name, column in value.items()}
    if _schema is not None and _schema.is_tensor_spec():
        return np.asarray(value, dtype=_schema.input_types()[0])
    if isinstance(value, list) and value and not isinstance(value[0], list | dict):
        value = [[item] for item in value]
    return _cast(pd.DataFrame(value))


def _cast(frame: pd.DataFrame) -> pd.DataFrame:
    """JSON knows one kind of number; the signature says which is meant. Rows without names take the signature's."""
    if _schema is None or _schema.is_tensor_spec():
        return frame
    if _schema.has_input_names():
        names = _schema.input_names()
        if isinstance(frame.columns, pd.RangeIndex) and len(frame.columns) == len(names):
            frame.columns = names
    from mlflow.utils.proto_json_utils import cast_df_types_according_to_schema

    cast: pd.DataFrame = cast_df_types_according_to_schema(frame, _schema)
    return cast


def _jsonable(answer: Any) -> Any:
    if isinstance(answer, pd.DataFrame):
        return json.loads(answer.to_json(orient="records"))
    if isinstance(answer, pd.Series | np.ndarray):
        return answer.tolist()
    if isinstance(answer, dict):
        return {key: _jsonable(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [_jsonable(value) for value in answer]
    return answer.item() if isinstance(answer, np.generic) else answer
