"""The control process: every service of the sandbox but the gateway and MLflow, in one asyncio loop.

`python -m sandbox.server --home DIR` runs it in the foreground; `rollout sandbox up` starts it detached.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from sandbox.admin import app as admin
from sandbox.arm import app as arm
from sandbox.arm.state import ArmState
from sandbox.eventgrid import app as eventgrid
from sandbox.eventgrid.state import EventGridState
from sandbox.functions.state import FunctionsState
from sandbox.graph import app as graph
from sandbox.graph.state import GraphState
from sandbox.kernel.connections import Connection
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.foreground import run_in_foreground
from sandbox.kernel.loopback import bind
from sandbox.kernel.settings import load_settings
from sandbox.kernel.tls import server_context, tls_files
from sandbox.login import app as login
from sandbox.login.state import LoginState
from sandbox.logs import app as logs
from sandbox.logs.state import LogsState
from sandbox.ml import app as ml
from sandbox.ml.state import MlState
from sandbox.monitor import app as monitor
from sandbox.monitor.state import MonitorState
from sandbox.proxy.server import Proxy
from sandbox.storage import app as storage
from sandbox.storage.state import StorageState

log = logging.getLogger("sandbox")

#: Folder and state, in the order in which they are made: a state may use those before it.
STATES: tuple[tuple[str, Callable[[Sandbox], Any]], ...] = (
    ("arm", ArmState),
    ("graph", GraphState),
    ("login", LoginState),
    ("storage", StorageState),
    ("logs", LogsState),
    ("monitor", MonitorState),
    ("eventgrid", EventGridState),
    ("functions", FunctionsState),
    ("ml", MlState),
)
#: The TLS ports and their apps. `arm` comes last: other services mount routes on it while they are made.
APPS: dict[str, Callable[[Sandbox], ASGIApp]] = {
    "login": login.create,
    "graph": graph.create,
    "blob": storage.create,
    "logs": logs.create,
    "monitor": monitor.create,
    "eventgrid": eventgrid.create,
    "ml": ml.create,
    "admin": admin.create,
    "arm": arm.create,
}
#: Seconds that open requests get to finish on shutdown.
GRACE = 3


def add_states(sandbox: Sandbox) -> None:
    """Make every service's state and put it into `sandbox.states`."""
    for name, make in STATES:
        sandbox.states[name] = make(sandbox)


def make_apps(sandbox: Sandbox) -> dict[str, ASGIApp]:
    """The ASGI app of every TLS port, by port name. The states must be there."""
    return {port: create(sandbox) for port, create in APPS.items()}


class _Listener(uvicorn.Server):
    """One of several servers in the loop; the process's signals are `run`'s."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(slots=True)
class Control:
    """The running control process. `stop` may be called from a handler of its own."""

    sandbox: Sandbox
    stopping: asyncio.Event

    def stop(self) -> None:
        self.stopping.set()


async def serve(home: Path) -> None:
    """Serve the sandbox in `home` until `Control.stop`, SIGTERM or SIGINT."""
    settings = load_settings(home)
    sandbox = open_sandbox(home, settings)
    control = Control(sandbox, asyncio.Event())
    _stop_on_signals(control)
    add_states(sandbox)
    sockets = {port: bind(settings.ports[port], port) for port in APPS}
    listeners = _listeners(sandbox)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(sandbox.store.close)
        await _start_states(sandbox, stack)
        await _start_proxy(sandbox, stack)
        sandbox.states["control"] = control
        tasks = [asyncio.create_task(server.serve([sockets[port]])) for port, server in listeners.items()]
        stopping = asyncio.create_task(control.stopping.wait())
        # A listener that ends by itself ends the process: half a sandbox helps nobody.
        await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for server in listeners.values():
            server.should_exit = True
        await asyncio.gather(*tasks)


def _listeners(sandbox: Sandbox) -> dict[str, _Listener]:
    files = tls_files(sandbox.home)
    context = server_context(files)
    listeners = {}
    for port, app in make_apps(sandbox).items():
        config = uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=75,
            proxy_headers=False,
            server_header=False,
            ws="none",
            ssl_context_factory=lambda _config, _default: context,
            ssl_certfile=files.server,
        )
        listeners[port] = _Listener(config)
    return listeners


async def _start_states(sandbox: Sandbox, stack: contextlib.AsyncExitStack) -> None:
    for name, state in sandbox.states.items():
        if (start := getattr(state, "start", None)) is not None:
            log.info("starting %s", name)
            await start()
        if (stop := getattr(state, "stop", None)) is not None:
            stack.push_async_callback(stop)


async def _start_proxy(sandbox: Sandbox, stack: contextlib.AsyncExitStack) -> None:
    proxy = Proxy(sandbox.settings)
    await proxy.start(bind(sandbox.settings.ports["proxy"], "proxy"))
    stack.push_async_callback(proxy.stop)


def _stop_on_signals(control: Control) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, control.stop)


if __name__ == "__main__":
    sys.exit(run_in_foreground(serve, asyncio.run, module="sandbox.server", about=__doc__))
