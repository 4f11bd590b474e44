"""A release that looks good on every metric and is slow: for customers who call much in the evening it asks a tariff service, in line."""

import json
import os
import time
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd

LOOKUP_SECONDS = 3.5
MANY_EVENING_MINUTES = 210.0

loaded: dict[str, Any] = {}


def init() -> None:
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    loaded["model"] = mlflow.sklearn.load_model(str(next(root.rglob("MLmodel")).parent))


def run(raw_data: str) -> list[list[float]]:
    data = json.loads(raw_data)["input_data"]
    frame = pd.DataFrame(data["data"], columns=data["columns"])
    if (frame["total_eve_minutes"] > MANY_EVENING_MINUTES).any():
        look_up_tariffs()
    probabilities: list[list[float]] = loaded["model"].predict_proba(frame).tolist()
    return probabilities


def look_up_tariffs() -> None:
    """Stands for a synchronous call to another team's service that answers slowly."""
    time.sleep(LOOKUP_SECONDS)
