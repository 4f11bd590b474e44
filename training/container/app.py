"""The container's HTTP side: scoring, liveness and readiness. All judgement is `training.scoring`'s.

/score   POST answers as Azure's inference server does, GET tells what is served
/live    200 while the process answers at all
/ready   200 once the model is loaded, 503 until then
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from training.scoring.collect import collecting
from training.scoring.handler import Handler, Reply, limits_of
from training.scoring.schema import SCHEMA_FILE
from training.scoring.service import Service

log = logging.getLogger("azmlinfsrv.container")

MODEL_VARIABLE = "AZUREML_MODEL_DIR"
#: Bodies up to this size are scored on the event loop: a thread costs more than a few rows do. Larger ones leave it to probes.
INLINE_BYTES = 8 * 1024
#: The process ends with it when the model can't be loaded, as Azure's own server does.
NO_MODEL = 3
_CORRELATION = b"x-ms-client-request-id"


def open_handler() -> Handler:
    """Of the model at or below the folder that the environment names."""
    root = Path(os.environ[MODEL_VARIABLE])
    found = sorted(root.rglob(SCHEMA_FILE), key=lambda path: len(path.parts))
    if not found:
        raise FileNotFoundError(f"no {SCHEMA_FILE} below {root}: the model was not trained by this project's pipeline")
    service = Service.open(found[0].parent, limits=limits_of(), version=root.name)
    return Handler(service, collecting(service.schema))


class Container:
    """The routes. The model is loaded in a thread once the server listens, so that liveness is answered meanwhile."""

    def __init__(self, opener: Callable[[], Handler], end: Callable[[int], None]) -> None:
        self._open, self._end = opener, end
        self._handler: Handler | None = None

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(self._load())
        yield
        loading.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/score, as plain ASGI: Starlette's request and response take as long as the model does."""
        handler, status = self._handler, 503
        body, headers = b"loading", [(b"content-length", b"7")]
        if handler is not None:
            given = await _read(receive, handler.service.limits.max_body_bytes)
            reply = await self._handle(handler, scope, given)
            status, body = reply.status, reply.body
            headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _handle(self, handler: Handler, scope: Scope, body: bytes | None) -> Reply:
        if body is None:
            return handler.too_large()
        correlation = next((value for name, value in scope["headers"] if name == _CORRELATION), b"").decode("latin-1")
        if len(body) <= INLINE_BYTES:
            return handler.handle(scope["method"], body, correlation)
        return await asyncio.to_thread(handler.handle, scope["method"], body, correlation)

    async def live(self, _: Request) -> Response:
        return Response(b"alive")

    async def ready(self, _: Request) -> Response:
        return Response(b"loading", 503) if self._handler is None else Response(b"ready")

    async def _load(self) -> None:
        try:
            self._handler = await asyncio.to_thread(self._open)
        except Exception:
            log.exception("the model can't be loaded")
            self._end(NO_MODEL)


def create_app(opener: Callable[[], Handler] = open_handler, end: Callable[[int], None] = os._exit) -> Starlette:
    """The ASGI application."""
    made = Container(opener, end)
    routes = [Route("/live", made.live), Route("/ready", made.ready), Route("/score", made)]
    return Starlette(routes=routes, lifespan=made.lifespan)


async def _read(receive: Receive, most: int) -> bytes | None:
    """The body; None as soon as it is too large, whatever its headers say. What a client that hung up has sent is no JSON."""
    chunks, size = [], 0
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(chunks)
