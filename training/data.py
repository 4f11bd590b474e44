"""Reading a table, and refusing one that no model should learn from. All findings at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.model_selection import train_test_split

from training.usecase import UseCase


class DataError(ValueError):
    """The table can't be used; `findings` has one line per reason."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("; ".join(findings))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Split:
    """Features as (rows, columns) frames, targets as 0/1 series of the same rows."""

    train_x: pd.DataFrame
    train_y: pd.Series[int]
    test_x: pd.DataFrame
    test_y: pd.Series[int]


def read_table(path: Path) -> pd.DataFrame:
    """A CSV or Parquet file; DataError when it is neither or can't be parsed."""
    if not path.is_file():
        raise DataError([f"{path}: no such file"])
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError([f"{path.name}: not readable as CSV or Parquet: {error}"]) from error


def findings(frame: pd.DataFrame, case: UseCase) -> list[str]:
    """Why the table can't be used: one line each, empty when it can."""
    if case.target not in frame.columns:
        return [f"target column '{case.target}' is missing; the table has: {', '.join(map(str, frame.columns))}"]
    found = []
    if len(frame) < case.min_rows:
        found.append(f"{len(frame)} rows; at least {case.min_rows} are needed")
    labels = frame[case.target].dropna().astype(str)
    if case.positive not in set(labels):
        found.append(
            f"target '{case.target}' never is '{case.positive}'; it has: {', '.join(sorted(set(labels))[:10])}"
        )
    if labels.nunique() != 2:
        found.append(f"target '{case.target}' has {labels.nunique()} classes; 2 are needed")
    if frame[case.target].isna().any():
        found.append(f"target '{case.target}' is missing in {int(frame[case.target].isna().sum())} rows")
    features = frame.drop(columns=[case.target, *(name for name in case.drop if name in frame)])
    found += [line for name in features.columns if (line := _column_finding(features[name], case))]
    return found


def _column_finding(column: pd.Series[Any], case: UseCase) -> str | None:
    missing = float(column.isna().mean())
    if missing > case.max_missing_share:
        return f"column '{column.name}' is missing in {missing:.1%} of rows; at most {case.max_missing_share:.0%} is allowed"
    if column.nunique(dropna=True) <= 1:
        return f"column '{column.name}' is constant"
    return None


def split(frame: pd.DataFrame, case: UseCase) -> Split:
    """Stratified train and test parts; numbers become float64. DataError with every finding."""
    if found := findings(frame, case):
        raise DataError(found)
    features = frame.drop(columns=[case.target, *(name for name in case.drop if name in frame)])
    numeric = features.select_dtypes("number").columns
    features = features.astype({name: "float64" for name in numeric})
    target = (frame[case.target].astype(str) == case.positive).astype(int)
    train_x, test_x, train_y, test_y = train_test_split(
        features, target, test_size=case.test_share, stratify=target, random_state=case.seed
    )
    return Split(train_x, train_y, test_x, test_y)
