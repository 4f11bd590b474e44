"""What a table looks like, column by column, in a form that can be kept; and how far another one is from it.

A profile is the training baseline that later tables, and live traffic, are compared with.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from training.tables import Kind, Table, quoted

#: Inner edges of the ten bins that drift is measured in.
QUANTILES = tuple(round(0.1 * step, 1) for step in range(1, 10))
#: Categories that are told apart; the rest is one.
TOP = 30
#: Up to here distinct values are counted; beyond, estimated (HyperLogLog) within a few percent.
EXACT_ROWS = 1_000_000
#: Stands in for an empty bin, so that its logarithm exists.
_EMPTY = 1e-4


class ColumnProfile(BaseModel):
    """One column. Numbers have `edges` (deciles), categories have `tops`; `shares` are those of the bins in their order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    missing: int
    #: Estimated in a table of more than EXACT_ROWS rows.
    distinct: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    deviation: float | None = None
    edges: tuple[float, ...] = ()
    tops: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    #: Share of values beyond five interquartile ranges of the quartiles.
    outliers: float = 0.0


class Profile(BaseModel):
    """A table's rows and columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    rows: int
    columns: dict[str, ColumnProfile]


def profile(table: Table, kinds: dict[str, Kind]) -> Profile:
    """The profile of the columns in `kinds`; a column at a time, so that memory stays bounded."""
    (rows,) = table.row("count(*)")
    return Profile(rows=rows, columns={name: _column(table, name, kind, rows) for name, kind in kinds.items()})


def _column(table: Table, name: str, kind: Kind, rows: int) -> ColumnProfile:
    column = quoted(name)
    counted = f"approx_count_distinct({column})" if rows > EXACT_ROWS else f"count(DISTINCT {column})"
    present, distinct = table.row(f"count({column}), {counted}")
    common = {"kind": kind, "missing": rows - present, "distinct": distinct}
    if kind == "category":
        tops = _tops(table, column)
        return ColumnProfile(**common, tops=tops, shares=category_shares(table, name, tops))
    if present == 0:
        return ColumnProfile(**common)
    number = f"CAST({column} AS DOUBLE)"
    low, high, mean, deviation, quantiles, quartiles = table.row(
        f"min({number}), max({number}), avg({number}), stddev_pop({number}),"
        f" quantile_cont({number}, {list(QUANTILES)}), quantile_cont({number}, [0.25, 0.75])",
        where=f"{column} IS NOT NULL AND isfinite({number})",
    )
    edges = tuple(sorted(set(quantiles)))
    return ColumnProfile(
        **common,
        minimum=low,
        maximum=high,
        mean=mean,
        deviation=deviation,
        edges=edges,
        shares=number_shares(table, name, edges),
        outliers=_outliers(table, number, quartiles, present),
    )


def _tops(table: Table, column: str) -> tuple[str, ...]:
    found = table.rows(
        f"SELECT CAST({column} AS VARCHAR) AS value FROM source WHERE {column} IS NOT NULL"  # nosec B608  # quoted
        f" GROUP BY value ORDER BY count(*) DESC, value LIMIT {TOP}"
    )
    return tuple(value for (value,) in found)


def _outliers(table: Table, number: str, quartiles: list[float], present: int) -> float:
    low, high = quartiles
    reach = 5 * (high - low)
    if reach == 0:
        return 0.0
    (beyond,) = table.row(f"count_if({number} < ? OR {number} > ?)", [low - reach, high + reach])
    return float(beyond) / present


def number_shares(table: Table, name: str, edges: tuple[float, ...]) -> tuple[float, ...]:
    """Shares of the bins (-inf, edge], ..., (last edge, inf) among the values that are there."""
    found = dict(
        table.rows(
            f"SELECT len(list_filter(?::DOUBLE[], lambda edge: CAST({quoted(name)} AS DOUBLE) > edge)) AS bin, count(*)"  # nosec B608  # quoted
            f" FROM source WHERE {quoted(name)} IS NOT NULL GROUP BY bin",
            [list(edges)],
        )
    )
    return _normalised([found.get(bin_, 0) for bin_ in range(len(edges) + 1)])


def category_shares(table: Table, name: str, tops: tuple[str, ...]) -> tuple[float, ...]:
    """Shares of `tops`, and of all others last, among the values that are there."""
    found = dict(
        table.rows(
            f"SELECT CAST({quoted(name)} AS VARCHAR) AS value, count(*) FROM source"  # nosec B608  # quoted
            f" WHERE {quoted(name)} IS NOT NULL GROUP BY value"
        )
    )
    known = [found.pop(value, 0) for value in tops]
    return _normalised([*known, sum(found.values())])


def _normalised(counts: list[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total if total else 0.0 for count in counts)


def drift(table: Table, baseline: Profile) -> dict[str, float]:
    """Population stability index of every column of `baseline` that the table still has, against it."""
    found = {}
    for name, before in baseline.columns.items():
        if name in table.kinds and before.shares:
            shares = number_shares if before.kind == "number" else category_shares
            found[name] = stability_index(before.shares, shares(table, name, before.edges or before.tops))  # type: ignore[arg-type]
    return found


def stability_index(expected: tuple[float, ...], actual: tuple[float, ...]) -> float:
    """PSI: sum of (actual - expected) * ln(actual / expected) over the bins; under 0.1 is none, over 0.2 is much.

    The usual reading of the figures is Siddiqi's, Credit Risk Scorecards (2006). Empty bins count as 0.0001.
    """
    before, now = (np.clip(np.asarray(shares, dtype=float), _EMPTY, None) for shares in (expected, actual))
    value = float(np.sum((now - before) * np.log(now / before)))
    return value if math.isfinite(value) else math.inf
