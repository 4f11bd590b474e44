"""The platform metrics of online endpoints and deployments, named as Azure names them.

Not imitated, so absent: ConnectionsActive, NewConnectionsPerSecond, DiskUtilization, the GPU metrics and
those of the data collector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
DEPLOYMENTS = f"{ENDPOINTS}/deployments"

#: How the rows of one minute become its value.
#: requests: their number; latency: their durations; percentile: one percentile of them; bytes: per second;
#: gauge: readings of instances; capacity: the number of instances.
Source = Literal["requests", "latency", "percentile", "bytes", "gauge", "capacity"]

AGGREGATIONS = ("Average", "Minimum", "Maximum", "Total", "Count")
#: Azure's names of the intervals, in minutes.
INTERVALS = {
    "PT1M": 1, "PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "PT12H": 720, "P1D": 1440,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a namespace. `share` is the percentile, e.g. 0.95."""

    name: str
    title: str
    description: str
    unit: str
    source: Source
    dimensions: tuple[str, ...] = ()
    share: float = 0.0


def _percentiles(dimensions: tuple[str, ...]) -> list[Metric]:
    return [
        Metric(
            f"RequestLatency_P{share}",
            f"Request Latency P{share}",
            f"The average P{share} request latency aggregated by all request latency values collected over the selected time period",
            "MilliSeconds",
            "percentile",
            dimensions,
            share / 100,
        )
        for share in (50, 90, 95, 99)
    ]


_STATUS = ("statusCode", "statusCodeClass", "modelStatusCode")
_OF_ENDPOINTS = [
    Metric("RequestsPerMinute", "Requests Per Minute", "The number of requests sent to online endpoint within a minute",
           "Count", "requests", ("deployment", *_STATUS)),
    Metric("RequestLatency", "Request Latency", "The average complete interval of time taken for a request to be responded in milliseconds",
           "MilliSeconds", "latency", ("deployment",)),
    *_percentiles(("deployment",)),
    Metric("NetworkBytes", "Network Bytes", "The bytes per second served for the endpoint.", "BytesPerSecond", "bytes"),
]  # fmt: skip
_OF_DEPLOYMENTS = [
    Metric("RequestsPerMinute", "Requests Per Minute", "The number of requests sent to online deployment within a minute",
           "Count", "requests", ("envoy_response_code",)),
    *_percentiles(()),
    Metric("CpuUtilizationPercentage", "CPU Utilization Percentage", "Percentage of CPU utilization on an instance.",
           "Percent", "gauge", ("instanceId",)),
    Metric("CpuMemoryUtilizationPercentage", "CPU Memory Utilization Percentage", "Percentage of memory utilization on an instance.",
           "Percent", "gauge", ("instanceId",)),
    Metric("DeploymentCapacity", "Deployment Capacity", "The number of instances in the deployment.",
           "Count", "capacity", ("instanceId", "State")),
]  # fmt: skip
NAMESPACES = {
    ENDPOINTS.lower(): (ENDPOINTS, {metric.name.lower(): metric for metric in _OF_ENDPOINTS}),
    DEPLOYMENTS.lower(): (DEPLOYMENTS, {metric.name.lower(): metric for metric in _OF_DEPLOYMENTS}),
}
