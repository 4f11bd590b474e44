"""A CONNECT proxy that lands Azure's public host names on the sandbox and refuses every other.

With it as `HTTPS_PROXY` a program that knows nothing of the sandbox runs on it, and can't reach the real Azure.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from sandbox.kernel.settings import LOOPBACK, Settings
from sandbox.proxy.hosts import service_of

log = logging.getLogger("sandbox.proxy")
#: At most this many tunnels at a time; more wait for their turn.
TUNNELS = 512
#: Seconds that a client gets to say where it wants to go.
HEAD_SECONDS = 15.0
HEAD_BYTES = 16 * 1024
CHUNK = 64 * 1024


class Refused(Exception):
    """Answered with `status`; the text says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Proxy:
    """Serves on the socket that `start` is given until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._ports = settings.ports
        self._tunnels = asyncio.Semaphore(TUNNELS)
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        self._server = await asyncio.start_server(self._accept, sock=sock, limit=HEAD_BYTES)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def target(self, authority: str) -> int:
        """The local port for `host:port` of a CONNECT; `Refused` 403 for what is not imitated."""
        host, _, port = authority.rpartition(":")
        host = host.strip("[]")
        own = host in (LOOPBACK, "localhost")
        if own and port.isdigit() and int(port) in self._ports.values():
            return int(port)
        service = service_of(host)
        if service is None or port != "443":
            raise Refused(
                403, f"The sandbox does not imitate {authority}; nothing else is reachable through its proxy."
            )
        return self._ports[service]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # nosec B101  # start_server runs every connection as a task
        self._open.add(task)
        try:
            async with self._tunnels:
                await self._serve(reader, writer)
        except Refused as refusal:
            log.warning("%s", refusal.text)
            await _answer(writer, refusal)
        except asyncio.IncompleteReadError:
            log.debug("a client went away before it said where it wants to go")
        except (OSError, TimeoutError) as error:
            log.info("tunnel ended: %s: %s", type(error).__name__, error)
        finally:
            self._open.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self.target(await _authority(reader))
        try:
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, port, limit=CHUNK)
        except OSError as error:
            raise Refused(502, f"The sandbox's service on port {port} does not answer: {error.strerror}.") from error
        try:
            writer.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            far_writer.close()


async def _authority(reader: asyncio.StreamReader) -> str:
    """The `host:port` that the client asks for."""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise Refused(431, f"The request's head is over {HEAD_BYTES} bytes.") from error
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split()
    if len(words) != 3:
        raise Refused(400, "This is a CONNECT proxy; the request line is not HTTP.")
    if words[0] != "CONNECT":
        raise Refused(403, f"The sandbox's proxy carries TLS only and refuses {words[0]} {words[1]}.")
    return words[1]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end of one direction; the other goes on (half-close)."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        # One side went away: nothing more can be carried in either direction.
        writer.close()
        return
    with contextlib.suppress(OSError):
        writer.write_eof()


async def _answer(writer: asyncio.StreamWriter, refusal: Refused) -> None:
    body = refusal.text.encode()
    head = f"HTTP/1.1 {refusal.status} Refused\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(ConnectionError):
        writer.write(head.encode() + body)
        await writer.drain()
