"""Services of a sandbox on real TLS ports, in a thread of the test process."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from sandbox.kernel.context import Sandbox
from sandbox.kernel.settings import LOOPBACK
from sandbox.kernel.tls import server_context, tls_files


class TokenCredential:
    """The sandbox's own service principal, without the detour over its token endpoint."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken

        audience = scopes[0].removesuffix("/.default")
        return AccessToken(self._sandbox.tokens.issue(audience, self._sandbox.owner), 4102444800)


class _Quiet(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def served(sandbox: Sandbox, apps: Mapping[str, ASGIApp]) -> Iterator[asyncio.AbstractEventLoop]:
    """Serve `apps` (by port name) on the sandbox's ports; its states are started and stopped. Gives the loop."""
    files = tls_files(sandbox.home)
    context = server_context(files)
    servers = {
        port: _Quiet(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=0,
                ssl_certfile=files.server,
                ssl_context_factory=lambda _config, _default: context,
            )
        )
        for port, app in apps.items()
    }
    loop, ready = asyncio.new_event_loop(), threading.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_run(sandbox, servers, ready),), daemon=True)
    thread.start()
    assert ready.wait(20), "the services did not start"
    try:
        yield loop
    finally:
        for server in servers.values():
            server.should_exit = True
        thread.join(20)
        loop.close()


async def _run(sandbox: Sandbox, servers: Mapping[str, _Quiet], ready: threading.Event) -> None:
    tasks = []
    for port, server in servers.items():
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, sandbox.settings.ports[port]))
        tasks.append(asyncio.create_task(server.serve([sock])))
    started = [state for state in sandbox.states.values() if hasattr(state, "start")]
    for state in started:
        await state.start()
    while not all(server.started for server in servers.values()):
        await asyncio.sleep(0.01)
    ready.set()
    await asyncio.gather(*tasks)
    for state in reversed(started):
        if hasattr(state, "stop"):
            await state.stop()
