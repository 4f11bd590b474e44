"""Consoles of replicas: what `getLogs` returns, and what is passed on to the log tables line by line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

INITIALIZER_LOG = "storage-initializer.txt"
#: A line this long is cut in the tables; the files keep it.
_LONGEST_LINE = 8192


def tail(files: list[Path], lines: int) -> list[str]:
    """The last `lines` lines over all `files`, in the order of their names: by the instances' start."""
    present = sorted(file for file in files if file.exists())
    collected: list[str] = []
    for file in reversed(present):
        if len(collected) >= lines:
            break
        collected = _last_lines(file, lines - len(collected)) + collected
    return collected


def _last_lines(file: Path, lines: int, block: int = 65536) -> list[str]:
    with file.open("rb") as opened:
        position = opened.seek(0, os.SEEK_END)
        data = b""
        while position > 0 and data.count(b"\n") <= lines:
            step = min(block, position)
            position = opened.seek(position - step)
            data = opened.read(step) + data
    return data.decode(errors="replace").splitlines()[-lines:]


def inference_server_log(logs: Path, lines: int, state: str) -> str:
    """As Azure shows it: the states of the container's parts, then the console."""
    console = tail(list(logs.glob("*.log")), lines)
    started = "Succeeded" if state == "Succeeded" else "Failed" if state == "Failed" else "InProgress"
    status = [
        "Instance status:",
        "SystemSetup: Succeeded",
        "UserContainerImagePull: Succeeded",
        "ModelDownload: Succeeded",
        f"UserContainerStart: {started}",
        "",
        "Container logs:",
    ]
    return "\n".join([*status, *console]) + "\n"


def initializer_log(logs: Path, lines: int) -> str:
    """What preparing the deployment said: model and code download, environment build."""
    return "\n".join(tail([logs / INITIALIZER_LOG], lines)) + "\n"


class Follower:
    """Reads what was added to log files since it last looked. Whole lines only."""

    def __init__(self) -> None:
        self._positions: dict[Path, int] = {}

    def skip_existing(self, logs: Path) -> None:
        """What is there already was read by an earlier sandbox."""
        for file in logs.glob("*.log"):
            self._positions[file] = file.stat().st_size

    def new_lines(self, logs: Path) -> Iterator[tuple[str, str]]:
        """(instance id, line) of every file."""
        for file in sorted(logs.glob("*.log")):
            position = self._positions.get(file, 0)
            if file.stat().st_size <= position:
                continue
            with file.open("rb") as opened:
                opened.seek(position)
                data = opened.read()
            whole = data.rfind(b"\n") + 1
            self._positions[file] = position + whole
            for line in data[:whole].decode(errors="replace").splitlines():
                if line.strip():
                    yield file.stem, line[:_LONGEST_LINE]

    def forget(self, logs: Path) -> None:
        self._positions = {file: at for file, at in self._positions.items() if file.parent != logs}
