"""How a live deployment scales, as the document of Azure Monitor's autoscale settings. Pure.

`rollout` sets it on each deployment that it makes; training writes it beside a model for those who deploy by other means.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

_CPU, _LATENCY = "CpuUtilizationPercentage", "RequestLatency_P95"
#: Metrics come a minute at a time; five of them are a load, one is a spike.
_WINDOW = "PT5M"
#: Adding a machine takes minutes: the next step waits for the last to show.
_COOLDOWN_OUT, _COOLDOWN_IN = "PT5M", "PT10M"


class Scaling(Protocol):
    """`contract.outputs.Scale`, or a deployment's own."""

    @property
    def min_instances(self) -> int: ...
    @property
    def max_instances(self) -> int: ...
    @property
    def cpu_percent(self) -> int: ...
    @property
    def latency_ms(self) -> int | None: ...


def name_of(endpoint_id: str, deployment: str) -> str:
    """The setting's name: endpoint names are unique in a region, deployment names in their endpoint."""
    return f"{endpoint_id.rsplit('/', 1)[1]}-{deployment}"


def settings(endpoint_id: str, location: str, deployment: str, instances: int, scale: Scaling) -> dict[str, Any]:
    """The document that ARM takes; it starts with `instances`, within the limits."""
    start = min(max(instances, scale.min_instances), scale.max_instances)
    capacity = {"minimum": scale.min_instances, "maximum": scale.max_instances, "default": start}
    return {
        "location": location,
        "tags": {"managed-by": "rollout"},
        "properties": {
            "name": name_of(endpoint_id, deployment),
            "enabled": True,
            "targetResourceUri": f"{endpoint_id}/deployments/{deployment}",
            "profiles": [
                {
                    "name": "load",
                    "capacity": {name: str(count) for name, count in capacity.items()},
                    "rules": list(_rules(endpoint_id, deployment, scale)),
                }
            ],
        },
    }


def _rules(endpoint_id: str, deployment: str, scale: Scaling) -> Iterator[dict[str, Any]]:
    """Out when one metric is high, in when all are low. In at a third of out: a machine less must not bring it back."""
    target = f"{endpoint_id}/deployments/{deployment}"
    cpu = {"metricName": _CPU, "metricResourceUri": target}
    yield _rule(cpu, "GreaterThan", scale.cpu_percent, "Increase", _COOLDOWN_OUT)
    yield _rule(cpu, "LessThan", round(scale.cpu_percent / 3), "Decrease", _COOLDOWN_IN)
    if scale.latency_ms is not None:
        mine = {"DimensionName": "deployment", "Operator": "Equals", "Values": [deployment]}
        latency = {"metricName": _LATENCY, "metricResourceUri": endpoint_id, "dimensions": [mine]}
        yield _rule(latency, "GreaterThan", scale.latency_ms, "Increase", _COOLDOWN_OUT)
        yield _rule(latency, "LessThan", round(scale.latency_ms / 3), "Decrease", _COOLDOWN_IN)


def _rule(metric: dict[str, Any], operator: str, threshold: float, direction: str, cooldown: str) -> dict[str, Any]:
    return {
        "metricTrigger": {
            **metric,
            "timeGrain": "PT1M",
            "statistic": "Average",
            "timeWindow": _WINDOW,
            "timeAggregation": "Average",
            "operator": operator,
            "threshold": threshold,
        },
        "scaleAction": {"direction": direction, "type": "ChangeCount", "value": "1", "cooldown": cooldown},
    }
