"""Writes custom metrics to Application Insights, by the caller's identity.

One call of the documented ingestion API: the OpenTelemetry exporter brings threads, files and telemetry of its own, and keeps
an instrument's last values, where we say a few figures once in a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from contract.telemetry import Metric
from rollout.azure.cloud import Cloud
from rollout.azure.errors import azure_errors
from rollout.errors import BadInput, Unavailable

#: What ingestion takes tokens for. The role is Monitoring Metrics Publisher.
AUDIENCE = "https://monitor.azure.com"


@dataclass(frozen=True, slots=True)
class Value:
    """A figure of a metric, with all the metric's properties."""

    value: float
    properties: Mapping[str, str]


class Telemetry:
    """One Application Insights component."""

    def __init__(self, connection_string: str, cloud: Cloud) -> None:
        self._key, self._url = _parsed(connection_string)
        self._cloud = cloud

    def write(self, metric: Metric, values: Iterable[Value], now: datetime) -> int:
        """Write them all; how many. `Unavailable` when some were not taken."""
        import requests

        envelopes = [self._envelope(metric, each, now) for each in values]
        if not envelopes:
            return 0
        doing = f"write the metric {metric.name}"
        with azure_errors(doing):
            token = self._cloud.credential().get_token(f"{AUDIENCE}//.default").token
            answer = requests.post(self._url, json=envelopes, headers={"Authorization": f"Bearer {token}"}, timeout=10)
        taken = answer.json().get("itemsAccepted", 0) if answer.status_code in (200, 206) else 0
        if taken != len(envelopes):
            raise Unavailable(
                f"cannot {doing}: {taken} of {len(envelopes)} were taken ({answer.status_code})",
                way_out="see that the identity is Monitoring Metrics Publisher at Application Insights",
            )
        return len(envelopes)

    def _envelope(self, metric: Metric, each: Value, now: datetime) -> dict[str, Any]:
        missing = set(metric.properties) ^ set(each.properties)
        if missing:
            raise ValueError(f"{metric.name} has the properties {', '.join(metric.properties)}")
        return {
            "name": "Microsoft.ApplicationInsights.Metric",
            "time": now.isoformat(),
            "iKey": self._key,
            "tags": {"ai.cloud.role": "rollout"},
            "data": {
                "baseType": "MetricData",
                "baseData": {
                    "ver": 2,
                    "metrics": [{"name": metric.name, "kind": 0, "value": each.value, "count": 1}],
                    "properties": dict(each.properties),
                },
            },
        }


def _parsed(connection_string: str) -> tuple[str, str]:
    """Instrumentation key, and where to post."""
    fields = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    key, endpoint = fields.get("InstrumentationKey", ""), fields.get("IngestionEndpoint", "").rstrip("/")
    if not key or urlsplit(endpoint).scheme != "https":
        raise BadInput("the connection string of Application Insights has no key or no https IngestionEndpoint")
    return key, f"{endpoint}/v2.1/track"
