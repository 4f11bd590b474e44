"""From a job's predictions, in whatever order they came, back to the rows that were sent; nothing is lost.

Two forms are read: one JSON object a line (what `training.batch` writes: file, row, prediction, probability_..., or
error), and Azure's own of MLflow models without code: row, prediction and file, apart by a comma or a space.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.batch.tables import ROWS_PER_FILE, Table, writing
from rollout.errors import RolloutError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

PREDICTION, ERROR = "prediction", "error"
_KEYS = ("file", "row")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every row is in one of the two files: `scored` or `rejected`."""

    rows: int
    scored: int
    rejected: int
    output: Path
    rejects: Path | None


def rejects_of(output: Path) -> Path:
    return output.with_name(f"{output.stem}.rejects.csv")


def join(table: Table, predictions: Path, output: Path, scratch: Path, rows_per_file: int = ROWS_PER_FILE) -> Outcome:
    """Write the scored rows to `output`, and the others with the reason to the rejects file beside it.

    Predictions lie in a database file in `scratch` meanwhile, and rows are read a file's worth at a time: neither has
    to fit into memory.
    """
    import duckdb

    rejects, counts = rejects_of(output), [0, 0]
    with duckdb.connect(str(scratch / "predictions.duckdb")) as database:
        names = _load(database, predictions)
        schema = _schema(table, database, names)
        with (
            writing(output, schema) as scored,
            rejects.with_name(f".{rejects.name}.partial").open("w", newline="") as refused,
        ):
            lines = csv.writer(refused)
            lines.writerow(["row", "reason"])
            for number, chunk in enumerate(table.chunks(rows_per_file)):
                first = number * rows_per_file
                found = _of_file(database, names, table.part_name(first), chunk.num_rows)
                good = found.column(PREDICTION).is_valid()
                scored.write_table(_beside(chunk, found, names).filter(good).cast(schema))
                reasons = [*enumerate(zip(good.to_pylist(), found.column(ERROR).to_pylist(), strict=True), first)]
                bad = [
                    (row, reason or "no prediction: its mini batch failed") for row, (ok, reason) in reasons if not ok
                ]
                lines.writerows(bad)
                counts[0] += chunk.num_rows - len(bad)
                counts[1] += len(bad)
    _place(rejects, bool(counts[1]))
    return Outcome(sum(counts), counts[0], counts[1], output, rejects if counts[1] else None)


def _place(rejects: Path, wanted: bool) -> None:
    partial = rejects.with_name(f".{rejects.name}.partial")
    if wanted:
        partial.replace(rejects)
    else:
        partial.unlink()
        rejects.unlink(missing_ok=True)  # of an earlier run


def _load(database: duckdb.DuckDBPyConnection, predictions: Path) -> list[str]:
    """The table `predictions`, in order; gives the names of its values."""
    with predictions.open(encoding="utf-8") as file:
        head = file.readline()
    if not head:
        raise RolloutError(f"{predictions.name} is empty: the job made no prediction", way_out="read the job's log")
    if head.startswith("{"):
        source = "read_json(?, format='newline_delimited', sample_size=-1)"
    else:
        delimiter = "," if re.match(r'"?\d+"?,', head) else " "
        source = f"read_csv(?, header=false, names=['row', 'prediction', 'file'], delim='{delimiter}', quote='\"')"
    database.execute(f"create table raw as select * from {source}", [str(predictions)])  # nosec B608  # no input in it
    columns = [row[0] for row in database.execute("describe raw").fetchall()]
    if not {"file", "row"} <= set(columns):
        raise RolloutError(
            f"{predictions.name} does not say which rows its predictions are of",
            way_out="a script's run() gives file, row and prediction of each row, as JSON",
        )
    values = [name for name in columns if name not in (*_KEYS, ERROR)]
    if PREDICTION not in values:
        database.execute("alter table raw add column prediction varchar")
        values.insert(0, PREDICTION)
    if ERROR not in columns:
        database.execute("alter table raw add column error varchar")
    database.execute("create table predictions as select * from raw order by file, row")
    database.execute("drop table raw")
    return values


def _of_file(database: duckdb.DuckDBPyConnection, names: Sequence[str], file: str, rows: int) -> pa.Table:
    """The predictions of one file, a line for each of its rows in order; nulls where there are none."""
    picked = ", ".join(f"any_value(p.{_quoted(name)}) as {_quoted(name)}" for name in (*names, ERROR))
    query = (
        f"select {picked} from range(?) as r(number)"  # nosec B608  # quoted names of columns
        " left join predictions p on p.row = r.number and p.file = ? group by r.number order by r.number"
    )
    return _arrow(database.sql(query, params=[rows, file]))


def _schema(table: Table, database: duckdb.DuckDBPyConnection, names: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    picked = ", ".join(_quoted(name) for name in names)
    made = _arrow(database.sql(f"select {picked} from predictions limit 0")).schema  # nosec B608  # as above
    return pa.schema([*table.schema, *made])


def _beside(chunk: pa.Table, found: pa.Table, names: Sequence[str]) -> pa.Table:
    for name in names:
        chunk = chunk.append_column(name, found.column(name))
    return chunk


def _arrow(result: Any) -> pa.Table:
    made: pa.Table = result.to_arrow_table()
    return made


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
