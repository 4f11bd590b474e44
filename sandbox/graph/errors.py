"""Microsoft Graph's error body."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sandbox.kernel.errors import AzureError


class GraphError(AzureError):
    """Like ARM's, with an `innerError` that names the request."""

    def body(self) -> dict[str, Any]:
        inner = {
            "date": datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00"),
            "request-id": str(uuid.uuid4()),
        }
        return {"error": {"code": self.code, "message": self.message, "innerError": inner}}


def bad_request(message: str) -> GraphError:
    return GraphError(400, "Request_BadRequest", message)


def missing(name: str) -> GraphError:
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )


def conflict(message: str) -> GraphError:
    return GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
