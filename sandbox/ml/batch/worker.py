"""One worker process of a batch job, in its own process group; killed when a mini batch takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.ml.jobs.process import end_group

DRIVER = Path(__file__).parent / "inside" / "driver.py"
#: For `init()`: models are loaded in it.
INIT_SECONDS = 300.0


class WorkerFailed(Exception):
    """The mini batch, or `init()`, did not succeed; the message says why."""


class InitFailed(WorkerFailed):
    """The script can't be loaded: no try will help."""


@dataclass(slots=True)
class Worker:
    """A process that scores one mini batch at a time; started when it is first needed, and again after it was killed."""

    python: Path
    script: Path
    folder: Path
    environment: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def score(self, files: list[str], output: Path, timeout: float) -> int:
        """How many items `run()` gave for the files; their text is in `output`."""
        if self.process is None:
            await self._start()
        answer = await self._ask({"files": files, "output": str(output)}, timeout)
        if not answer["ok"]:
            raise WorkerFailed(str(answer["error"]))
        return int(answer["items"])

    async def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            await end_group(process.pid)
            await process.wait()

    async def _start(self) -> None:
        with self.log.open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                str(self.python), "-u", str(DRIVER), str(self.script),
                cwd=self.folder, env=dict(self.environment), stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=errors, start_new_session=True,
            )  # fmt: skip
        answer = await self._read("init()", INIT_SECONDS)
        if not answer["ready"]:
            await self.stop()
            raise InitFailed(str(answer["error"]).strip())

    async def _ask(self, order: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        if self.process is not None and self.process.stdin is not None:
            # A process that is dead is reported by the read.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.process.stdin.write(json.dumps(order).encode() + b"\n")
                await self.process.stdin.drain()
        return await self._read("run()", timeout)

    async def _read(self, what: str, timeout: float) -> dict[str, Any]:
        process = self.process
        line = b""
        if process is not None and process.stdout is not None:
            try:
                line = await asyncio.wait_for(process.stdout.readline(), timeout)
            except TimeoutError:
                await self.stop()
                raise WorkerFailed(f"{what} took longer than {timeout:g} s") from None
        if not line:
            await self.stop()
            raise WorkerFailed(f"the process ended in {what} with code {process.returncode if process else None}")
        answer: dict[str, Any] = json.loads(line)
        return answer
