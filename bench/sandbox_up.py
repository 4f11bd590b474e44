"""How long `rollout sandbox up` takes until all services answer, beside a bare `mlflow server` until /health answers.

Both start in a fresh folder and then, stopped, once more on the state that they left. The bare server gets SQLite and one
worker, which makes it as fast as it gets. In every other pair the sandbox goes first.
"""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import psutil

from bench.measure import ROLLOUT, Result, Row, clean_environment, compare, run_seconds
from sandbox.kernel.settings import HOME_VARIABLE, LOOPBACK, free_ports
from sandbox.processes import stop

LIMIT = 1.5
PAIRS = 3
#: Seconds. No further pair begins when it would likely end after that; the fresh starts come first.
BUDGET = 270.0
START_LIMIT = 90.0
POLL = 0.02
CASES = ("fresh", "restart")


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="bench-up-") as folder:
        times = _measure(Path(folder))
    found = {case: compare(pairs) for case, pairs in times.items() if pairs}
    rows = [Row(f"sandbox up, {case} / bare mlflow server", each.ratio, "x", LIMIT) for case, each in found.items()]
    notes = [
        f"sandbox_up, {case}: {len(pairs)} of {PAIRS} pairs fitted into {BUDGET:g} s"
        for case, pairs in times.items()
        if len(pairs) < PAIRS
    ]
    return Result("sandbox_up", rows, {case: asdict(each) for case, each in found.items()}, notes)


def _measure(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """(bare, sandbox) in seconds, by case."""
    times: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    began, longest = time.monotonic(), 0.0
    for case in CASES:
        for number in range(PAIRS):
            start = time.monotonic()
            if start - began + longest > BUDGET:
                break
            bare, own = _pair(folder / str(number), own_first=number % 2 == 1)
            times[case].append((bare, own))
            print(f"  {case}: sandbox {own:.1f} s, mlflow server {bare:.1f} s", flush=True)
            longest = max(longest, time.monotonic() - start)
    return times


def _pair(folder: Path, *, own_first: bool) -> tuple[float, float]:
    """One start of each, in folders that are new or hold what an earlier start left."""
    folder.mkdir(exist_ok=True)
    sides: list[tuple[str, Callable[[Path], float]]] = [("bare", _bare), ("own", _sandbox)]
    taken = {name: start(folder / name) for name, start in (reversed(sides) if own_first else sides)}
    return taken["bare"], taken["own"]


def _sandbox(home: Path) -> float:
    environment = clean_environment(**{HOME_VARIABLE: str(home), "DO_NOT_TRACK": "true"})
    try:
        return run_seconds((*ROLLOUT, "sandbox", "up"), environment, START_LIMIT)
    finally:
        run_seconds((*ROLLOUT, "sandbox", "down"), environment)


def _bare(folder: Path) -> float:
    folder.mkdir(exist_ok=True)
    port = free_ports(("mlflow",))["mlflow"]
    start = time.perf_counter()
    with _mlflow_server(folder, port) as server:
        while not _healthy(port):
            if server.poll() is not None:
                log = (folder / "log").read_text(errors="replace")
                raise RuntimeError(f"the bare mlflow server ended with {server.returncode}: {log[-500:]}")
            if time.perf_counter() - start > START_LIMIT:
                raise TimeoutError(f"the bare mlflow server did not answer in {START_LIMIT:g} s")
            time.sleep(POLL)
        return time.perf_counter() - start


@contextlib.contextmanager
def _mlflow_server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
    command += ["--host", LOOPBACK, "--port", str(port)]
    with (folder / "log").open("wb") as log:
        environment = clean_environment(DO_NOT_TRACK="true", MLFLOW_DISABLE_TELEMETRY="true")
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            yield server
        finally:
            if server.poll() is None:
                # All at once: the command alone would not pass the signal on to its worker.
                parent = psutil.Process(server.pid)
                stop([*parent.children(recursive=True), parent])
            server.wait(10)


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5.0)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
