"""The columnar database behind the logs. One thread owns it; nothing is loaded before the first row or query."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.logs.kql import KqlError, Query
from sandbox.logs.tables import TABLES, definition, view

#: Azure's limits of one answer.
_MOST_ROWS = 500_000
_MOST_SECONDS = 180
_RIGHT = re.compile(r"^kql_right_(\d+)\.(.+)$")
_PRINTED = re.compile(r"^Column(\d+)$")
_UNKNOWN = re.compile(
    r"(?:table expression identifier|expression identifier|expression or function identifier) [`']([^`']+)[`']"
)
_UNSUPPORTED = re.compile(r"position (\d+): (.+?)\. \(SYNTAX_ERROR\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """Column names with Kusto's types, and rows of what JSON can hold."""

    columns: list[tuple[str, str]]
    rows: list[list[Any]]


class Database:
    """All methods are for one and the same thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._session: Any = None

    def insert(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        lines = "\n".join(json.dumps(row) for row in rows)
        # The table's name is one of TABLES; the values travel as JSON.
        self._open().query(f"INSERT INTO logs.`{table}` FORMAT JSONEachRow\n{lines}")

    def query(self, query: Query, customer_id: str, condition: str) -> Answer:
        """Run a checked query over what `condition` (SQL, made by the sandbox) lets through; KqlError when it fails."""
        session = self._open()
        for table in TABLES:
            session.query(f"DROP VIEW IF EXISTS shown.`{table}`")
        for table in query.tables:
            session.query(view(table, customer_id, condition))
        session.query("SET dialect = 'kusto'")
        try:
            text = str(session.query(query.text, "JSONCompact"))
        except Exception as error:
            # The database's errors share no base class but Exception across its releases.
            raise _explained(error) from error
        finally:
            session.query("SET dialect = 'clickhouse'")
        return _answer(json.loads(text or '{"meta": [], "data": []}'), query)

    def clear(self) -> None:
        if self._session is None:
            shutil.rmtree(self._folder, ignore_errors=True)
            return
        for table in TABLES:
            self._session.query(f"TRUNCATE TABLE logs.`{table}`")

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _open(self) -> Any:
        if self._session is None:
            # A second and 300 MB, which a sandbox whose logs nobody needs doesn't pay for.
            from chdb.session import Session

            self._folder.mkdir(parents=True, exist_ok=True)
            session = Session(str(self._folder))
            for statement in self._setup():
                session.query(statement)
            self._session = session
        return self._session

    def _setup(self) -> Sequence[str]:
        return [
            "CREATE DATABASE IF NOT EXISTS logs",
            *(definition(name) for name in TABLES),
            "CREATE DATABASE IF NOT EXISTS shown ENGINE = Memory",
            "USE shown",
            "SET allow_experimental_kusto_dialect = 1",
            "SET date_time_input_format = 'best_effort'",
            f"SET max_execution_time = {_MOST_SECONDS}",
            f"SET max_result_rows = {_MOST_ROWS}",
        ]


def _answer(document: dict[str, Any], query: Query) -> Answer:
    meta = [(column["name"], _kind(column["type"])) for column in document["meta"]]
    names = [_name(name, at, query.prints) for at, (name, _) in enumerate(meta)]
    converters = [
        _CONVERTERS.get(column["type"].removeprefix("Nullable(").partition("(")[0].rstrip(")"))
        for column in document["meta"]
    ]
    rows = [
        [
            convert(value) if convert and value is not None else value
            for convert, value in zip(converters, row, strict=True)
        ]
        for row in document["data"]
    ]
    return Answer([(name, kind) for name, (_, kind) in zip(names, meta, strict=True)], rows)


def _name(name: str, at: int, prints: bool) -> str:
    """Kusto's name of a column that the database names its own way."""
    if (right := _RIGHT.match(name)) is not None:
        return right[2] + right[1]
    if prints and (printed := _PRINTED.match(name)) is not None:
        return f"print_{int(printed[1]) - 1}"
    return f"Column{at + 1}" if name.startswith("kql") else name


