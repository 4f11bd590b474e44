"""The customers of the story: load that never stops, and what they saw."""

from __future__ import annotations

import json
import os
import signal
import subprocess  # nosec B404  # runs this project's own load client
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.data import NOT_FEATURES
from demo.stage import StageError

#: Each client sends one request a second.
CLIENTS = 30
LONGEST_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Request:
    """One answer as a client saw it: end (epoch seconds), duration, HTTP status (0: none), who answered."""

    t: float
    ms: float
    status: int
    deployment: str

    @property
    def failed(self) -> bool:
        return self.status != 200


class Clients:
    """A Locust process in the background."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, scoring_uri: str, key: str, rows: Path, environment: Mapping[str, str]) -> None:
        self.log.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "load.client", "--uri", scoring_uri, "--rows", str(rows),
            "--drop", *NOT_FEATURES, "--users", str(CLIENTS), "--seconds", str(LONGEST_SECONDS), "--out", str(self.log),
        ]  # fmt: skip
        with self.log.with_suffix(".log").open("wb") as output:
            self._process = subprocess.Popen(  # nosec B603  # fixed command, no shell
                command, env={**os.environ, **environment, "SCORING_KEY": key}, stdout=output, stderr=output
            )
        self._wait_for_first_answer()

    def _wait_for_first_answer(self, limit_seconds: float = 30) -> None:
        deadline = time.monotonic() + limit_seconds
        while not any(not request.failed for request in self.seen()):
            if time.monotonic() > deadline or (self._process and self._process.poll() is not None):
                raise StageError(f"no client was served; see {self.log} and {self.log.with_suffix('.log')}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Let the requests under way finish, then end."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def seen(self, since: float = 0.0, until: float = float("inf")) -> list[Request]:
        """The requests that ended within [since, until], in epoch seconds."""
        if not self.log.exists():
            return []
        # The client may be in the middle of writing the last line.
        complete = self.log.read_text().rpartition("\n")[0].splitlines()
        requests = [Request(d["t"], d["ms"], d["status"], d["deployment"]) for d in map(json.loads, complete)]
        return [request for request in requests if since <= request.t <= until]


def failures(requests: Sequence[Request]) -> int:
    return sum(request.failed for request in requests)


def answered_by(requests: Sequence[Request], deployment: str) -> list[Request]:
    return [request for request in requests if request.deployment == deployment]
