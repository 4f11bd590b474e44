"""From a request's bytes to columns of values, in MLflow's shapes. Values are not looked at yet.

    {"input_data": {"columns": [...], "data": [[...], ...]}}     also as "dataframe_split"; "index" is ignored
    {"input_data": [{"column": value, ...}, ...]}                also as "dataframe_records"
    {"input_data": [[...], ...]}                                 values in the schema's order
    {"input_data": {"column": value, ...}}                       one row; with lists as values: columns

"inputs" means the same as "input_data". "params" must be empty.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from training.scoring.findings import Findings, Refused, refused

KEYS = ("input_data", "inputs", "dataframe_split", "dataframe_records")
#: In place of a value that a row lacks.
ABSENT: Any = object()
#: In place of a value of a row that is none; there is a finding for the row already.
SKIPPED: Any = object()
_KNOWN, _A_VALUE = "the schema's columns", "one value a row"
_SHAPES = 'an object with "input_data": rows as {"columns", "data"}, as objects or as lists'

Columns = dict[str, list[Any]]


def read_json(body: bytes) -> Any:
    """Raises `Refused` 400. NaN and Infinity are read, to be refused by name later."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        # the parser's own text may quote the request
        raise refused(400, "not JSON", _SHAPES) from None


def read_columns(document: Any, names: Sequence[str], max_rows: int, found: Findings) -> tuple[Columns, int]:
    """Schema columns with one value a row (ABSENT where there is none), and the number of rows. A column that no row has is
    left out and in `found`, like what else is wrong. Raises `Refused` when there are no rows to look at."""
    shape = _shape(_payload(document, found), names)
    if shape is None:
        found.add(None, None, "not rows", _SHAPES)
        raise Refused(422, found)
    count = len(shape[1])
    if not 1 <= count <= max_rows:
        found.add(None, None, "no rows" if count == 0 else "too many rows", f"1 to {max_rows} rows")
        raise Refused(422, found)
    return _turn(shape, names, found), count


def _payload(document: Any, found: Findings) -> Any:
    if not isinstance(document, dict):
        return None
    for key in sorted(document.keys() - set(KEYS)):
        if key != "params" or document[key]:
            found.add(key, None, "unknown key", ", ".join(KEYS))
    given = [key for key in KEYS if key in document]
    if len(given) > 1:
        found.add(None, None, "rows given twice", "one of " + ", ".join(KEYS))
    return document[given[0]] if given else None


#: Column names (None: rows are objects) and the rows.
_Shape = tuple[list[str] | None, list[Any]]


def _shape(rows: Any, names: Sequence[str]) -> _Shape | None:
    if isinstance(rows, dict):
        split = "data" in rows and ("columns" in rows or "data" not in names)
        return _split(rows, names) if split else _named(rows)
    if not isinstance(rows, list):
        return None
    if any(isinstance(row, list) for row in rows) or not rows:
        return list(names), rows
    return (None, rows) if any(isinstance(row, dict) for row in rows) else None


def _split(rows: dict[str, Any], names: Sequence[str]) -> _Shape | None:
    given, data = rows.get("columns", list(names)), rows["data"]
    if not isinstance(data, list) or not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        return None
    return given, data


def _named(rows: dict[str, Any]) -> _Shape | None:
    values = list(rows.values())
    if not values or not all(isinstance(value, list) for value in values):
        return None, [rows]
    if len(set(map(len, values))) != 1:
        return None
    return list(rows), [list(row) for row in zip(*values, strict=True)]


def _turn(shape: _Shape, names: Sequence[str], found: Findings) -> Columns:
    given, rows = shape
    if given is None:
        return _of_objects(rows, names, found)
    counts = Counter(given)
    _check_names(counts, names, found)
    wrong = found.total
    for index, row in enumerate(rows):
        if not isinstance(row, list):
            found.add(None, index, "not a list", f"{len(given)} values")
        elif len(row) != len(given):
            found.add(None, index, f"{len(row)} values", f"{len(given)} values")
    if found.total > wrong:
        return {}  # no telling which value is whose
    turned = dict(zip(given, zip(*rows, strict=True), strict=True))
    return {name: list(turned[name]) for name in names if name in counts}


def _check_names(counts: Counter[str], names: Sequence[str], found: Findings) -> None:
    known = set(names)
    for name, count in counts.items():
        if name not in known:
            found.add(name, None, "unknown column", _KNOWN)
        elif count > 1:
            found.add(name, None, "column given twice", "once")
    for name in names:
        if name not in counts:
            found.add(name, None, "missing column", _A_VALUE)


def _of_objects(rows: list[Any], names: Sequence[str], found: Findings) -> Columns:
    known, counts = set(names), Counter[str]()
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            found.add(None, index, "not an object", "an object, as the other rows")
        elif row.keys() != known:
            counts.update(row.keys() & known)
            for name in sorted(row.keys() - known):
                found.add(name, index, "unknown column", _KNOWN)
        else:
            counts.update(known)
    for name in names:
        if not counts[name]:
            found.add(name, None, "missing column", _A_VALUE)
    return {name: [_value(row, name) for row in rows] for name in names if counts[name]}


def _value(row: Any, name: str) -> Any:
    return row.get(name, ABSENT) if isinstance(row, dict) else SKIPPED
