"""Makes a model's scoring schema from its use case and from the rows that it was made of. Part of training; not shipped."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from training.plan import NO_CATEGORY, FeaturePlan
from training.scoring.schema import ColumnSchema, ScoringSchema
from training.usecase import Column, UseCase

#: A column with more categories than this is open: names, addresses, free text.
MAX_CATEGORIES = 1000
#: Numbers farther out than anyone means, where products of two of them leave float32; or ten times what training saw.
_FAR, _MARGIN = 1e12, 10


def describe(
    plan: FeaturePlan, case: UseCase, parts: Sequence[pd.DataFrame], threshold: float | None, model_hash: str
) -> ScoringSchema:
    """`parts`: all validated rows. What the use case says of a column comes before what the rows show."""
    frame = pd.concat([part[list(plan.columns)] for part in parts], ignore_index=True)
    given = {name: case.columns.get(name) for name in plan.columns}
    columns = [_category(name, given[name], frame[name]) for name in plan.categories]
    columns += [_number(name, given[name], frame[name]) for name in plan.numbers]
    return ScoringSchema(
        model=case.name, model_hash=model_hash, columns=tuple(columns), classes=plan.classes, threshold=threshold
    )


def _category(name: str, given: Column | None, values: pd.Series[str]) -> ColumnSchema:
    seen = set(values.unique())
    personal = given is not None and given.pii
    known = given.categories if given else ()
    if not known and not personal and len(seen) <= MAX_CATEGORIES:
        # a personal column's values stay out of a file that travels
        known = tuple(sorted(seen - {NO_CATEGORY}))
    return ColumnSchema(name=name, type="category", categories=known, pii=personal, nullable=NO_CATEGORY in seen)


def _number(name: str, given: Column | None, values: pd.Series[float]) -> ColumnSchema:
    far = max(_FAR, float(values.abs().max()) * _MARGIN)
    return ColumnSchema(
        name=name,
        type="number",
        minimum=given.minimum if given and given.minimum is not None else -far,
        maximum=given.maximum if given and given.maximum is not None else far,
        pii=given is not None and given.pii,
        nullable=bool(values.isna().any()),
    )
