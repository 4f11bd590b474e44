"""The data plane of Event Grid topics: `POST /{topic}/api/events`, and Azure's host names."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.arm.access import may
from sandbox.eventgrid import schemas
from sandbox.eventgrid.subscriptions import TOPIC
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.http import bearer, create_app
from sandbox.kernel.tokens import Principal

AUDIENCE = "https://eventgrid.azure.net"
SEND = "Microsoft.EventGrid/events/send/action"
_VERSION = "2018-01-01"


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves the `eventgrid` port."""
    plane = _DataPlane(sandbox)
    routes = [
        Route("/api/events", plane.publish, methods=["POST"]),
        Route("/{topic}/api/events", plane.publish, methods=["POST"]),
    ]
    return create_app("eventgrid", sandbox, routes)


class _DataPlane:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def publish(self, request: Request) -> Response:
        topic = self._topic(request)
        self._authorise(request, topic)
        if request.query_params.get("api-version", _VERSION) != _VERSION:
            raise AzureError(400, "BadRequest", f"api-version must be {_VERSION} for topics.")
        body = await request.body()
        if len(body) > schemas.LARGEST:
            raise AzureError(
                413, "PayloadTooLarge", f"The maximum size (1048576) has been exceeded: {len(body)} bytes."
            )
        try:
            received = json.loads(body)
        except ValueError as error:
            raise AzureError(400, "BadRequest", f"The JSON received is not valid: {error}.") from error
        events = schemas.check(topic.properties.get("inputSchema") or schemas.EVENT_GRID, received)
        self._sandbox.states["eventgrid"].publish(topic.id, events)
        return Response(status_code=200)

    def _topic(self, request: Request) -> Any:
        name = request.path_params.get("topic") or (request.url.hostname or "").partition(".")[0]
        for topic in self._sandbox.states["arm"].of_type(TOPIC):
            if topic.name.lower() == name.lower():
                return topic
        raise AzureError(404, "ResourceNotFound", f"The topic '{name}' does not exist in this sandbox.")

    def _authorise(self, request: Request, topic: Any) -> None:
        key, token = request.headers.get("aeg-sas-key"), request.headers.get("aeg-sas-token")
        if key is None and token is None:
            audiences = [AUDIENCE, self._sandbox.settings.url("eventgrid"), f"https://{request.url.hostname}"]
            self._check_sender(bearer(request, self._sandbox, audiences), topic)
            return
        if topic.properties.get("disableLocalAuth"):
            raise AzureError(
                401, "Unauthorized", f"The topic '{topic.name}' takes Entra tokens only (disableLocalAuth)."
            )
        keys = [str(value) for value in topic.private.get("keys", {}).values()]
        genuine = [
            hmac.compare_digest(key.encode(), each.encode()) if key else _signed(token or "", each) for each in keys
        ]
        if not any(genuine):
            raise AzureError(
                401, "Unauthorized", "The request's aeg-sas-key or aeg-sas-token is not valid for this topic."
            )

    def _check_sender(self, principal: Principal, topic: Any) -> None:
        if not may(self._sandbox, principal, SEND, topic.id, data=True):
            raise AzureError(
                403,
                "Forbidden",
                f"The principal '{principal.object_id}' is not authorized to send events to the topic '{topic.name}'"
                f" (data action {SEND}).",
            )


def _signed(token: str, key: str) -> bool:
    """`r=<resource>&e=<expiry>&s=<signature>`, signed over all before the signature, and not expired."""
    unsigned, _, given = token.partition("&s=")
    try:
        expiry = datetime.fromisoformat(unquote(unsigned.partition("&e=")[2]))
        signature = base64.b64encode(hmac.new(base64.b64decode(key), unsigned.encode(), hashlib.sha256).digest())
    except (ValueError, binascii.Error):
        return False
    until = expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)
    return hmac.compare_digest(unquote(given).encode(), signature) and until.timestamp() > time.time()
