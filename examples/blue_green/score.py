"""Scores irises: {"data": [[sepal length, sepal width, petal length, petal width], ...]} in centimetres."""

import json
import os
from pathlib import Path

import joblib

loaded = {}


def init():
    path = next(Path(os.environ["AZUREML_MODEL_DIR"]).rglob("*.joblib"))
    loaded["model"] = joblib.load(path)
    print(f"loaded {path.name}: {loaded['model']}")


def run(raw_data):
    rows = json.loads(raw_data)["data"]
    return {"model": type(loaded["model"]).__name__, "species": loaded["model"].predict(rows).tolist()}
