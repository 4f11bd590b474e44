"""The platform metrics: fed with access records and readings, asked by minute of policy time."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.kernel.context import Sandbox
from sandbox.monitor.catalogue import ENDPOINTS
from sandbox.monitor.pods import app_request
from sandbox.monitor.table import Request, Table

log = logging.getLogger("sandbox.monitor")

Record = Mapping[str, Any]
#: Azure keeps platform metrics for 93 days.
_KEPT_MINUTES = 93 * 24 * 60
_REMEMBERED = 50_000
#: Real seconds after which the gateway has sent a record and it has been counted.
_ON_THE_WAY = 1.0


def endpoint_key(workspace: str, endpoint: str) -> str:
    """How the table names an endpoint."""
    return f"{workspace}/{endpoint}".lower()


class MonitorState:
    """`record` and `gauge` are quick and may be called from the event loop."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.table = Table(sandbox.home / "monitor.db")
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._ids: dict[str, str] = {}
        self._look_again = 0.0

    async def start(self) -> None:
        self.table.forget_before(self.minute(time.time()) - _KEPT_MINUTES)

    async def stop(self) -> None:
        self.table.close()

    def reset(self) -> None:
        self.table.clear()
        self._seen.clear()
        self._ids.clear()

    def minute(self, real: float) -> int:
        """The minute of policy time, counted from the epoch, at the real epoch seconds `real`."""
        return int(self._sandbox.clock.policy_timestamp(real) // 60)

    def record(self, records: Sequence[Record]) -> None:
        """Count the gateway's access records (shape: docs/architecture.md) and pass them on to the logs.

        A record that came before, which the gateway sent again because it saw no answer, counts once.
        """
        fresh = [record for record in records if self._is_new(record)]
        missing = any(fault.kind == "metrics-missing" for fault in self._sandbox.faults.list())
        kept = [record for record in fresh if not self._lost(record)] if missing else fresh
        pods = [record for record in kept if self._on_cluster(record)]
        if managed := [record for record in kept if record not in pods]:
            self.table.add(self._request(record) for record in managed)
        if (logs := self._sandbox.states.get("logs")) is None:
            return
        # Azure has neither metrics nor a traffic log of Kubernetes endpoints: their pods tell Application Insights.
        if rows := [app_request(record, self._sandbox.clock) for record in pods if record.get("model_status")]:
            logs.insert("AppRequests", rows)
        if traffic := [self._traffic(record) for record in fresh if not self._on_cluster(record)]:
            logs.insert("AmlOnlineEndpointTrafficLog", traffic)

    def gauge(
        self,
        endpoint: tuple[str, str],
        deployment: str,
        instance: str,
        *,
        cpu_percent: float | None = None,
        memory_percent: float | None = None,
        at: float | None = None,
    ) -> None:
        """A reading of one instance. `endpoint`: workspace and endpoint name; `at`: real epoch seconds, now if None.

        Every reading also says that the instance is there (DeploymentCapacity).
        """
        if self._sandbox.faults.find("metrics-missing", f"{endpoint[1]}/{deployment}") is not None:
            return
        minute = self.minute(time.time() if at is None else at)
        readings = {
            "CpuUtilizationPercentage": (cpu_percent, ""),
            "CpuMemoryUtilizationPercentage": (memory_percent, ""),
            "DeploymentCapacity": (1.0, "Running"),
        }
        for name, (value, state) in readings.items():
            if value is not None:
                self.table.add_gauge((endpoint_key(*endpoint), minute, deployment, instance, name, state), value)

    def visible(self, endpoint: str) -> Callable[[str, int], bool]:
        """Says of a deployment's minute (of `endpoint`, its plain name) whether the platform has ingested it by now."""
        faults = self._sandbox.faults
        late: dict[str, float] = {}

        def ingested(deployment: str, minute: int) -> bool:
            if deployment not in late:
                fault = faults.find("metrics-late", f"{endpoint}/{deployment}")
                late[deployment] = fault.seconds if fault is not None else 0.0
            return (minute + 1) * 60 <= self.horizon() - late[deployment]

        return ingested

    def horizon(self) -> float:
        """Policy epoch seconds up to which metrics have been ingested."""
        clock, now = self._sandbox.clock, time.time()
        # Records are some real time on their way; a fast clock must not show a minute before they are all here.
        return min(
            clock.policy_timestamp(now) - self._sandbox.settings.metrics_lag_seconds,
            clock.policy_timestamp(now - _ON_THE_WAY),
        )

    def _is_new(self, record: Record) -> bool:
        key = (str(record["id"]), str(record["deployment"]))
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _lost(self, record: Record) -> bool:
        target = f"{record['endpoint']}/{record['deployment']}"
        return self._sandbox.faults.strike("metrics-missing", target) is not None

    def _request(self, record: Record) -> Request:
        return Request(
            endpoint_key(record["workspace"], record["endpoint"]),
            self.minute(record["t"]),
            record["deployment"],
            int(record["status"]),
            int(record.get("model_status", 0)),
            float(record["ms"]),
            int(record.get("request_bytes", 0)) + int(record.get("response_bytes", 0)),
        )

    def _resource_id(self, record: Record) -> str:
        """The endpoint's id in ARM; empty when it is gone."""
        key = endpoint_key(record["workspace"], record["endpoint"])
        arm = self._sandbox.states.get("arm")
        if key not in self._ids and arm is not None and time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + 1.0
            for endpoint in arm.of_type(ENDPOINTS):
                names = endpoint.id.split("/")
                self._ids[endpoint_key(names[-3], names[-1])] = endpoint.id
        return self._ids.get(key, "")

    def _on_cluster(self, record: Record) -> bool:
        """Whether the endpoint is a Kubernetes one."""
        arm, found = self._sandbox.states.get("arm"), self._resource_id(record)
        endpoint = arm.get(found) if arm is not None and found else None
        return endpoint is not None and bool(endpoint.properties.get("compute"))

    def _traffic(self, record: Record) -> dict[str, Any]:
        """The record as a row of the traffic log."""
        model_status = int(record.get("model_status", 0))
        return {
            "TimeGenerated": self._sandbox.clock.policy_timestamp(record["t"]),
            "OperationName": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action",
            "_ResourceId": self._resource_id(record),
            "AzureMLWorkspaceName": record["workspace"],
            "EndpointName": record["endpoint"],
            "DeploymentName": record["deployment"],
            "Method": record.get("method", "POST"),
            "Path": record.get("path", ""),
            "Protocol": "HTTP/1.1",
            "AuthType": record.get("auth", ""),
            "ResponseCode": int(record["status"]),
            "ModelStatusCode": model_status or None,
            "TotalDurationMs": round(float(record["ms"])),
            "RequestPayloadSize": int(record.get("request_bytes", 0)),
            "ResponsePayloadSize": int(record.get("response_bytes", 0)),
            "UserAgent": record.get("user_agent", ""),
            "XRequestId": str(record["id"]),
            "XMSClientRequestId": record.get("client_request_id", ""),
        }
