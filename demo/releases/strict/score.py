"""A release that is surer of its customers than it should be: it refuses an area that its model never learned of."""

import json
import os
from pathlib import Path
from typing import Any

import mlflow.sklearn
import pandas as pd

loaded: dict[str, Any] = {}


def init() -> None:
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    loaded["model"] = mlflow.sklearn.load_model(str(next(root.rglob("MLmodel")).parent))
    loaded["areas"] = areas_of(loaded["model"])


def areas_of(model: Any) -> set[str]:
    """The areas among the rows that the model learned from, as its encoder has noted them."""
    encoder = model.named_steps["make"].named_transformers_["categories"]
    position = list(encoder.feature_names_in_).index("area_code")
    return set(encoder.categories_[position])


def run(raw_data: str) -> list[list[float]]:
    data = json.loads(raw_data)["input_data"]
    frame = pd.DataFrame(data["data"], columns=data["columns"])
    if strangers := set(frame["area_code"]) - loaded["areas"]:
        raise ValueError(f"no such area: {sorted(strangers)}")
    probabilities: list[list[float]] = loaded["model"].predict_proba(frame).tolist()
    return probabilities
