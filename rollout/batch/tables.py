"""Tables larger than memory: read in batches of rows, split into Parquet files, written row group by row group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rollout.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".pq", ".csv")
#: Rows of one file that is uploaded, and so of one call of the model: some megabytes.
ROWS_PER_FILE = 10_000
_HASHED_BYTES = 1 << 20
_CSV_BLOCK_BYTES = 8 << 20


class Writer(Protocol):
    """Appends record batches or tables."""

    def write_table(self, table: pa.Table) -> None: ...


@dataclass(frozen=True)
class Table:
    """A Parquet or CSV file of rows. `BadInput` names what is wrong with the file."""

    path: Path

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise BadInput(f"--data {self.path}: no such file")
        check_suffix(self.path, "--data")

    @cached_property
    def schema(self) -> pa.Schema:
        reader = self._open()
        return reader.schema if _is_csv(self.path) else reader.schema_arrow

    @property
    def columns(self) -> list[str]:
        return list(self.schema.names)

    @cached_property
    def rows(self) -> int:
        """Counted without holding them."""
        if _is_csv(self.path):
            return sum(batch.num_rows for batch in self._batches(ROWS_PER_FILE))
        import pyarrow.parquet as pq

        with self._refusing():
            return int(pq.ParquetFile(self.path).metadata.num_rows)

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same file."""
        digest = hashlib.sha256()
        with self.path.open("rb") as file:
            while chunk := file.read(_HASHED_BYTES):
                digest.update(chunk)
        return digest.hexdigest()[:16]

    def chunks(self, rows: int = ROWS_PER_FILE) -> Iterator[pa.Table]:
        """So many rows at a time, the last may have fewer."""
        import pyarrow as pa

        held: list[pa.RecordBatch] = []
        count = 0
        for batch in self._batches(rows):
            while count + batch.num_rows >= rows:
                take = rows - count
                yield pa.Table.from_batches([*held, batch.slice(0, take)])
                batch, held, count = batch.slice(take), [], 0
            if batch.num_rows:
                held.append(batch)
                count += batch.num_rows
        if held:
            yield pa.Table.from_batches(held)

    def split(self, folder: Path, rows: int = ROWS_PER_FILE) -> int:
        """Files of so many rows; each carries in its name where in the table it begins. Gives how many."""
        number = 0
        for number, chunk in enumerate(self.chunks(rows), start=1):
            with writing(folder / self.part_name((number - 1) * rows), chunk.schema) as part:
                part.write_table(chunk)
        return number

    def part_name(self, first_row: int) -> str:
        """The file that begins with this row of the table."""
        return f"rows-{first_row:012d}{'.csv' if _is_csv(self.path) else '.parquet'}"

    def _batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        reader = self._open()
        with self._refusing():
            yield from reader if _is_csv(self.path) else reader.iter_batches(batch_size=rows)

    def _open(self) -> Any:
        """A stream of a CSV's batches, or a Parquet file.

        What is in a CSV stays text: a type guessed from its head would be wrong further down, or lose a zero in front.
        """
        import pyarrow as pa
        import pyarrow.csv as csv
        import pyarrow.parquet as pq

        if self.path.stat().st_size == 0:
            raise BadInput(f"--data {self.path}: the file is empty")
        with self._refusing():
            if not _is_csv(self.path):
                # Read ahead, a whole file would be held.
                return pq.ParquetFile(self.path, pre_buffer=False)
            read = csv.ReadOptions(block_size=_CSV_BLOCK_BYTES)
            names = csv.open_csv(self.path, read_options=read).schema.names
            text = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
            return csv.open_csv(self.path, read_options=read, convert_options=text)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        import pyarrow as pa

        try:
            yield
        except pa.ArrowInvalid as error:
            kind = "CSV" if _is_csv(self.path) else "Parquet"
            raise BadInput(f"--data {self.path}: not readable as {kind}: {error}") from error


def check_suffix(path: Path, option: str) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(
            f"{option} {path}: unknown file type {path.suffix or 'without ending'!r}",
            way_out=f"known are {', '.join(SUFFIXES)}",
        )


def check_columns(table: Table, wanted: Sequence[str], reserved: Sequence[str]) -> None:
    """`BadInput` with all that is wrong: columns that are missing, columns named as predictions are, no rows."""
    missing = [name for name in wanted if name not in table.columns]
    taken = [name for name in table.columns if name in reserved]
    problems = []
    if missing:
        problems.append(f"missing columns: {', '.join(missing)} (it has {', '.join(table.columns)})")
    if taken:
        problems.append(f"the predictions would overwrite columns: {', '.join(taken)}")
    if table.rows == 0:
        problems.append("the table has no rows")
    if problems:
        raise BadInput(
            f"--data {table.path}: {'; '.join(problems)}",
            way_out=f"the model reads {', '.join(wanted)}" if missing else "mend the file",
        )


@contextmanager
def writing(path: Path, schema: pa.Schema) -> Iterator[Writer]:
    """A Parquet or CSV writer; the file appears whole or not at all."""
    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer: Any = csv.CSVWriter(partial, schema) if _is_csv(path) else pq.ParquetWriter(partial, schema)
    try:
        with writer:
            yield writer
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"
