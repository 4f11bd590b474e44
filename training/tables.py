"""Tables of any size: DuckDB reads CSV and Parquet out of core; nothing here loads a whole table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import pandas as pd

from training.usecase import UseCase

Kind = Literal["number", "category"]
_NUMBERS = frozenset(
    {
        "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
        "FLOAT", "DOUBLE", "DECIMAL",
    }
)  # fmt: skip
BATCH_ROWS = 100_000
MEMORY_LIMIT = "2GB"
_OTHER_DELIMITERS = (";", "\t", "|")


class DataError(ValueError):
    """The table can't be used; `findings` has one line per reason."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("; ".join(findings))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Table:
    """An open table: the view `source` of `connection`, and its columns in the file's order."""

    connection: duckdb.DuckDBPyConnection
    kinds: dict[str, Kind]

    def row(self, expression: str, parameters: list[Any] | None = None, *, where: str = "true") -> tuple[Any, ...]:
        """One row of aggregates over the table. Columns go through `quoted`, values through `parameters`."""
        query = f"SELECT {expression} FROM source WHERE {where}"  # nosec B608  # quoted names only
        (found,) = self.rows(query, parameters)
        return found

    def rows(self, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a query over `source`."""
        return self.connection.execute(query, parameters or []).fetchall()

    def batches(self) -> Iterator[pd.DataFrame]:
        """The table as frames of at most BATCH_ROWS rows."""
        reader = self.connection.sql("SELECT * FROM source").to_arrow_reader(BATCH_ROWS)
        for batch in reader:
            yield batch.to_pandas()


def quoted(name: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def open_table(path: Path, case: UseCase) -> Iterator[Table]:
    """The CSV or Parquet file as a table. Raises `DataError` when it can't be read as one."""
    if not path.is_file():
        raise DataError([f"{path}: no such file"])
    with (
        tempfile.TemporaryDirectory(prefix="table-") as folder,
        duckdb.connect(
            ":memory:", config={"memory_limit": MEMORY_LIMIT, "threads": 2, "temp_directory": folder}
        ) as connection,
    ):
        # the order of rows is part of the result: the same file gives the same model
        connection.execute("SET preserve_insertion_order = true")
        try:
            relation = _read(connection, path, case, Path(folder))
        except duckdb.Error as error:
            raise DataError([f"{path.name}: not readable as CSV or Parquet: {str(error).splitlines()[0]}"]) from error
        relation.create_view("source")
        try:
            yield Table(connection, {name: _kind(str(type_)) for name, type_ in _columns(relation)})
        except duckdb.Error as error:
            raise DataError([f"{path.name}: {str(error).splitlines()[0]}"]) from error


def _read(connection: duckdb.DuckDBPyConnection, path: Path, case: UseCase, folder: Path) -> duckdb.DuckDBPyRelation:
    if path.suffix == ".parquet":
        return connection.read_parquet(str(path))
    # text is parsed once; every question after that is put to columns
    parsed = folder / "table.parquet"
    _read_csv(connection, path, case).write_parquet(str(parsed))
    return connection.read_parquet(str(parsed))


def _read_csv(connection: duckdb.DuckDBPyConnection, path: Path, case: UseCase) -> duckdb.DuckDBPyRelation:
    # yes and no stay the words that they are; DuckDB would make truth values of them
    relation = connection.read_csv(
        str(path), header=True, sep=case.delimiter, sample_size=-1, auto_type_candidates=["BIGINT", "DOUBLE", "VARCHAR"]
    )
    if len(relation.columns) == 1 and (found := [each for each in _OTHER_DELIMITERS if each in relation.columns[0]]):
        raise DataError(
            [
                f"{path.name}: one column, {relation.columns[0][:60]!r}: it seems to be separated by {found[0]!r},"
                f" not by {case.delimiter!r}; set `delimiter` in the use case"
            ]
        )
    return relation


def _columns(relation: duckdb.DuckDBPyRelation) -> list[tuple[str, Any]]:
    return list(zip(relation.columns, relation.types, strict=True))


def _kind(type_: str) -> Kind:
    return "number" if type_.split("(")[0] in _NUMBERS else "category"
