"""How many machines a deployment has while it is live: Azure Monitor's autoscale settings, one a deployment.

They are set when the deployment is made, before it takes traffic: a green that could not grow would be compared with a
blue that can. They go with the deployment; Azure leaves them behind otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rollout.azure.errors import waiting_while_busy

if TYPE_CHECKING:
    from rollout.azure.arm import ArmWriter
    from rollout.controller.ports import DeploymentSpec, Scaling

API_VERSION = "2022-10-01"
_CPU, _LATENCY = "CpuUtilizationPercentage", "RequestLatency_P95"
#: Metrics come a minute at a time; five of them are a load, one is a spike.
_WINDOW = "PT5M"
#: Adding a machine takes minutes: the next step waits for the last to show.
_COOLDOWN_OUT, _COOLDOWN_IN = "PT5M", "PT10M"


class AzureScaling:
    """Autoscale settings of one endpoint's deployments. They lie in the workspace's resource group."""

    def __init__(self, endpoint_id: str, location: str, arm: ArmWriter) -> None:
        self._endpoint_id, self._location, self._arm = endpoint_id, location, arm

    def set(self, spec: DeploymentSpec) -> None:
        """Let the deployment of `spec` scale as it says; nothing where it does not scale. Safe to repeat."""
        if spec.scale is None:
            return
        document = settings_of(self._endpoint_id, self._location, spec, spec.scale)
        doing = f"set how deployment {spec.name!r} scales"
        waiting_while_busy(lambda: self._arm.put(self._id(spec.name), API_VERSION, document, doing))

    def delete(self, deployment: str) -> None:
        """Forget how it scales; nothing to forget is no error."""
        doing = f"delete how deployment {deployment!r} scales"
        waiting_while_busy(lambda: self._arm.delete(self._id(deployment), API_VERSION, doing))

    def _id(self, deployment: str) -> str:
        group = self._endpoint_id.split("/providers/")[0]
        return f"{group}/providers/Microsoft.Insights/autoscaleSettings/{name_of(self._endpoint_id, deployment)}"


def name_of(endpoint_id: str, deployment: str) -> str:
    """The setting's name: endpoint names are unique in a region, deployment names in their endpoint."""
    return f"{endpoint_id.rsplit('/', 1)[1]}-{deployment}"


def settings_of(endpoint_id: str, location: str, spec: DeploymentSpec, scale: Scaling) -> dict[str, Any]:
    """The document that ARM takes."""
    start = min(max(spec.instance_count, scale.min_instances), scale.max_instances)
    capacity = {"minimum": scale.min_instances, "maximum": scale.max_instances, "default": start}
    return {
        "location": location,
        "tags": {"managed-by": "rollout"},
        "properties": {
            "name": name_of(endpoint_id, spec.name),
            "enabled": True,
            "targetResourceUri": f"{endpoint_id}/deployments/{spec.name}",
            "profiles": [
                {
                    "name": "load",
                    "capacity": {name: str(count) for name, count in capacity.items()},
                    "rules": list(_rules(endpoint_id, spec.name, scale)),
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
