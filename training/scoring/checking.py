"""Values against the schema. What comes out is what the model takes: floats and texts, None where a value is missing.

Nothing is guessed: a number has to be a JSON number. A category has to be text; whole numbers and truth values are taken as their
text (415, true), as the training table's were. Null, and "" for a category, are missing values: allowed where training saw some.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from training.scoring.findings import Findings
from training.scoring.reading import ABSENT, KEYS, SKIPPED, Columns
from training.scoring.schema import ColumnSchema, ScoringSchema

#: Rows that are read by `QuickReader`: of more, columns are checked faster one by one.
_FEW = 8
_SPLIT = frozenset({"columns", "data"})
_LARGEST = sys.float_info.max
#: Categories that a finding lists.
_LISTED = 12
_WHOLE, _TEXT = frozenset({int, float}), frozenset({str})


class QuickReader:
    """Requests as most clients send them, at once: {"columns", "data"} in the schema's order, every value as it should be.

    Anything else is None, and is then gone through finding by finding; what comes out is the same either way.
    """

    def __init__(self, schema: ScoringSchema) -> None:
        self._names, self._width = list(schema.names), len(schema.columns)
        self._tests = [_quick_test(column) for column in schema.columns]
        self._keys = () if "data" in self._names else KEYS

    def read(self, document: Any, max_rows: int) -> list[tuple[Any, ...]] | None:
        if type(document) is not dict or len(document) != 1:
            return None
        ((key, split),) = document.items()
        if (
            key not in self._keys
            or type(split) is not dict
            or split.keys() != _SPLIT
            or split["columns"] != self._names
        ):
            return None
        data = split["data"]
        if type(data) is not list or not 1 <= len(data) <= min(max_rows, _FEW):
            return None
        rows = []
        for row in data:
            if type(row) is not list or len(row) != self._width:
                return None
            if not all([test(value) for test, value in zip(self._tests, row, strict=True)]):
                return None
            rows.append(tuple([float(value) if type(value) is int else value for value in row]))
        return rows


class Checker:
    """Of one column. A column that is right is told so at C's speed; only a wrong one is gone through value by value."""

    def __init__(self, column: ColumnSchema) -> None:
        self.name, self.type, self._nullable = column.name, column.type, column.nullable
        self._known = frozenset(column.categories)
        self._low = -math.inf if column.minimum is None else column.minimum
        self._high = math.inf if column.maximum is None else column.maximum
        self._allowed = _allowed(column)

    def check(self, values: Sequence[Any], found: Findings) -> list[Any]:
        """The values as the model takes them; what is wrong goes to `found`, and is None here."""
        kinds = set(map(type, values))
        if self.type == "number":
            quick = self._all_numbers(values) if kinds <= _WHOLE else None
        else:
            quick = list(values) if kinds == _TEXT and self._all_known(values) else None
        if quick is not None:
            return quick
        judge = self._number if self.type == "number" else self._category
        return [self._one(value, index, judge, found) for index, value in enumerate(values)]

    def _all_numbers(self, values: Sequence[Any]) -> list[float] | None:
        try:
            numbers = list(map(float, values))
        except OverflowError:
            return None
        if not numbers:
            return numbers
        # a sum with NaN or infinity in it is not finite
        right = math.isfinite(sum(numbers)) and self._low <= min(numbers) and max(numbers) <= self._high
        return numbers if right else None

    def _all_known(self, values: Sequence[Any]) -> bool:
        if self._known:
            return self._known.issuperset(values)
        return "" not in values and _is_unicode("".join(values))

    def _one(self, value: Any, index: int, judge: Any, found: Findings) -> Any:
        if value is SKIPPED:
            return None
        if value is ABSENT:
            found.add(self.name, index, "missing value", self._allowed)
            return None
        if value is None or (value == "" and self.type == "category"):
            if not self._nullable:
                found.add(self.name, index, "null", self._allowed)
            return None
        judged, problem = judge(value)
        if problem:
            found.add(self.name, index, problem, self._allowed)
        return judged

    def _number(self, value: Any) -> tuple[float | None, str]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None, f"{_KINDS.get(type(value), 'another type')} in place of a number"
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            return None, "not a finite number"
        return (number, "") if self._low <= number <= self._high else (None, "out of range")

    def _category(self, value: Any) -> tuple[str | None, str]:
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int):
            if abs(value) >= _LARGEST_CODE:
                return None, "a number too large for a code"
            value = str(value)
        if not isinstance(value, str):
            return None, f"{_KINDS.get(type(value), 'another type')} in place of text"
        if self._known and value not in self._known:
            return None, "unknown category"
        return (value, "") if _is_unicode(value) else (None, "not Unicode")


def _is_unicode(text: str) -> bool:
    """Not so for half a surrogate pair, which JSON lets through and no encoder does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quick_test(column: ColumnSchema) -> Callable[[Any], bool]:
    """Whether a value is right as it stands. False may also mean: look closer."""
    if column.type == "number":
        low = -_LARGEST if column.minimum is None else max(column.minimum, -_LARGEST)
        high = _LARGEST if column.maximum is None else min(column.maximum, _LARGEST)
        # NaN, infinity and whole numbers beyond float64 are not between
        return lambda value: (type(value) is float or type(value) is int) and low <= value <= high
    known = frozenset(column.categories)
    if known:
        return lambda value: type(value) is str and value in known
    return lambda value: type(value) is str and value != "" and (value.isascii() or _is_unicode(value))


_KINDS = {str: "text", bool: "a truth value", int: "a number", float: "a number", list: "a list", dict: "an object"}
#: Python refuses to write out the longest whole numbers.
_LARGEST_CODE = 10**18


def _allowed(column: ColumnSchema) -> str:
    null = ", or null" if column.nullable else ""
    if column.type == "number":
        low = "" if column.minimum is None else f" from {column.minimum:g}"
        high = "" if column.maximum is None else f" to {column.maximum:g}"
        return f"a number{low}{high}{null}"
    if not column.categories:
        return f"text{null}"
    if column.pii:
        return f"one of {len(column.categories)} categories{null}"
    listed = ", ".join(column.categories[:_LISTED])
    more = len(column.categories) - _LISTED
    return f"one of {listed}{f' and {more} more' if more > 0 else ''}{null}"


def check_columns(checkers: Sequence[Checker], columns: Columns, found: Findings) -> Columns:
    """Every column that is there, checked."""
    return {each.name: each.check(columns[each.name], found) for each in checkers if each.name in columns}
