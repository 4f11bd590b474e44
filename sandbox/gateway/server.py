"""The gateway process: a TLS port for scoring, a loopback port for the control process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path

from sandbox.gateway.access import AccessLog
from sandbox.gateway.admin import Admin
from sandbox.gateway.auth import Gatekeeper
from sandbox.gateway.http import Connections, ServerProtocol
from sandbox.gateway.rights import Rights
from sandbox.gateway.scoring import Gateway
from sandbox.gateway.table import Table
from sandbox.kernel.loopback import bind
from sandbox.kernel.settings import load_settings
from sandbox.kernel.tls import client_context, server_context, tls_files

log = logging.getLogger("sandbox.gateway")

SWEEP_SECONDS = 5.0
GRACE_SECONDS = 10.0


async def serve(home: Path, ready: asyncio.Event | None = None, stop: asyncio.Event | None = None) -> None:
    """Serves the sandbox in `home` until SIGTERM, SIGINT or `stop`; open requests are answered first."""
    settings = load_settings(home)
    stop = stop or asyncio.Event()
    files = tls_files(home)
    admin_url, own_token, tls = settings.url("admin"), settings.internal_token, client_context(files)
    access = AccessLog(f"{admin_url}/internal/access", own_token, tls)
    rights = Rights(f"{admin_url}/internal/may-score", own_token, tls)
    gateway = Gateway(Table(), Gatekeeper(home, settings, rights), access)
    admin = Admin(gateway, settings.internal_token, home)
    admin.load()
    scoring, control = Connections(), Connections()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: ServerProtocol(gateway.handle, scoring),
        sock=bind(settings.ports["gateway"], "gateway"),
        ssl=server_context(files),
    )
    admin_listener = await loop.create_server(
        lambda: ServerProtocol(admin.handle, control, max_body=1 << 30),
        sock=bind(settings.ports["gateway_admin"], "gateway_admin"),
    )
    await access.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError):  # a test's loop may not be in the main thread
            loop.add_signal_handler(number, stop.set)
    sweeper = asyncio.create_task(_sweep(gateway, scoring, control))
    if ready is not None:
        ready.set()
    log.info("gateway on port %s", settings.ports["gateway"])
    try:
        await stop.wait()
    finally:
        listener.close()
        await scoring.finish(GRACE_SECONDS)
        await gateway.finish_mirrors(GRACE_SECONDS)
        sweeper.cancel()
        admin_listener.close()
        await control.finish(1.0)
        await access.stop()


async def _sweep(gateway: Gateway, *all_connections: Connections) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for connections in all_connections:
            connections.close_idle()
        for pool in list(gateway.table.pools()):
            pool.close_idle()
