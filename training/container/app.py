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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from training.scoring.collect import collecting
from training.scoring.handler import Handler, limits_of
from training.scoring.schema import SCHEMA_FILE
from training.scoring.service import Service

log = logging.getLogger("azmlinfsrv.container")

MODEL_VARIABLE = "AZUREML_MODEL_DIR"
#: Bodies up to this size are scored on the event loop: a thread costs more than a few rows do. Larger ones leave it to probes.
INLINE_BYTES = 8 * 1024
#: The process ends with it when the model can't be loaded, as Azure's own server does.
NO_MODEL = 3


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

    async def score(self, request: Request) -> Response:
        handler = self._handler
        if handler is None:
            return await self.ready(request)
        try:
            body = await _read(request, handler.service.limits.max_body_bytes)
        except ClientDisconnect:
            return Response(status_code=400)
        correlation = request.headers.get("x-ms-client-request-id", "")
        if body is None:
            reply = handler.too_large()
        elif len(body) <= INLINE_BYTES:
            reply = handler.handle(request.method, body, correlation)
        else:
            reply = await asyncio.to_thread(handler.handle, request.method, body, correlation)
        return Response(reply.body, reply.status, dict(reply.headers))

    async def live(self, _: Request) -> Response:
        return Response(b"alive")

    async def ready(self, _: Request) -> Response:
        return Response(b"loading", 503) if self._handler is None else Response(b"ready")

    async def _load(self) -> None:
        try:
            self._handler = await asyncio.to_thread(self._open)
        except Exception:  # noqa: BLE001 - whatever it is, a container without a model has to end, and say why
            log.exception("the model can't be loaded")
            self._end(NO_MODEL)


def create_app(opener: Callable[[], Handler] = open_handler, end: Callable[[int], None] = os._exit) -> Starlette:
    """The ASGI application."""
    made = Container(opener, end)
    methods = ["GET", "HEAD", "POST", "OPTIONS"]
    routes = [Route("/score", made.score, methods=methods), Route("/live", made.live), Route("/ready", made.ready)]
    return Starlette(routes=routes, lifespan=made.lifespan)


async def _read(request: Request, most: int) -> bytes | None:
    """The body; None as soon as it is too large, whatever its headers say."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
