"""A job's process group: started, waited for, ended; and what outlived a killed sandbox."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: Seconds from SIGTERM to SIGKILL.
GRACE = 3.0
_POLL = 0.05


async def run(
    command: str, folder: Path, environment: Mapping[str, str], log: Path, on_start: Callable[[dict[str, Any]], None]
) -> int:
    """Run `command` in a shell in `folder`, output into `log`; gives the exit code.

    `on_start` is told the record by which `end_survivor` finds the group. Cancelled, it ends the whole group.
    """
    shell = shutil.which("bash") or "/bin/sh"
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            shell, "-c", command,
            cwd=folder, env=dict(environment), stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        on_start(record_of(process.pid))
        return await process.wait()
    finally:
        # Also after a normal end: children in the background must not outlive the job.
        await end_group(process.pid)
        if process.returncode is None:
            await process.wait()


def record_of(pid: int) -> dict[str, Any]:
    """The process's id and when it began, so that a later process with the id is not taken for it."""
    import psutil

    try:
        return {"pid": pid, "started": psutil.Process(pid).create_time()}
    except psutil.NoSuchProcess:
        return {"pid": pid, "started": 0.0}


async def end_group(pid: int) -> None:
    """SIGTERM to the group, SIGKILL to what is left after the grace."""
    if not _signal(pid, signal.SIGTERM):
        return
    for _ in range(int(GRACE / _POLL)):
        await asyncio.sleep(_POLL)
        if not _signal(pid, 0):
            return
    _signal(pid, signal.SIGKILL)


def kill_group(pid: int) -> None:
    _signal(pid, signal.SIGKILL)


def end_survivor(record: Mapping[str, Any]) -> bool:
    """Kill the group of a job that outlived the sandbox; whether it was there."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        if abs(psutil.Process(record["pid"]).create_time() - record["started"]) < 1.0:
            kill_group(record["pid"])
            return True
    return False


def _signal(group: int, number: int) -> bool:
    """Whether there was anybody to hear it. A zombie leader alone does not count as alive for long: it is waited for."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
