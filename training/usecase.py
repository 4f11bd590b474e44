"""A use case is configuration: which table, which target, what a usable table looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

FOLDER = Path(__file__).parent / "usecases"

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class UseCase(BaseModel):
    """One prediction task on one table. Binary: `positive` is the label that the gates are about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,30}$")
    target: str
    positive: str
    drop: tuple[str, ...] = ()
    min_rows: int = Field(default=1000, ge=1)
    max_missing_share: Share = 0.10
    test_share: Share = 0.20
    seed: int = 7


class UseCaseError(ValueError):
    """The use case's file is missing or wrong; the message names the key."""


def load_use_case(name_or_path: str) -> UseCase:
    """The use case of a YAML file, or of a name for which `training/usecases/<name>.yaml` exists."""
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml")))
        raise UseCaseError(f"use case '{name_or_path}' has no file; known: {known}, or give the path of a YAML file")
    try:
        return UseCase.model_validate(yaml.safe_load(path.read_text()))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise UseCaseError(f"{path.name}: {problems}") from error
