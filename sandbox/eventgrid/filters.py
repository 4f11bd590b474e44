"""Which events a subscription wants; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Event = Mapping[str, Any]
_MISSING = object()
#: Names of an event's attributes in Event Grid's schema and, where they differ, in CloudEvents.
_CLOUD_NAMES = {"eventtype": "type", "eventtime": "time", "topic": "source"}


def wants(filter_: Mapping[str, Any] | None, event: Event) -> bool:
    """Whether the `filter` of an event subscription lets the event through."""
    if not filter_:
        return True
    types = filter_.get("includedEventTypes") or []
    kind = str(event.get("eventType", event.get("type", "")))
    if types and "All" not in types and kind.lower() not in {str(name).lower() for name in types}:
        return False
    return _subject(filter_, str(event.get("subject") or "")) and all(
        _advanced(one, event, bool(filter_.get("enableAdvancedFilteringOnArrays")))
        for one in filter_.get("advancedFilters") or []
    )


def _subject(filter_: Mapping[str, Any], subject: str) -> bool:
    begins, ends = str(filter_.get("subjectBeginsWith") or ""), str(filter_.get("subjectEndsWith") or "")
    if not filter_.get("isSubjectCaseSensitive"):
        subject, begins, ends = subject.lower(), begins.lower(), ends.lower()
    return subject.startswith(begins) and subject.endswith(ends)


def _advanced(one: Mapping[str, Any], event: Event, arrays: bool) -> bool:
    value = value_at(event, str(one.get("key", "")))
    operator = str(one.get("operatorType"))
    if operator in ("IsNullOrUndefined", "IsNotNull"):
        return (value is _MISSING or value is None) == (operator == "IsNullOrUndefined")
    wanted = one["values"] if "values" in one else [one.get("value")]
    values = value if arrays and isinstance(value, list) else [value]
    positive = operator.replace("Not", "", 1)
    matched = any(_OPERATORS[positive](each, other) for each in values for other in wanted)
    return matched != ("Not" in operator)


def value_at(event: Event, key: str) -> Any:
    """The attribute at `key`, e.g. 'data.model.version'; names of the envelope are matched without case."""
    first, _, rest = key.partition(".")
    names = {str(name).lower(): name for name in event}
    lowered = first.lower()
    name = names.get(lowered, names.get(_CLOUD_NAMES.get(lowered, lowered)))
    value: Any = event[name] if name is not None else _MISSING
    for part in rest.split(".") if rest else []:
        value = value.get(part, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def unknown_operators(filter_: Mapping[str, Any] | None) -> list[str]:
    """The operators that are not imitated."""
    used = [str(one.get("operatorType")) for one in (filter_ or {}).get("advancedFilters") or []]
    known = {"IsNullOrUndefined", "IsNotNull"}
    return [name for name in used if name not in known and name.replace("Not", "", 1) not in _OPERATORS]


def _number(compare: Callable[[float, Any], bool]) -> Callable[[Any, Any], bool]:
    def check(value: Any, wanted: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and compare(float(value), wanted)

    return check


def _text(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def check(value: Any, wanted: Any) -> bool:
        return isinstance(value, str) and compare(value.lower(), str(wanted).lower())

    return check


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "NumberIn": _number(lambda value, wanted: value == float(wanted)),
    "NumberLessThan": _number(lambda value, wanted: value < float(wanted)),
    "NumberLessThanOrEquals": _number(lambda value, wanted: value <= float(wanted)),
    "NumberGreaterThan": _number(lambda value, wanted: value > float(wanted)),
    "NumberGreaterThanOrEquals": _number(lambda value, wanted: value >= float(wanted)),
    "NumberInRange": _number(lambda value, wanted: float(wanted[0]) <= value <= float(wanted[1])),
    "BoolEquals": lambda value, wanted: isinstance(value, bool) and value == wanted,
    "StringIn": _text(lambda value, wanted: value == wanted),
    "StringContains": _text(lambda value, wanted: wanted in value),
    "StringBeginsWith": _text(lambda value, wanted: value.startswith(wanted)),
    "StringEndsWith": _text(lambda value, wanted: value.endswith(wanted)),
}
