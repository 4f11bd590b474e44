"""The gateway's admin port: loopback, plain HTTP, internal token. Takes the table, drains replicas, says how it is."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.gateway.http import Request, Response
from sandbox.gateway.routing import RoutingTable
from sandbox.gateway.scoring import Gateway
from sandbox.kernel.errors import problems_of
from sandbox.kernel.files import write_private

TABLE_FILE = "gateway-routes.json"


class DrainOrder(BaseModel):
    """Which replica gets no more requests, and how long its own may take."""

    model_config = ConfigDict(extra="forbid")

    workspace: str
    endpoint: str
    deployment: str
    replica: str
    seconds: float = Field(gt=0, le=600)


class Admin:
    """`PUT /routes`, `POST /drain`, `GET /status`."""

    def __init__(self, gateway: Gateway, token: str, home: Path) -> None:
        self._gateway, self._token, self._file = gateway, f"Bearer {token}".encode(), home / TABLE_FILE
        self._routes: dict[tuple[bytes, bytes], Callable[[bytes], Awaitable[Response]]] = {
            (b"PUT", b"/routes"): self._put_routes,
            (b"POST", b"/drain"): self._drain,
            (b"GET", b"/status"): self._status,
        }

    async def handle(self, request: Request) -> Response:
        if not hmac.compare_digest(request.header(b"authorization") or b"", self._token):
            return _json(401, {"error": "the internal token is missing or wrong"})
        route = self._routes.get((request.method, request.target))
        if route is None:
            return _json(501, {"error": f"not known: {request.method.decode()} {request.target.decode('latin-1')}"})
        try:
            return await route(request.body)
        except ValidationError as error:
            return _json(400, {"error": problems_of(error)})

    def load(self) -> None:
        """The table of the last run, so that scoring works before the control process has pushed."""
        if self._file.exists():
            self._gateway.table.apply(RoutingTable.model_validate_json(self._file.read_bytes()))

    async def _put_routes(self, body: bytes) -> Response:
        table = RoutingTable.model_validate_json(body)
        if self._gateway.table.apply(table):
            write_private(self._file, body)
        return _json(200, {"version": self._gateway.table.current.version})

    async def _drain(self, body: bytes) -> Response:
        order = DrainOrder.model_validate_json(body)
        endpoint = self._gateway.table.by_path(order.workspace, order.endpoint)
        deployment = endpoint.deployments.get(order.deployment) if endpoint else None
        left = await deployment.drain(order.replica, order.seconds) if deployment else 0
        return _json(200, {"in_flight": left})

    async def _status(self, _: bytes) -> Response:
        gateway, table = self._gateway, self._gateway.table
        return _json(
            200,
            {
                "pid": os.getpid(),
                "source": table.current.source,
                "version": table.current.version,
                "endpoints": len(table.endpoints),
                "requests": sum(gateway.statuses.values()),
                "statuses": {str(status): count for status, count in sorted(gateway.statuses.items())},
                "outstanding": sum(d.outstanding for e in table.endpoints.values() for d in e.deployments.values()),
                "mirrored": gateway.mirrored,
                "mirrors_left_out": gateway.mirrors_left_out,
                "access": {
                    "queued": gateway.access.queued,
                    "shipped": gateway.access.shipped,
                    "lost": gateway.access.lost,
                },
            },
        )


def _json(status: int, value: dict[str, Any]) -> Response:
    return Response(status, [(b"content-type", b"application/json")], json.dumps(value).encode())
