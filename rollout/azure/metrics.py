"""The platform's metrics of one endpoint, as `MinuteSample`s.

Azure Monitor gives `RequestsPerMinute` by deployment and status code and `RequestLatency_P95` by deployment, at one
minute grain. A minute that has not been ingested has no value and stays absent: nothing here turns it into zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from rollout.azure.errors import azure_errors
from rollout.controller.ports import MinuteSample

if TYPE_CHECKING:
    from azure.monitor.querymetrics import MetricsClient

NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
REQUESTS, P95 = "RequestsPerMinute", "RequestLatency_P95"
_MINUTE = timedelta(minutes=1)
#: At one minute grain a sum is never below the average: where one of them is not kept, the other says it.
_COUNTS = ("total", "average")
_MAX_SERIES = 1000
#: Not the client's fault: time-out, the scorer's own error (Azure wraps it as 424), too many requests.
_ERRORS_BELOW_500 = frozenset({408, 424, 429})


@dataclass(frozen=True, slots=True)
class _Point:
    deployment: str
    status: str
    minute: datetime
    value: float


class AzureMetrics:
    """`Metrics` of one endpoint, by its resource id."""

    def __init__(self, client: MetricsClient, endpoint_id: str) -> None:
        self._client, self._endpoint_id = client, endpoint_id

    def minutes(self, deployments: Sequence[str], start: datetime, end: datetime) -> Sequence[MinuteSample]:
        """Samples of the whole minutes in [start, end), in order; absent where nothing has been ingested."""
        first, last = _floor(start), _floor(end)
        if first >= last or not deployments:
            return []
        wanted = set(deployments)
        requests: dict[tuple[datetime, str], int] = defaultdict(int)
        errors: dict[tuple[datetime, str], int] = defaultdict(int)
        for point in self._points(REQUESTS, _COUNTS, "deployment eq '*' and statusCode eq '*'", first, last):
            count = round(point.value)
            requests[point.minute, point.deployment] += count
            if is_error(point.status):
                errors[point.minute, point.deployment] += count
        p95 = {
            (point.minute, point.deployment): point.value
            for point in self._points(P95, ("average",), "deployment eq '*'", first, last)
        }
        return [
            MinuteSample(minute, name, count, errors[minute, name], p95.get((minute, name)) if count else None)
            for (minute, name), count in sorted(requests.items())
            if name in wanted and first <= minute < last
        ]

    def _points(
        self, metric: str, aggregations: tuple[str, ...], dimensions: str, first: datetime, last: datetime
    ) -> Iterator[_Point]:
        with azure_errors(f"read the metrics {metric} of {self._endpoint_id.rsplit('/', 1)[-1]!r}"):
            results = self._client.query_resources(
                resource_ids=[self._endpoint_id],
                metric_namespace=NAMESPACE,
                metric_names=[metric],
                timespan=(first, last),
                granularity=_MINUTE,
                aggregations=list(aggregations),
                filter=dimensions,
                max_results=_MAX_SERIES,
            )
        for result in results:
            for series in (series for one in result.metrics for series in one.timeseries):
                yield from _points_of(series, aggregations)


def is_error(status: str) -> bool:
    """Whether a status code, or a class such as `5xx`, counts against the deployment."""
    if not status.isdigit():
        return status.lower() == "5xx"
    code = int(status)
    return code >= 500 or code in _ERRORS_BELOW_500


def _points_of(series: Any, aggregations: tuple[str, ...]) -> Iterator[_Point]:
    dimensions = {name.lower(): value for name, value in series.metadata_values.items()}
    for value in series.data:
        numbers = [number for name in aggregations if (number := getattr(value, name)) is not None]
        if numbers:
            deployment, status = dimensions.get("deployment", ""), dimensions.get("statuscode", "")
            yield _Point(deployment, status, _floor(value.timestamp), float(max(numbers)))


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
