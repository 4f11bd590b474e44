"""What a request has to look like, and how probabilities become labels. Lies in the model's folder as `scoring_schema.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_FILE = "scoring_schema.json"


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnSchema(_Block):
    """One column of a request."""

    name: str
    type: Literal["number", "category"]
    categories: tuple[str, ...] = Field(default=(), description="every allowed category; empty: any text")
    minimum: float | None = Field(default=None, description="smallest allowed number")
    maximum: float | None = Field(default=None, description="largest allowed number")
    pii: bool = Field(default=False, description="personal: never in a log or an answer, masked where inputs are kept")
    nullable: bool = Field(default=False, description="null is allowed: training has seen missing values")


class ScoringSchema(_Block):
    """The columns are in the order of the model's signature."""

    model: str
    model_hash: str
    columns: tuple[ColumnSchema, ...] = Field(min_length=1)
    classes: tuple[str, ...] = Field(
        min_length=2, description="as the probabilities are ordered; binary: positive last"
    )
    threshold: float | None = Field(description="of the positive class; None: the likeliest class")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def personal(self) -> frozenset[str]:
        """Columns whose values must not be seen."""
        return frozenset(column.name for column in self.columns if column.pii)

    def write(self, model_folder: Path) -> Path:
        file = model_folder / SCHEMA_FILE
        file.write_text(self.model_dump_json(indent=2) + "\n", "utf-8")
        return file

    @classmethod
    def read(cls, model_folder: Path) -> ScoringSchema:
        """Of a model's folder; `FileNotFoundError` when the model was trained without one."""
        return cls.model_validate_json((model_folder / SCHEMA_FILE).read_text("utf-8"))
