"""One instance of a deployment: a process that is started again when it crashes or stops answering."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

from sandbox.ml.serving.process import STOP_GRACE, ReplicaFailed, ReplicaProcess, Usage
from sandbox.ml.serving.spec import ReplicaSpec

log = logging.getLogger("sandbox.ml.serving")

#: Seconds that a process which has stopped answering gets to end by itself.
BROKEN_GRACE = 1.0
FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 30.0
#: A process that ran this long without a crash starts the backoff anew.
STEADY_SECONDS = 60.0


class Instance:
    """Keeps one replica running. `name` changes with every process; `changed` is awaited when `ready` does."""

    def __init__(self, spec: ReplicaSpec, folder: Path, label: str, changed: Callable[[], Awaitable[None]]) -> None:
        self.spec, self._folder, self._label, self._changed = spec, folder, label, changed
        self._process: ReplicaProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        # In the order of their starts, so that their logs can be read in that order.
        self.id = f"{time.time_ns() // 1_000_000:x}{uuid.uuid4().hex[:4]}"
        self.name, self.ready, self.restarts = "", False, 0

    @property
    def port(self) -> int:
        return self._process.port if self._process else 0

    @property
    def log_file(self) -> Path:
        return self._folder / "logs" / f"{self.id}.log"

    async def start(self) -> None:
        """Until it is ready; raises ReplicaFailed. From then on crashes are repaired."""
        try:
            await self._launch()
        except BaseException:
            await self._end(BROKEN_GRACE)
            raise
        self._keeper = asyncio.create_task(self._keep(), name=f"keep {self._label}-{self.id}")

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Ends the process; requests that it still has get `grace` seconds."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        self.ready = False
        await self._end(grace)

    def kill(self) -> None:
        """Ends it now."""
        if self._keeper is not None:
            self._keeper.cancel()
        self.ready = False
        if self._process is not None:
            self._process.kill()

    def usage(self) -> Usage | None:
        return self._process.usage() if self._process is not None and self.ready else None

    async def _launch(self) -> None:
        self._process = ReplicaProcess(self.spec, self.log_file, self._folder / f"{self.id}.pid")
        await self._process.start()
        await self._process.wait_ready()
        self.name = f"{self._label}-{self.id}-{uuid.uuid4().hex[:6]}"
        self.ready = True

    async def _end(self, grace: float = STOP_GRACE) -> None:
        if self._process is not None:
            await self._process.stop(grace)

    async def _keep(self) -> None:
        backoff = FIRST_BACKOFF
        while True:
            started = time.monotonic()
            cause = await self._until_broken()
            self.ready = False
            self.restarts += 1
            self._note(f"{cause}; restart {self.restarts}")
            await self._changed()
            await self._end(BROKEN_GRACE)
            if time.monotonic() - started > STEADY_SECONDS:
                backoff = FIRST_BACKOFF
            while not self.ready:
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, LONGEST_BACKOFF)
                try:
                    await self._launch()
                except ReplicaFailed as error:
                    self._note(f"{error}; tried again in {backoff:g} s")
                    await self._end(BROKEN_GRACE)
            await self._changed()

    async def _until_broken(self) -> str:
        """Waits until the process has ended or has failed its liveness probe too often; says which."""
        process, probe = self._process, self.spec.liveness
        assert process is not None  # nosec B101  # start() comes first
        exited = asyncio.ensure_future(process.wait_exit())
        failures = 0
        try:
            while failures < probe.failures:
                done, _ = await asyncio.wait({exited}, timeout=probe.period)
                if done:
                    return f"the container has crashed with exit code {exited.result()}"
                failures = 0 if await process.lives(probe.timeout) else failures + 1
        finally:
            exited.cancel()
        return f"the liveness probe failed {failures} times"

    def _note(self, text: str) -> None:
        log.warning("%s-%s: %s", self._label, self.id, text)
        with self.log_file.open("a") as file:
            file.write(f"[sandbox] {text}\n")
