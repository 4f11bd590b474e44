"""HTTP/1.1 for the gateway: a server protocol over httptools, whole bodies in memory, one write per answer."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

import httptools

#: Azure refuses larger scoring payloads; both ways.
MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024
IDLE_SECONDS = 120.0
_PIPELINE_LIMIT = 8

Headers = list[tuple[bytes, bytes]]
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Request:
    """One request, wholly read. Header names are lower case; `started` is `time.perf_counter()` at its first line."""

    __slots__ = ("body", "headers", "keep_alive", "method", "refused", "started", "target")

    def __init__(self) -> None:
        self.method, self.target, self.body = b"", b"", b""
        self.headers: Headers = []
        self.keep_alive, self.refused = True, 0
        self.started = time.perf_counter()

    def header(self, name: bytes) -> bytes | None:
        """The first value of `name` (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Response:
    """An answer; `content-length` and `connection` are added when it is written."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes = b"") -> None:
        self.status, self.headers, self.body = status, headers, body

    def encode(self, keep_alive: bool) -> bytes:
        parts = [b"HTTP/1.1 %d %s\r\n" % (self.status, _REASONS.get(self.status, b"Unknown"))]
        parts += [b"%s: %s\r\n" % header for header in self.headers]
        parts.append(b"content-length: %d\r\n" % len(self.body))
        parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
        parts.append(self.body)
        return b"".join(parts)


Handler = Callable[[Request], Awaitable[Response]]


class Connections:
    """The server's open connections: closed when idle for long, and at the end once their answers have left."""

    def __init__(self) -> None:
        self.open: set[ServerProtocol] = set()
        self.closing = False

    def close_idle(self, idle_seconds: float = IDLE_SECONDS) -> None:
        limit = time.monotonic() - idle_seconds
        for connection in [c for c in self.open if not c.busy and c.last_used < limit]:
            connection.close()

    async def finish(self, deadline_seconds: float) -> None:
        """Answers what has arrived, then closes all."""
        self.closing = True
        end = time.monotonic() + deadline_seconds
        while any(c.busy for c in self.open) and time.monotonic() < end:
            await asyncio.sleep(0.02)
        for connection in list(self.open):
            connection.close()


class ServerProtocol(asyncio.Protocol):
    """Feeds requests one after the other to `handler`; answers leave in the order of the requests."""

    def __init__(self, handler: Handler, connections: Connections, max_body: int = MAX_BODY_BYTES) -> None:
        self._handler, self._connections, self._max_body = handler, connections, max_body
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._chunks: list[bytes] = []
        self._size = self._head = 0
        self.last_used = time.monotonic()

    @property
    def busy(self) -> bool:
        return self._task is not None

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.open.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400)
        except httptools.HttpParserError:
            self._refuse(400)

    def close(self) -> None:
        self._transport.close()

    # -- the parser's side

    def on_message_begin(self) -> None:
        self._request = Request()
        self._chunks, self._size, self._head = [], 0, 0

    def on_url(self, url: bytes) -> None:
        self._request.target += url
        self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers.append((name.lower(), value))
        self._grow_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        request = self._request
        request.method = self._parser.get_method()
        request.keep_alive = self._parser.should_keep_alive()
        if int(request.header(b"content-length") or 0) > self._max_body:
            request.refused = 413
        elif request.header(b"expect") is not None and not request.refused:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._max_body:
            self._request.refused = 413
            self._chunks.clear()
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        request, chunks = self._request, self._chunks
        request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._waiting.append(request)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._serve())
        elif len(self._waiting) >= _PIPELINE_LIMIT:
            self._transport.pause_reading()

    # -- answering

    async def _serve(self) -> None:
        transport = self._transport
        try:
            while self._waiting and not transport.is_closing():
                request = self._waiting.popleft()
                response = _refusal(request.refused) if request.refused else await self._handler(request)
                keep = request.keep_alive and not self._connections.closing and response.status != 413
                transport.write(response.encode(keep))
                if not keep:
                    transport.close()
        finally:
            self._task = None
            self.last_used = time.monotonic()
            if not transport.is_closing():
                transport.resume_reading()

    def _grow_head(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD_BYTES:
            self._request.refused = 431

    def _refuse(self, status: int) -> None:
        if not self._transport.is_closing():
            self._transport.write(_refusal(status).encode(keep_alive=False))
            self._transport.close()


def plain(status: int, text: str) -> Response:
    """A short text answer, as Envoy gives them."""
    return Response(status, [(b"content-type", b"text/plain")], text.encode())


def _refusal(status: int) -> Response:
    return plain(status, _REASONS[status].decode().lower())
