"""From rows of a minute to the series that the metrics API answers with.

RequestsPerMinute: the value of a minute is the number of requests in it, over all series that are not split; over a longer
interval Total adds the minutes up and Average is requests per minute. Latency aggregates weigh every request; a
percentile is taken over a minute's requests, longer intervals average the minutes. A mirrored request counts under the
deployment that it was mirrored to, and in the endpoint's unsplit numbers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sandbox.monitor.catalogue import Metric
from sandbox.monitor.filters import Filter
from sandbox.monitor.table import Table

Dimensions = dict[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose metrics: `endpoint` is the table's key; `deployment` None for all of the endpoint."""

    endpoint: str
    deployment: str | None


@dataclass(slots=True)
class Value:
    """Samples put together: their number, sum and extremes."""

    n: int = 0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, n: int, total: float, minimum: float, maximum: float) -> None:
        self.n += n
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)

    def get(self, aggregation: str) -> float:
        return {
            "Average": self.total / self.n,
            "Minimum": self.minimum,
            "Maximum": self.maximum,
            "Total": self.total,
            "Count": float(self.n),
        }[aggregation]


@dataclass(slots=True)
class Series:
    """One combination of dimension values, its values by first minute of the interval."""

    dimensions: Dimensions
    points: dict[int, Value] = field(default_factory=lambda: defaultdict(Value))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of one metric. `start` and `end` are minutes, `interval` is in minutes; `visible` says whether
    a deployment's minute has been ingested."""

    metric: Metric
    start: int
    end: int
    interval: int
    filter: Filter
    split_by: tuple[str, ...]
    visible: Callable[[str, int], bool]


@dataclass(frozen=True, slots=True)
class _Sample:
    minute: int
    dimensions: Dimensions
    n: int
    total: float
    minimum: float
    maximum: float


def series(table: Table, scope: Scope, wanted: Wanted) -> list[Series]:
    """The series with data, in the order of their dimension values."""
    found: dict[tuple[str, ...], Series] = {}
    minutes: dict[tuple[tuple[str, ...], int], Value] = defaultdict(Value)
    source = _percentiles if wanted.metric.source == "percentile" else _SOURCES[wanted.metric.source]
    for sample in source(table, scope, wanted):
        key = tuple(sample.dimensions.get(name, "") for name in wanted.split_by)
        minutes[key, sample.minute].add(sample.n, sample.total, sample.minimum, sample.maximum)
    for (key, minute), value in minutes.items():
        one = found.setdefault(key, Series(dict(zip(wanted.split_by, key, strict=True))))
        bucket = minute - minute % wanted.interval
        if wanted.metric.source in ("requests", "bytes", "capacity"):
            # The minute is the sample here: what happened in it adds up over deployments, codes and instances.
            one.points[bucket].add(1, value.total, value.total, value.total)
        else:
            one.points[bucket].add(value.n, value.total, value.minimum, value.maximum)
    return [found[key] for key in sorted(found)]


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all values don't exceed. `values` are sorted and not empty."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def _requests(table: Table, scope: Scope, wanted: Wanted) -> Iterator[_Sample]:
    for row in table.requests(scope.endpoint, wanted.start, wanted.end):
        if not _in_scope(scope, wanted, row.deployment, row.minute):
            continue
        dimensions = {
            "deployment": row.deployment,
            "statusCode": str(row.status),
            "statusCodeClass": f"{row.status // 100}xx",
            "modelStatusCode": str(row.model_status) if row.model_status else "",
            "envoy_response_code": str(row.status),
        }
        if not wanted.filter.matches(dimensions):
            continue
        if wanted.metric.source == "latency":
            yield _Sample(row.minute, dimensions, row.n, row.total, row.minimum, row.maximum)
        else:
            value = row.bytes / 60 if wanted.metric.source == "bytes" else float(row.n)
            yield _Sample(row.minute, dimensions, 1, value, value, value)


def _percentiles(table: Table, scope: Scope, wanted: Wanted) -> Iterator[_Sample]:
    split = "deployment" in wanted.split_by
    together: dict[tuple[int, str], list[float]] = defaultdict(list)
    for (minute, deployment), values in table.latencies(scope.endpoint, wanted.start, wanted.end).items():
        if _in_scope(scope, wanted, deployment, minute) and wanted.filter.matches({"deployment": deployment}):
            together[minute, deployment if split else ""].extend(values)
    for (minute, deployment), latencies in together.items():
        value = percentile(sorted(latencies), wanted.metric.share)
        yield _Sample(minute, {"deployment": deployment}, 1, value, value, value)


def _gauges(table: Table, scope: Scope, wanted: Wanted) -> Iterator[_Sample]:
    for row in table.gauges(scope.endpoint, wanted.metric.name, wanted.start, wanted.end):
        dimensions = {"instanceId": row.instance, "State": row.state}
        if not _in_scope(scope, wanted, row.deployment, row.minute) or not wanted.filter.matches(dimensions):
            continue
        if wanted.metric.source == "capacity":
            yield _Sample(row.minute, dimensions, 1, row.maximum, row.maximum, row.maximum)
        else:
            yield _Sample(row.minute, dimensions, row.n, row.total, row.minimum, row.maximum)


def _in_scope(scope: Scope, wanted: Wanted, deployment: str, minute: int) -> bool:
    return scope.deployment in (None, deployment) and wanted.visible(deployment, minute)


_SOURCES = {"requests": _requests, "latency": _requests, "bytes": _requests, "gauge": _gauges, "capacity": _gauges}
