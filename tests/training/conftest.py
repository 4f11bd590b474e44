"""One small company with 1,200 customers, learned from once; every story starts from its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from training.steps.evaluate import evaluate
from training.steps.features import engineer
from training.steps.train import train
from training.steps.validate import validate
from training.usecase import CardSettings, Column, SearchSettings, UseCase

ROWS = 1200
CARD = CardSettings(
    owner="Retention",
    intended_use="calls to customers who may leave",
    out_of_scope="prices",
    data_source="made for these tests",
    limitations="few rows",
    ethics="a needless call",
)
CASE = UseCase(
    name="churn",
    description="Will this customer leave?",
    target="left",
    positive="yes",
    ids=("id",),
    columns={
        "charge": Column(type="number", minimum=0, maximum=500),
        "area": Column(type="category", categories=("north", "south", "west")),
        "email": Column(type="category", pii=True),
    },
    segments=("area",),
    search=SearchSettings(trials=2, folds=3, max_rounds=40, early_stopping_rounds=5),
    card=CARD,
)
FLOORS = {"accuracy": 0.75, "precision": 0.70, "recall": 0.65}


def customers(rows: int = ROWS, seed: int = 1) -> pd.DataFrame:
    """Customers who leave when they are charged much for few calls, and a bit by area."""
    random = np.random.default_rng(seed)
    charge = random.normal(50, 15, rows).clip(1)
    calls = random.integers(1, 9, rows)
    area = random.choice(["north", "south", "west"], rows)
    left = charge * (10 - calls) + 40 * (area == "north") + random.normal(0, 40, rows) > 330
    return pd.DataFrame(
        {
            "id": range(rows),
            "charge": charge.round(2),
            "calls": calls,
            "months": random.integers(1, 72, rows),
            "area": area,
            "email": random.choice(["a@example.com", "b@example.com", "c@example.com"], rows),
            "left": np.where(left, "yes", "no"),
        }
    )


@dataclass(frozen=True)
class Workshop:
    """Where the files of a training are."""

    folder: Path
    table: Path

    @property
    def validated(self) -> Path:
        return self.folder / "validated_data"

    @property
    def engineered(self) -> Path:
        return self.folder / "engineered_features"


@pytest.fixture(scope="session")
def _tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("tracking")
    with pytest.MonkeyPatch.context() as patch:
        before = mlflow.get_tracking_uri()
        patch.chdir(folder)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        yield folder
        mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def _learned(_tracking: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The steps up to the evaluation, once for all tests."""
    folder = tmp_path_factory.mktemp("learned")
    table = folder / "customers.csv"
    customers().to_csv(table, index=False)
    shop = Workshop(folder, table)
    validate(table, CASE, folder)
    engineer(shop.validated, CASE, folder)
    with mlflow.start_run(run_name="train"):
        train(shop.engineered, CASE, FLOORS, folder)
        evaluate(folder / "trained_model", shop.engineered, CASE, folder)
    return shop


@pytest.fixture
def learned(_learned: Workshop, _tracking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A copy, to change at will."""
    monkeypatch.chdir(_tracking)
    shutil.copytree(_learned.folder, tmp_path / "files")
    return Workshop(tmp_path / "files", tmp_path / "files" / "customers.csv")
