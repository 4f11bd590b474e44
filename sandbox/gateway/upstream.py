"""Connections to one replica: kept alive, newest first, one request at a time each."""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from sandbox.gateway.http import MAX_BODY_BYTES, Headers, Response
from sandbox.kernel.settings import LOOPBACK

#: Below the replicas' own keep-alive, so that the gateway always closes first and no request meets a closing socket.
IDLE_SECONDS = 30.0


class Refused(Exception):
    """No connection could be made; nothing was sent, so another replica may be asked."""


class Broken(Exception):
    """The replica closed the connection after the request was sent and before its answer was complete."""


class TimedOut(Exception):
    """No complete answer in time."""


class TooLarge(Exception):
    """The answer is over the payload limit."""


class _Connection(asyncio.Protocol):
    def __init__(self, pool: UpstreamPool) -> None:
        self._pool = pool
        self._answer: asyncio.Future[Response] | None = None
        self.idle_since = 0.0
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._pool.forget(self)
        self._fail(Broken(str(exc or "connection termination")))

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # nobody asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Broken(f"protocol error: {error}"))
            self.close()

    def close(self) -> None:
        self.closed = True
        self._transport.close()

    def send(self, data: bytes, timeout_seconds: float) -> asyncio.Future[Response]:
        loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._headers: Headers = []
        self._chunks: list[bytes] = []
        self._size = 0
        answer: asyncio.Future[Response] = loop.create_future()
        self._answer = answer
        self._timer = loop.call_later(timeout_seconds, self._expire)
        self._transport.write(data)
        return answer

    # -- the parser's side

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_BODY_BYTES:
            self._fail(TooLarge())
            self.close()
        else:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer; the real one follows
            self._headers, self._chunks = [], []
            return
        answer, self._answer = self._answer, None
        if answer is None:
            return
        self._timer.cancel()
        if self._parser.should_keep_alive() and not self.closed:
            self._pool.give_back(self)
        else:
            self.close()
        if not answer.done():
            answer.set_result(Response(status, self._headers, b"".join(self._chunks)))

    def _expire(self) -> None:
        self._fail(TimedOut())
        self.close()

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            self._timer.cancel()
            if not answer.done():
                answer.set_exception(error)


class UpstreamPool:
    """Keep-alive connections to 127.0.0.1:`port`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[_Connection] = []
        self._closed = False

    async def exchange(self, data: bytes, timeout_seconds: float) -> Response:
        """Sends the encoded request and gives the whole answer. Raises Refused, Broken, TimedOut or TooLarge."""
        connection = self._take() or await self._connect(timeout_seconds)
        return await connection.send(data, timeout_seconds)

    def close_idle(self) -> None:
        limit = asyncio.get_running_loop().time() - IDLE_SECONDS
        for connection in [c for c in self._idle if c.idle_since < limit]:
            connection.close()
            self.forget(connection)

    def close(self) -> None:
        """Closes idle connections now and busy ones once they have answered."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def give_back(self, connection: _Connection) -> None:
        if self._closed:
            connection.close()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def forget(self, connection: _Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    async def _connect(self, timeout_seconds: float) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_seconds):
                _, connection = await loop.create_connection(lambda: _Connection(self), LOOPBACK, self.port)
        except TimeoutError as error:
            raise TimedOut from error
        except OSError as error:
            raise Refused(str(error)) from error
        return connection
