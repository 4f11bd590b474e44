"""One running Functions app: its process, what it said, and its address."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.functions import KEY_VARIABLE
from sandbox.kernel.errors import AzureError

log = logging.getLogger("sandbox.functions")

#: Real seconds that the app's imports get.
START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_LONGEST_LINE = 1 << 20

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class Worker:
    """Made by `start`; `functions` maps names to their triggers."""

    process: asyncio.subprocess.Process
    port: int
    functions: Mapping[str, Mapping[str, Any]]
    key: str
    _reader: asyncio.Task[None]

    def url(self, function: str) -> str:
        """Where Event Grid delivers; the key is the host's system key."""
        return f"http://127.0.0.1:{self.port}/runtime/webhooks/EventGrid?functionName={function}&code={self.key}"

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    async def stop(self) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), _STOP_SECONDS)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    self.process.kill()
                await self.process.wait()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


async def start(folder: Path, environment: Mapping[str, str], key: str, tell: Tell) -> Worker:
    """Start the app in `folder`; AzureError when it does not come up. `tell` gets its traces and requests."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox.functions.host",
        str(folder),
        cwd=folder,
        env={**environment, KEY_VARIABLE: key},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LONGEST_LINE,
    )
    assert process.stdout is not None  # nosec B101  # it is a pipe
    try:
        async with asyncio.timeout(START_SECONDS):
            ready = await _until_ready(process.stdout, tell)
    except TimeoutError:
        ready = {"kind": "failed", "why": f"it did not start within {START_SECONDS:g} s"}
    if ready.get("kind") != "ready":
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise AzureError(400, "DeploymentFailed", f"The app could not be started: {ready.get('why', 'it ended')}.")
    reader = asyncio.create_task(_listen(process.stdout, tell))
    return Worker(process, int(ready["port"]), ready["functions"], key, reader)


async def _until_ready(stream: asyncio.StreamReader, tell: Tell) -> Mapping[str, Any]:
    while line := await stream.readline():
        message = _parsed(line)
        if message.get("kind") in ("ready", "failed"):
            return message
        tell(message)
    return {}


async def _listen(stream: asyncio.StreamReader, tell: Tell) -> None:
    while line := await stream.readline():
        tell(_parsed(line))


def _parsed(line: bytes) -> Mapping[str, Any]:
    """A message of the host; what an app prints by itself is a trace."""
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if isinstance(message, dict) and "kind" in message:
        return message
    return {"kind": "trace", "message": line.decode(errors="replace").rstrip(), "severity": 1}
