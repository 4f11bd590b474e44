"""Application Insights' ingestion: custom metrics, by Entra token and role."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.arm.access import may
from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.http import bearer

AUDIENCE = "https://monitor.azure.com"
WRITE = "Microsoft.Insights/Metrics/Write"
_COMPONENT = "Microsoft.Insights/components"


class Ingestion:
    """Takes lists of envelopes. What is no metric is refused: nobody here sends it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def track(self, request: Request) -> Response:
        """200 when all were taken, 206 with what was wrong otherwise."""
        principal = bearer(request, self._sandbox, [AUDIENCE])
        try:
            envelopes = json.loads(await request.body())
            rows = [self._row(each) for each in envelopes]
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise AzureError(400, "InvalidTelemetry", f"A list of metric envelopes is expected: {error!r}.") from error
        errors, taken = [], []
        for index, (component, row) in enumerate(rows):
            if component is None:
                errors.append({"index": index, "statusCode": 400, "message": "Invalid instrumentation key"})
            elif not may(self._sandbox, principal, WRITE, component.id, data=True):
                raise AzureError(403, "Forbidden", f"'{principal.object_id}' may not write to '{component.name}'.")
            else:
                taken.append({**row, "_ResourceId": component.id})
        self._sandbox.states["logs"].insert("AppMetrics", taken)
        said = {"itemsReceived": len(rows), "itemsAccepted": len(taken), "errors": errors}
        return JSONResponse(said, 206 if errors else 200)

    def _row(self, envelope: dict[str, Any]) -> tuple[Resource | None, dict[str, Any]]:
        """The component that the envelope is for, and the table's row."""
        if envelope["data"]["baseType"] != "MetricData":
            raise ValueError(f"{envelope['data']['baseType']} is not imitated")
        data = envelope["data"]["baseData"]
        (metric,) = data["metrics"]
        value, key = float(metric["value"]), str(envelope["iKey"])
        row = {
            "TimeGenerated": datetime.fromisoformat(envelope["time"]),
            "Name": str(metric["name"]),
            "Sum": value,
            "Min": float(metric.get("min", value)),
            "Max": float(metric.get("max", value)),
            "ItemCount": int(metric.get("count", 1)),
            "AppRoleName": str(envelope.get("tags", {}).get("ai.cloud.role", "")),
            "Properties": {str(name): str(each) for name, each in (data.get("properties") or {}).items()},
        }
        for component in self._sandbox.states["arm"].of_type(_COMPONENT):
            if component.properties.get("InstrumentationKey") == key:
                return component, row
        return None, row
