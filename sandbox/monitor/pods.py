"""What the inference server in a pod of a Kubernetes endpoint tells Application Insights of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollout.clock import Clock


def app_request(record: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    """An access record as a row of AppRequests; the pod is its role instance."""
    status = int(record["model_status"])
    return {
        "TimeGenerated": clock.policy_timestamp(record["t"]),
        "OperationName": record.get("path") or "/score",
        "OperationId": str(record["id"]),
        "Id": str(record["id"]),
        "Name": record.get("path") or "/score",
        "AppRoleName": record["endpoint"],
        "AppRoleInstance": f"{record['deployment']}-{record['endpoint']}-0",
        "ResultCode": str(status),
        "Success": status < 400,
        "DurationMs": float(record["ms"]),
        "ItemCount": 1,
    }
