"""HTTP as Azure speaks it: request ids, error bodies, bearer tokens, faults, and 501 for the unknown."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, ExceptionHandler, Receive, Scope, Send

from sandbox.kernel.connections import cut
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError, not_imitated
from sandbox.kernel.tokens import Principal


def create_app(
    service: str,
    sandbox: Sandbox,
    routes: Sequence[BaseRoute],
    exception_handlers: Mapping[Any, ExceptionHandler] | None = None,
    middleware: Sequence[Middleware] = (),
) -> ASGIApp:
    """The service's app: its routes, Azure's errors, the ordered faults; all else is 501.

    `exception_handlers` are for services whose errors have another shape; `middleware` runs around the routes.
    """
    app = Starlette(
        routes=list(routes),
        middleware=list(middleware),
        exception_handlers={
            AzureError: _azure_error,
            404: _unknown_route,
            405: _unknown_route,
            **(exception_handlers or {}),
        },
    )
    # Azure never redirects to a path with or without a closing slash.
    app.router.redirect_slashes = False
    return _Front(app, service, sandbox)


def bearer(request: Request, sandbox: Sandbox, audiences: list[str]) -> Principal:
    """Who calls; AzureError 401 when the token is missing, expired or for another audience."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise AzureError(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
    return sandbox.tokens.check(token, audiences)


async def body_json(request: Request) -> dict[str, object]:
    """The request's JSON object; AzureError 400 for anything else."""
    try:
        value = json.loads(await request.body() or b"{}")
    except json.JSONDecodeError as error:
        raise AzureError(
            400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: {error}."
        ) from error
    if not isinstance(value, dict):
        raise AzureError(400, "InvalidRequestContent", "The request content must be a JSON object.")
    return value


def is_public_host(request: Request) -> bool:
    """Whether the caller used Azure's public host name (through the proxy), so that answers should too."""
    return request.url.hostname not in (None, "127.0.0.1", "localhost")


async def _azure_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, AzureError)  # nosec B101  # registered for this type only
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers)


async def _unknown_route(request: Request, _: Exception) -> Response:
    error = not_imitated(request.method, request.url.path, request.query_params.get("api-version"))
    return JSONResponse(error.body(), status_code=error.status)


class _Front:
    """Request ids on every answer, and the faults on order, before the service sees the call."""

    def __init__(self, app: ASGIApp, service: str, sandbox: Sandbox) -> None:
        self._app, self._service, self._sandbox = app, service, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = str(uuid.uuid4())

        async def send_with_ids(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                assert isinstance(headers, list)  # nosec B101  # ASGI's own shape
                headers.append((b"x-ms-request-id", request_id.encode()))
            await send(message)

        target = f"{self._service}:{scope['method']} {scope['path']}"
        faults = self._sandbox.faults
        if (fault := faults.strike("delay", target)) is not None:
            await asyncio.sleep(fault.seconds)
        if faults.strike("drop", target) is not None:
            await cut(scope)
            return
        if (fault := faults.strike("http", target)) is not None:
            error = AzureError(fault.status, _FAULT_CODES[fault.status], "Failed on order (rollout sandbox fault).")
            headers = {"retry-after-ms": "200"} if fault.status == 429 else {}
            await JSONResponse(error.body(), fault.status, headers)(scope, receive, send_with_ids)  # type: ignore[arg-type]
            return
        await self._app(scope, receive, send_with_ids)  # type: ignore[arg-type]


_FAULT_CODES = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}