def _kind(stored: str) -> str:
    plain = stored
    for wrapper in ("LowCardinality(", "Nullable("):
        if plain.startswith(wrapper):
            plain = plain.removeprefix(wrapper)[:-1]
    if plain.startswith("Decimal(18, 7)"):
        raise KqlError(
            "NotImitatedBySandbox",
            "The difference of two datetimes is not understood here; use datetime_diff('second', a, b).",
        )
    for kind, prefixes in _KINDS.items():
        if plain.startswith(prefixes):
            return kind
    raise KqlError("NotImitatedBySandbox", f"A result of the database's type {stored} is not understood here.")


def _timespan(nanoseconds: int) -> str:
    """Kusto's [-][d.]hh:mm:ss[.fffffff]."""
    ticks = abs(int(nanoseconds)) // 100
    seconds, fraction = divmod(ticks, 10**7)
    days, rest = divmod(seconds, 86_400)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    sign = "-" if int(nanoseconds) < 0 else ""
    return sign + (f"{days}." if days else "") + text + (f".{fraction:07}" if fraction else "")


def _moment(text: str) -> str:
    day, _, clock = text.partition(" ")
    clock = clock or "00:00:00"
    if "." in clock:
        clock = clock[: clock.index(".") + 8].rstrip("0").rstrip(".")
    return f"{day}T{clock}Z"


def _explained(error: Exception) -> KqlError:
    """The database's complaint in Azure's terms."""
    text = str(error)
    if (unknown := _UNKNOWN.search(text)) is not None:
        return KqlError("SemanticError", f"Failed to resolve the name '{unknown[1]}'.")
    if "TOO_MANY_ROWS_OR_BYTES" in text:
        return KqlError("E_QUERY_RESULT_SET_TOO_LARGE", f"The result has more than {_MOST_ROWS} rows.")
    if "TIMEOUT_EXCEEDED" in text:
        return KqlError("GatewayTimeout", f"The query took longer than {_MOST_SECONDS} seconds.")
    if (unsupported := _UNSUPPORTED.search(text)) is not None:
        return KqlError("SyntaxError", f"Not understood: {unsupported[2]}.")
    detail = text.partition("DB::Exception: ")[2].partition(": In scope")[0].partition(": while executing")[0] or text
    return KqlError("SemanticError", f"The query failed: {detail}")


_KINDS: dict[str, tuple[str, ...]] = {
    "int": ("Int8", "Int16", "Int32", "UInt8", "UInt16"),
    "long": ("Int64", "UInt32", "UInt64"),
    "real": ("Float32", "Float64"),
    "bool": ("Bool",),
    "string": ("String", "FixedString", "Nothing"),
    "datetime": ("DateTime", "Date"),
    "timespan": ("IntervalNanosecond", "IntervalDay", "IntervalHour", "IntervalMinute", "IntervalSecond"),
    "guid": ("UUID",),
    "decimal": ("Decimal",),
    "dynamic": ("Array", "Tuple", "Map", "JSON", "Dynamic"),
}
_CONVERTERS: dict[str, Any] = {
    "DateTime64": _moment,
    "DateTime": _moment,
    "Date": _moment,
    "IntervalNanosecond": _timespan,
    "IntervalSecond": lambda value: _timespan(int(value) * 10**9),
    "IntervalMinute": lambda value: _timespan(int(value) * 60 * 10**9),
    "IntervalHour": lambda value: _timespan(int(value) * 3600 * 10**9),
    "IntervalDay": lambda value: _timespan(int(value) * 86_400 * 10**9),
    "Array": json.dumps,
    "Tuple": json.dumps,
    "Map": json.dumps,
    "JSON": json.dumps,
    "Dynamic": json.dumps,
    "Decimal": str,
}
