"""The metrics API's questions and answers, the same for both doors: metrics:getBatch and the resource's own route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.monitor import filters
from sandbox.monitor.catalogue import AGGREGATIONS, DEPLOYMENTS, ENDPOINTS, INTERVALS, NAMESPACES, Metric
from sandbox.monitor.query import Scope, Series, Wanted, series
from sandbox.monitor.state import MonitorState, endpoint_key

_MOST_POINTS = 43_200
_DEFAULT_SERIES = 10


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one resource. Times are minutes of policy time, `end` not included."""

    namespace: str
    metrics: tuple[Metric, ...]
    start: int
    end: int
    interval: str
    aggregations: tuple[str, ...]
    filter: str | None
    rollup: tuple[str, ...]
    top: int
    order_by: tuple[str, bool] | None


def read_question(sandbox: Sandbox, query: Mapping[str, str], start: str | None, end: str | None) -> Question:
    """AzureError 400 names what is wrong. Without times: the last hour of policy time."""
    namespace, known = _namespace(query.get("metricnamespace", ""))
    names = [name.strip() for name in query.get("metricnames", "").split(",") if name.strip()]
    unknown = [name for name in names if name.lower() not in known]
    if unknown or not names:
        valid = ", ".join(metric.name for metric in known.values())
        raise _bad(
            f"Failed to find metric configuration for metric: {', '.join(unknown) or '(none)'}. Valid metrics: {valid}"
        )
    interval = query.get("interval", "PT1M")
    if interval not in INTERVALS:
        raise _bad(f"Invalid interval {interval}. Supported: {', '.join(INTERVALS)}")
    until = _moment(end, "endtime") if end else sandbox.clock.now()
    since = _moment(start, "starttime") if start else until - timedelta(hours=1)
    if since >= until:
        raise _bad(f"The start {start} is not before the end {end}")
    first, last = int(since.timestamp() // 60), -int(-until.timestamp() // 60)
    first -= first % INTERVALS[interval]
    if (last - first) / INTERVALS[interval] > _MOST_POINTS:
        raise _bad(f"The timespan has more than {_MOST_POINTS} points of {interval}")
    rollup = tuple(name for name in query.get("rollupby", "").split(",") if name)
    top = query.get("top", str(_DEFAULT_SERIES))
    if not top.isdigit() or not int(top):
        raise _bad(f"Invalid top {top}: a whole number over 0")
    metrics = tuple(known[name.lower()] for name in names)
    return Question(
        namespace, metrics, first, last, interval, _aggregations(query.get("aggregation", "")),
        query.get("filter"), rollup, int(top), _order(query.get("orderby")),
    )  # fmt: skip


def answer(sandbox: Sandbox, resource_id: str, question: Question) -> list[dict[str, Any]]:
    """One entry a metric."""
    scope, endpoint = _scope(sandbox, resource_id, question.namespace)
    return [_metric(sandbox, resource_id, question, metric, scope, endpoint) for metric in question.metrics]


def definitions(resource_id: str) -> list[dict[str, Any]]:
    """What a resource of this type can be asked."""
    namespace, known = _namespace(_type_of(resource_id))
    grains = [{"timeGrain": interval, "retention": "P93D"} for interval in INTERVALS]
    return [
        {
            "id": f"{resource_id}/providers/microsoft.insights/metricdefinitions/{metric.name}",
            "resourceId": resource_id,
            "namespace": namespace,
            "name": {"value": metric.name, "localizedValue": metric.title},
            "displayDescription": metric.description,
            "category": "Traffic" if metric.source not in ("gauge", "capacity") else "Resource",
            "isDimensionRequired": False,
            "unit": metric.unit,
            "primaryAggregationType": "Average",
            "supportedAggregationTypes": list(AGGREGATIONS),
            "metricAvailabilities": grains,
            "dimensions": [{"value": name, "localizedValue": name} for name in metric.dimensions],
        }
        for metric in known.values()
    ]


def namespace_of(resource_id: str) -> str:
    """The metric namespace of a resource: its type. 501 for a type without metrics here."""
    return _namespace(_type_of(resource_id))[0]


def stamp(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _metric(
    sandbox: Sandbox, resource_id: str, question: Question, metric: Metric, scope: Scope, endpoint: str
) -> dict[str, Any]:
    state: MonitorState = sandbox.states["monitor"]
    parsed = filters.parse(question.filter, metric.dimensions)
    split_by = tuple(name for name in parsed.dimensions if name.lower() not in {n.lower() for n in question.rollup})
    visible = state.visible(endpoint)
    interval = INTERVALS[question.interval]
    wanted = Wanted(metric, question.start, question.end, interval, parsed, split_by, visible)
    found = series(state.table, scope, wanted)
    if not parsed.terms:
        found = found or [Series({})]
    elif question.order_by is not None:
        name, descending = question.order_by
        found.sort(key=lambda one: sum(value.get(name) for value in one.points.values()), reverse=descending)
    shown = found[: question.top] if parsed.terms else found
    return {
        "id": f"{resource_id}/providers/Microsoft.Insights/metrics/{metric.name}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": metric.name, "localizedValue": metric.title},
        "displayDescription": metric.description,
        "unit": metric.unit,
        "timeseries": [_series(one, wanted, question.aggregations, scope) for one in shown],
        "errorCode": "Success",
    }


def _series(one: Series, wanted: Wanted, aggregations: tuple[str, ...], scope: Scope) -> dict[str, Any]:
    deployment = one.dimensions.get("deployment") or scope.deployment or ""
    data = []
    for minute in range(wanted.start, wanted.end, wanted.interval):
        # An interval is there as soon as its first minute has been ingested; with nothing in it, it has no values.
        if not wanted.visible(deployment, minute):
            break
        value = one.points.get(minute)
        point: dict[str, Any] = {"timeStamp": stamp(minute)}
        if value is not None:
            point |= {name.lower(): value.get(name) for name in aggregations}
        data.append(point)
    names = [
        {"name": {"value": name, "localizedValue": name}, "value": value} for name, value in one.dimensions.items()
    ]
    return {"metadatavalues": names, "data": data}


def _scope(sandbox: Sandbox, resource_id: str, namespace: str) -> tuple[Scope, str]:
    """The rows that belong to the resource, and its endpoint's name; 404 when ARM does not know it."""
    if sandbox.states["arm"].get(resource_id) is None:
        raise AzureError(404, "ResourceNotFound", f"The Resource '{resource_id}' was not found.")
    if _type_of(resource_id).lower() != namespace.lower():
        raise _bad(f"{resource_id} is not a {namespace}")
    parts = resource_id.strip("/").split("/")
    names = dict(zip((part.lower() for part in parts[::2]), parts[1::2], strict=True))
    endpoint = names["onlineendpoints"]
    return Scope(endpoint_key(names["workspaces"], endpoint), names.get("deployments")), endpoint


def _type_of(resource_id: str) -> str:
    lowered = resource_id.lower()
    if "/providers/microsoft.machinelearningservices/workspaces/" not in lowered or "/onlineendpoints/" not in lowered:
        return resource_id.strip("/").lower().rpartition("providers/")[2]
    return DEPLOYMENTS if "/deployments/" in lowered else ENDPOINTS


def _namespace(name: str) -> tuple[str, dict[str, Metric]]:
    if (found := NAMESPACES.get(name.lower())) is None:
        raise AzureError(
            501,
            "NotImitatedBySandbox",
            f"The sandbox has no metrics of '{name}', only of {ENDPOINTS} and {DEPLOYMENTS}.",
        )
    return found


def _aggregations(text: str) -> tuple[str, ...]:
    names = {name.lower(): name for name in AGGREGATIONS}
    wanted = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise _bad(f"Invalid aggregation {', '.join(unknown)}. Supported: {', '.join(AGGREGATIONS)}")
    return tuple(names[name] for name in wanted) or ("Average",)


def _order(text: str | None) -> tuple[str, bool] | None:
    if not text:
        return None
    words = text.split()
    name = {"sum": "Total"}.get(words[0].lower(), words[0].capitalize())
    direction = words[1].lower() if len(words) > 1 else "asc"
    if name not in AGGREGATIONS or direction not in ("asc", "desc"):
        raise _bad(f"Invalid orderby {text}; e.g. 'average desc'")
    return name, direction == "desc"


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad(f"{name}={text} is not a time as in ISO 8601") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bad(message: str) -> AzureError:
    return AzureError(400, "BadRequest", message + ".")
