"""Step 2, features: which columns and products of columns are worth learning from; and the test rows are set aside.

In: `validated_data/`. Out: `engineered_features/` (train.parquet and test.parquet with the table's own columns and the class as
`TARGET`, encoded_train.parquet as the model will see it), `feature_metadata.json`.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from training.plan import NO_CATEGORY, FeaturePlan, booster, feature_steps
from training.steps import command
from training.steps.validate import DATA_FILE, PROFILE_FILE, VALIDATED, class_counts, class_of, feature_kinds
from training.tables import Kind, Table, open_table, quoted
from training.usecase import UseCase, load_use_case

TARGET = "__class"
METADATA = "feature_metadata.json"
ENGINEERED = "engineered_features"
TRAIN_FILE, TEST_FILE, ENCODED_FILE = "train.parquet", "test.parquet", "encoded_train.parquet"
#: The model that importances come from: shallow, and sure to be quick.
_SCOUT = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.1}


class FeatureMetadata(BaseModel):
    """The plan and where it comes from. `importance`: total gain, the strongest feature is 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: FeaturePlan
    importance: dict[str, float]
    dropped: tuple[str, ...] = Field(description="made, and left out for their importance")
    min_importance: float
    rows: int
    train_rows: int
    test_rows: int
    data_hash: str = Field(description="SHA-256 of the validated rows, in order")


def engineer(validated: Path, case: UseCase, output: Path) -> FeatureMetadata:
    """Choose the features on the training rows only, and write both parts."""
    with open_table(validated / DATA_FILE, case) as table:
        kinds = feature_kinds(table, case)
        plan = _first_plan(kinds, _classes(table, case), case)
        frame = _frame(table, case, plan)
    train, test = train_test_split(
        frame, test_size=case.test_share, stratify=frame[TARGET], random_state=case.seed, shuffle=True
    )
    train, test = train.sort_index(), test.sort_index()
    plan = plan.model_copy(update={"multiplied": _strongest_numbers(train, plan, case)})
    importance = _importance(train, plan)
    keep = [index for index, name in enumerate(plan.names) if importance[name] >= case.features.min_importance]
    chosen = plan.model_copy(update={"keep": tuple(keep) if len(keep) < len(plan.names) else None})
    found = FeatureMetadata(
        plan=chosen,
        importance=dict(sorted(importance.items(), key=lambda item: (-item[1], item[0]))),
        dropped=tuple(name for name in plan.names if name not in chosen.kept),
        min_importance=case.features.min_importance,
        rows=len(frame),
        train_rows=len(train),
        test_rows=len(test),
        data_hash=_hash(frame),
    )
    _write(output, found, train, test)
    shutil.copyfile(validated / PROFILE_FILE, output / ENGINEERED / PROFILE_FILE)
    return found


def _write(output: Path, found: FeatureMetadata, train: pd.DataFrame, test: pd.DataFrame) -> None:
    folder = output / ENGINEERED
    folder.mkdir(parents=True, exist_ok=True)
    train.to_parquet(folder / TRAIN_FILE, index=False)
    test.to_parquet(folder / TEST_FILE, index=False)
    encoded = Pipeline(feature_steps(found.plan)).fit_transform(features_of(train, found.plan), train[TARGET])
    pd.DataFrame(encoded, columns=list(found.plan.kept)).to_parquet(folder / ENCODED_FILE, index=False)
    (folder / METADATA).write_text(found.model_dump_json(indent=2))
    (output / METADATA).write_text(found.model_dump_json(indent=2))


def features_of(frame: pd.DataFrame, plan: FeaturePlan) -> pd.DataFrame:
    """The model's input columns, in its order."""
    return frame[list(plan.columns)]


def _classes(table: Table, case: UseCase) -> tuple[str, ...]:
    """Class names in the model's order: bins as they rise; binary: the positive one last; else by name."""
    names = class_counts(table, case)
    if case.task == "binary":
        return (*(name for name in names if name != case.positive), case.positive)
    return tuple(label for label in case.labels if label in names) if case.bins else tuple(sorted(names))


def _first_plan(kinds: dict[str, Kind], classes: tuple[str, ...], case: UseCase) -> FeaturePlan:
    return FeaturePlan(
        categories=tuple(name for name, kind in kinds.items() if kind == "category"),
        numbers=tuple(name for name, kind in kinds.items() if kind == "number"),
        classes=classes,
        seed=case.seed,
    )


def _frame(table: Table, case: UseCase, plan: FeaturePlan) -> pd.DataFrame:
    """Features and class numbers: numbers as float64, categories as text."""
    numbers = [f"CAST({quoted(name)} AS DOUBLE) AS {quoted(name)}" for name in plan.numbers]
    categories = [
        f"coalesce(CAST({quoted(name)} AS VARCHAR), '{NO_CATEGORY}') AS {quoted(name)}" for name in plan.categories
    ]
    selected = ", ".join([*categories, *numbers, f"{class_of(case)} AS {quoted(TARGET)}"])
    frame: pd.DataFrame = table.connection.sql(f"SELECT {selected} FROM source").df()  # nosec B608  # quoted names only
    frame[TARGET] = frame[TARGET].map({name: number for number, name in enumerate(plan.classes)}).astype("int64")
    numbers = list(plan.numbers)
    frame[numbers] = frame[numbers].where(np.isfinite(frame[numbers]))
    return frame


def _strongest_numbers(train: pd.DataFrame, plan: FeaturePlan, case: UseCase) -> tuple[str, ...]:
    """The numbers to multiply: the strongest ones, in the table's order."""
    found = _importance(train, plan)
    strongest = sorted(plan.numbers, key=lambda name: (-found[name], name))[: case.features.interactions]
    return tuple(name for name in plan.numbers if name in strongest) if len(strongest) > 1 else ()


def _importance(train: pd.DataFrame, plan: FeaturePlan) -> dict[str, float]:
    encoded = Pipeline(feature_steps(plan)).fit_transform(features_of(train, plan), train[TARGET])
    model = booster(plan, dict(_SCOUT)).fit(encoded, train[TARGET])
    gains = model.get_booster().get_score(importance_type="total_gain")
    values = {name: float(gains.get(f"f{index}", 0.0)) for index, name in enumerate(plan.names)}
    best = max(values.values(), default=0.0) or 1.0
    return {name: value / best for name, value in values.items()}


def _hash(frame: pd.DataFrame) -> str:
    rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
    return hashlib.sha256(rows.tobytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """`python -m training.steps.features`."""
    made = command.parser("features", __doc__)
    command.folder(made, "validated", VALIDATED)
    args = made.parse_args(arguments)

    def work() -> None:
        command.needed(args.validated, VALIDATED)
        found = engineer(args.validated / VALIDATED, load_use_case(args.use_case), args.output)
        kept, all_ = len(found.plan.kept), len(found.plan.names)
        command.log.info(
            "%d rows to learn from, %d set aside; %d of %d features", found.train_rows, found.test_rows, kept, all_
        )

    return command.run("features", work)


if __name__ == "__main__":
    sys.exit(main())
