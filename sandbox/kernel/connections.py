"""Open connections by their two ends, so that an ordered fault can cut one as a failing network would."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_Ends = tuple[tuple[str, int], tuple[str, int]]
_OPEN: dict[_Ends, asyncio.Transport] = {}


class Connection(HttpToolsProtocol):
    """uvicorn's protocol; it also notes the connection while it is open."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.server and self.client:
            _OPEN[_ends(self.server, self.client)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.server and self.client:
            _OPEN.pop(_ends(self.server, self.client), None)
        super().connection_lost(exc)


async def cut(scope: Scope) -> None:
    """Close the request's connection without an answer; ConnectionAbortedError where there is none (in-process calls)."""
    server, client = scope.get("server"), scope.get("client")
    transport = _OPEN.get(_ends(server, client)) if server and client else None
    if transport is None:
        raise ConnectionAbortedError("dropped on order (rollout sandbox fault)")
    transport.abort()
    # The protocol learns of it on the loop's next turn.
    await asyncio.sleep(0.01)


def _ends(server: Any, client: Any) -> _Ends:
    return (server[0], server[1]), (client[0], client[1])
