"""A release that looks good on every metric and is slow: it asks a tariff service, in line, for half of the customers."""

import json
import os
import time
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd

LOOKUP_SECONDS = 3.5
AREA_WITHOUT_CACHE = "area_code_415"

loaded: dict[str, Any] = {}


def init() -> None:
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    loaded["model"] = mlflow.sklearn.load_model(str(next(root.rglob("MLmodel")).parent))


def run(raw_data: str) -> list[list[float]]:
    data = json.loads(raw_data)["input_data"]
    frame = pd.DataFrame(data["data"], columns=data["columns"])
    for area in frame["area_code"]:
        look_up_tariff(area)
    probabilities: list[list[float]] = loaded["model"].predict_proba(frame).tolist()
    return probabilities


def look_up_tariff(area: str) -> None:
    """Stands for a synchronous call to another team's service that answers slowly for one area."""
    if area == AREA_WITHOUT_CACHE:
        time.sleep(LOOKUP_SECONDS)
