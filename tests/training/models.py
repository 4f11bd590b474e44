"""A small trained model, for tests that need one and not what training does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from tests.training.conftest import CASE, FLOORS, customers
from training.steps.evaluate import load
from training.steps.features import engineer
from training.steps.train import MODEL_FOLDER, train
from training.steps.validate import validate


@dataclass(frozen=True)
class Trained:
    """`folder`: the MLflow model."""

    folder: Path

    @property
    def threshold(self) -> float:
        return float(load(self.folder)[1] or 0.5)

    @property
    def model_hash(self) -> str:
        return str(json.loads((self.folder / "scoring_schema.json").read_text())["model_hash"])

    def probabilities(self, rows: list[dict[str, Any]]) -> list[list[float]]:
        """Of the model itself, without anything of ours."""
        model, _ = load(self.folder)
        found: list[list[float]] = model.predict_proba(pd.DataFrame(rows)[list(model.feature_names_in_)]).tolist()
        return found


def trained_customers(folder: Path) -> Trained:
    """Learned anew, below `folder`."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    try:
        table = folder / "customers.csv"
        customers().to_csv(table, index=False)
        validate(table, CASE, folder)
        engineer(folder / "validated_data", CASE, folder)
        with mlflow.start_run():
            train(folder / "engineered_features", CASE, FLOORS, folder)
    finally:
        mlflow.set_tracking_uri(before)
    return Trained(folder / MODEL_FOLDER)
