"""The `timespan` of a query: an ISO 8601 interval in policy time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sandbox.kernel.errors import AzureError

_DURATION = re.compile(
    r"^P(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?$"
)


def interval(text: str | None, now: datetime) -> tuple[datetime, datetime] | None:
    """Start and end; None when the query is not limited. AzureError 400 for what is no interval."""
    if not text:
        return None
    first, slash, second = text.partition("/")
    if not slash:
        return now - _duration(first, text), now
    if first.startswith("P"):
        end = _moment(second, text)
        return end - _duration(first, text), end
    start = _moment(first, text)
    return start, start + _duration(second, text) if second.startswith("P") else _moment(second, text)


def condition(span: tuple[datetime, datetime] | None, resource_id: str = "") -> str:
    """SQL that lets through what is in the interval and, if given, belongs to the resource or is below it."""
    parts = ["1"]
    if span is not None:
        start, end = (moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") for moment in span)
        parts.append(
            f"TimeGenerated >= toDateTime64('{start}', 7, 'UTC') AND TimeGenerated <= toDateTime64('{end}', 7, 'UTC')"
        )
    if resource_id:
        if not re.fullmatch(r"[\w/.()-]+", resource_id):
            raise AzureError(400, "BadArgumentError", f"'{resource_id}' is not a resource id.")
        parts.append(f"startsWith(concat(lower(`_ResourceId`), '/'), '{resource_id.strip().rstrip('/').lower()}/')")
    return " AND ".join(parts)


def _duration(text: str, whole: str) -> timedelta:
    match = _DURATION.match(text)
    if match is None or not any(match.groupdict().values()):
        raise _bad(whole)
    return timedelta(**{name: float(value) for name, value in match.groupdict().items() if value})


def _moment(text: str, whole: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad(whole) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bad(text: str) -> AzureError:
    return AzureError(
        400,
        "BadArgumentError",
        f"The timespan '{text}' is not an ISO 8601 interval, e.g. PT1H or 2026-01-01T00:00:00Z/PT1H.",
    )
