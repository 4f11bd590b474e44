"""Latency, throughput and memory of a model under a given load."""

from __future__ import annotations

import http.client
import json
import math
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rollout.azure.payloads import EXAMPLE_FILES, as_request
from rollout.errors import BadInput
from rollout.models.server import Running, serving
from training.scoring.package import NotPinned, write_code

_WARM_UP = 10
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Profile:
    """One load on one worker. Latencies are the client's, which shares the machine with the server."""

    rows: int
    concurrency: int
    requests: int
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    per_second: float
    memory_mb: float | None
    size_mb: float
    start_seconds: float


class NotServable(BadInput):
    """The model lacks what its scoring code is made of."""


def profile(model: Path, loads: Sequence[tuple[int, int]], requests: int) -> list[Profile]:
    """Of each (rows, concurrency), in turns on one server; `NotServable` when no code can be made for the model."""
    request = _example(model)
    with tempfile.TemporaryDirectory(prefix="rollout-profile-") as folder:
        scratch = Path(folder)
        try:
            code = write_code(model, scratch / "code")
        except (FileNotFoundError, NotPinned) as error:
            raise NotServable(
                f"no scoring code can be made for it: {error}",
                way_out="train it with `rollout train`, or pin its packages",
            ) from error
        with serving(model, code, max(each[1] for each in loads), scratch) as server:
            return [_measure(server, model, _with_rows(request, rows), (rows, many), requests) for rows, many in loads]


def _example(model: Path) -> dict[str, object]:
    for name in EXAMPLE_FILES:
        if (model / name).is_file():
            return as_request(json.loads((model / name).read_text("utf-8")))
    raise NotServable("it was logged without an input example", way_out="log it with input_example=...")


def _with_rows(request: dict[str, object], rows: int) -> bytes:
    """The example's rows, again and again, until there are as many."""
    data = request["input_data"]
    if isinstance(data, dict):
        given = list(data["data"])
        repeated: object = {"columns": data["columns"], "data": [given[n % len(given)] for n in range(rows)]}
    elif isinstance(data, list):
        repeated = [data[n % len(data)] for n in range(rows)]
    else:
        raise NotServable("its input example is not a table")
    return json.dumps({"input_data": repeated}).encode()


def _measure(server: Running, model: Path, body: bytes, load: tuple[int, int], requests: int) -> Profile:
    rows, concurrency = load
    _send(server.url, body, concurrency, _WARM_UP)
    began = time.perf_counter()
    answers = _send(server.url, body, concurrency, requests)
    elapsed = time.perf_counter() - began
    times = sorted(each for each, _ in answers)
    return Profile(
        rows=rows,
        concurrency=concurrency,
        requests=len(answers),
        errors=sum(status != 200 for _, status in answers),
        p50_ms=percentile(times, 50),
        p95_ms=percentile(times, 95),
        p99_ms=percentile(times, 99),
        per_second=len(answers) / elapsed,
        memory_mb=server.memory_mb(),
        size_mb=sum(file.stat().st_size for file in model.rglob("*") if file.is_file()) / _MB,
        start_seconds=server.start_seconds,
    )


def percentile(times: Sequence[float], percent: int) -> float:
    """Of sorted values: the smallest that so many percent are not above."""
    return times[max(0, math.ceil(len(times) * percent / 100) - 1)]


def _send(url: str, body: bytes, concurrency: int, requests: int) -> list[tuple[float, int]]:
    """(milliseconds, status) of each request; 0 for one without an answer."""
    found: list[tuple[float, int]] = []
    turns = iter(range(requests))
    lock = threading.Lock()

    def work() -> None:
        parts = urlsplit(url)
        link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        while True:
            with lock:
                if next(turns, None) is None:
                    return
            began, status = time.perf_counter(), 0
            try:
                link.request("POST", parts.path, body, {"content-type": "application/json"})
                answer = link.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                link.close()
            with lock:
                found.append(((time.perf_counter() - began) * 1000, status))

    threads = [threading.Thread(target=work) for _ in range(concurrency)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return found
