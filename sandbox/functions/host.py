"""Stand-in for the Functions host: loads a v2 Python app through azure-functions itself and calls its functions.

`python -m sandbox.functions.host APP_FOLDER`, a process per site. It prints one JSON line a message: first `ready` with its
port and functions, then a `trace` per log line and a `request` per call. `ROLLOUT_SANDBOX_HOST_KEY` is its system key.
"""

from __future__ import annotations

import asyncio
import hmac
import importlib
import json
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import azure.functions as func
import uvicorn
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum
from azure.functions.timer import TimerRequestConverter
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rollout.clock import clock_from_environment
from sandbox.functions import KEY_VARIABLE

_SETTING = re.compile(r"%(\w+)%")
#: The only NCRONTAB expressions that are imitated: every N minutes.
_EVERY = re.compile(r"0 (?:\*|\*/(\d+)) \* \* \* \*")
_SEVERITIES = {logging.DEBUG: 0, logging.INFO: 1, logging.WARNING: 2, logging.ERROR: 3, logging.CRITICAL: 4}
_QUIET = ("azure", "urllib3", "msal", "uvicorn", "asyncio")


@dataclass(frozen=True, slots=True)
class Handler:
    """One function: what triggers it, and its code."""

    name: str
    trigger: Mapping[str, Any]
    call: Any

    @property
    def kind(self) -> str:
        return str(self.trigger["type"])


def load(folder: Path) -> dict[str, Handler]:
    """The functions of function_app.py, by name, as the worker indexes them; ValueError for what is not imitated."""
    sys.path.insert(0, str(folder))
    module = importlib.import_module("function_app")
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
    if len(apps) != 1:
        raise ValueError(f"function_app.py has {len(apps)} FunctionApp objects; the v2 model wants one")
    found = {}
    for function in apps[0].get_functions():
        name, trigger = function.get_function_name(), function.get_trigger()
        if not name or trigger is None:
            raise ValueError("a function of function_app.py has no name or no trigger")
        handler = Handler(name, trigger.get_dict_repr(), function.get_user_function())
        if handler.kind not in ("eventGridTrigger", "timerTrigger"):
            raise ValueError(f"{handler.name}: the sandbox does not imitate {handler.kind}")
        found[handler.name] = handler
    return found


def minutes_of(schedule: str) -> int:
    """The minutes between two runs; ValueError for a schedule that is not imitated."""
    text = _SETTING.sub(lambda match: os.environ.get(match[1], ""), schedule)
    match = _EVERY.fullmatch(text)
    if match is None:
        raise ValueError(f"the sandbox does not imitate the schedule {text!r}; '0 */N * * * *' is known")
    return int(match[1] or 1)


class Host:
    """The routes of the real host that Event Grid and people call, and the timers."""

    def __init__(self, handlers: Mapping[str, Handler], key: str) -> None:
        self._handlers, self._key = handlers, key
        self._clock = clock_from_environment()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/runtime/webhooks/EventGrid", self.event_grid, methods=["POST"]),
                Route("/admin/functions/{name}", self.run_now, methods=["POST"]),
                Route("/admin/host/status", self.status),
            ]
        )

    async def status(self, _: Request) -> Response:
        return JSONResponse({"state": "Running"})

    async def event_grid(self, request: Request) -> Response:
        """Handshakes itself; an event whose function raises is answered with 500, so Event Grid delivers it again."""
        if not hmac.compare_digest(request.query_params.get("code", "").encode(), self._key.encode()):
            return Response(status_code=401)
        handler = self._handlers.get(request.query_params.get("functionName", ""))
        if handler is None or handler.kind != "eventGridTrigger":
            return Response(status_code=404)
        events = await request.json()
        if request.headers.get("aeg-event-type") == "SubscriptionValidation":
            return JSONResponse({"validationResponse": events[0]["data"]["validationCode"]})
        for event in events if isinstance(events, list) else [events]:
            datum = Datum(json.dumps(event), "json")
            argument = EventGridEventInConverter.decode(datum, trigger_metadata={})
            if not await self._invoke(handler, argument):
                return Response(status_code=500)
        return Response(status_code=202)

    async def run_now(self, request: Request) -> Response:
        """What `POST /admin/functions/{name}` does on Azure: run a function that no request triggers."""
        if not hmac.compare_digest(request.headers.get("x-functions-key", "").encode(), self._key.encode()):
            return Response(status_code=401)
        handler = self._handlers.get(request.path_params["name"])
        if handler is None or handler.kind != "timerTrigger":
            return Response(status_code=404)
        await self._invoke(handler, _timer())
        return Response(status_code=202)

    async def timers(self) -> None:
        """Every timer by the policy clock, as bakes are."""
        async with asyncio.TaskGroup() as group:
            for handler in self._handlers.values():
                if handler.kind == "timerTrigger":
                    group.create_task(self._every(handler, 60.0 * minutes_of(handler.trigger["schedule"])))

    async def _every(self, handler: Handler, seconds: float) -> None:
        while True:
            now = self._clock.now().timestamp()
            await asyncio.sleep(self._clock.real_seconds(seconds - now % seconds) + 0.01)
            await self._invoke(handler, _timer())

    async def _invoke(self, handler: Handler, argument: object) -> bool:
        """Whether it came through."""
        started = time.perf_counter()
        try:
            await run_in_threadpool(handler.call, **{str(handler.trigger["name"]): argument})
            good = True
        except Exception:  # what a function raises is its caller's to know, and the host goes on
            logging.getLogger(f"Function.{handler.name}").exception("Executed 'Functions.%s' (Failed)", handler.name)
            good = False
        duration = (time.perf_counter() - started) * 1000
        tell(kind="request", name=handler.name, good=good, ms=round(duration, 1), at=self._clock.now().timestamp())
        return good


def _timer() -> Any:
    """What the host tells a timer function."""
    return TimerRequestConverter.decode(Datum(json.dumps({"IsPastDue": False}), "json"), trigger_metadata=None)


class _Told(logging.Handler):
    """Log lines to the sandbox, which keeps them as traces."""

    def emit(self, record: logging.LogRecord) -> None:
        at = clock_from_environment().policy_timestamp(record.created)
        text = self.format(record)
        tell(kind="trace", message=text, severity=_SEVERITIES.get(record.levelno, 1), logger=record.name, at=at)


def tell(**message: Any) -> None:
    """One line to the process that started this one."""
    print(json.dumps(message), flush=True)


async def serve(folder: Path, key: str) -> None:
    handlers = load(folder)
    host = Host(handlers, key)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    config = uvicorn.Config(host.app(), log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    tell(
        kind="ready",
        port=sock.getsockname()[1],
        functions={name: dict(each.trigger) | {"direction": "in"} for name, each in handlers.items()},
        at=datetime.now().astimezone().isoformat(),
    )
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    timers = asyncio.create_task(host.timers())
    try:
        await server.serve([sock])
    finally:
        timers.cancel()
        await asyncio.gather(timers, return_exceptions=True)


def _end_with_parent(server: uvicorn.Server) -> None:
    """Standard input ends when whoever started this process does, however that was."""
    sys.stdin.buffer.read()
    server.should_exit = True


def main() -> int:
    told = _Told()
    logging.basicConfig(level=logging.INFO, handlers=[told])
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        asyncio.run(serve(Path(sys.argv[1]).resolve(), os.environ[KEY_VARIABLE]))
    except Exception as error:  # whatever the app's import raises is why the deployment failed
        logging.getLogger("host").exception("the app could not be started")
        tell(kind="failed", why=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
