"""Requests and readings by minute of policy time, in SQLite. Latencies are kept one by one, so percentiles are exact."""

from __future__ import annotations

import sqlite3
import threading
from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS requests (
    endpoint TEXT, minute INTEGER, deployment TEXT, status INTEGER, model_status INTEGER,
    n INTEGER, total_ms REAL, min_ms REAL, max_ms REAL, bytes INTEGER,
    PRIMARY KEY (endpoint, minute, deployment, status, model_status)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latencies (endpoint TEXT, minute INTEGER, deployment TEXT, milliseconds BLOB);
CREATE INDEX IF NOT EXISTS latencies_by_minute ON latencies (endpoint, minute);
CREATE TABLE IF NOT EXISTS gauges (
    endpoint TEXT, minute INTEGER, deployment TEXT, instance TEXT, name TEXT, state TEXT,
    n INTEGER, total REAL, minimum REAL, maximum REAL,
    PRIMARY KEY (endpoint, minute, deployment, instance, name, state)) WITHOUT ROWID;
"""
_ADD_REQUESTS = """
INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n, total_ms = total_ms + excluded.total_ms,
    min_ms = min(min_ms, excluded.min_ms), max_ms = max(max_ms, excluded.max_ms), bytes = bytes + excluded.bytes
"""
_ADD_GAUGE = """
INSERT INTO gauges VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + 1, total = total + excluded.total,
    minimum = min(minimum, excluded.minimum), maximum = max(maximum, excluded.maximum)
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `minute` counts from the epoch in policy time."""

    endpoint: str
    minute: int
    deployment: str
    status: int
    model_status: int
    milliseconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class RequestRow:
    minute: int
    deployment: str
    status: int
    model_status: int
    n: int
    total: float
    minimum: float
    maximum: float
    bytes: int


@dataclass(frozen=True, slots=True)
class GaugeRow:
    minute: int
    deployment: str
    instance: str
    state: str
    n: int
    total: float
    minimum: float
    maximum: float


class Table:
    """The file. Safe to share between threads of one process."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def add(self, requests: Iterable[Request]) -> None:
        """All or none."""
        counts: dict[tuple[str, int, str, int, int], list[Request]] = defaultdict(list)
        latencies: dict[tuple[str, int, str], array[float]] = defaultdict(lambda: array("f"))
        for one in requests:
            counts[one.endpoint, one.minute, one.deployment, one.status, one.model_status].append(one)
            latencies[one.endpoint, one.minute, one.deployment].append(one.milliseconds)
        rows = [(*key, *_sums(group)) for key, group in counts.items()]
        chunks = [(*key, values.tobytes()) for key, values in latencies.items()]
        with self._lock, self._db:
            self._db.executemany(_ADD_REQUESTS, rows)
            self._db.executemany("INSERT INTO latencies VALUES (?, ?, ?, ?)", chunks)

    def add_gauge(self, key: tuple[str, int, str, str, str, str], value: float) -> None:
        """`key`: endpoint, minute, deployment, instance, name, state."""
        with self._lock, self._db:
            self._db.execute(_ADD_GAUGE, (*key, value, value, value))

    def requests(self, endpoint: str, start: int, end: int) -> list[RequestRow]:
        """Minutes from `start` to before `end`."""
        rows = self._select(
            "SELECT minute, deployment, status, model_status, n, total_ms, min_ms, max_ms, bytes FROM requests"
            " WHERE endpoint=? AND minute>=? AND minute<?",
            (endpoint, start, end),
        )
        return [RequestRow(*row) for row in rows]

    def latencies(self, endpoint: str, start: int, end: int) -> dict[tuple[int, str], array[float]]:
        """Every latency by minute and deployment."""
        result: dict[tuple[int, str], array[float]] = defaultdict(lambda: array("f"))
        rows = self._select(
            "SELECT minute, deployment, milliseconds FROM latencies WHERE endpoint=? AND minute>=? AND minute<?",
            (endpoint, start, end),
        )
        for minute, deployment, chunk in rows:
            result[minute, deployment].frombytes(chunk)
        return result

    def gauges(self, endpoint: str, name: str, start: int, end: int) -> list[GaugeRow]:
        rows = self._select(
            "SELECT minute, deployment, instance, state, n, total, minimum, maximum FROM gauges"
            " WHERE endpoint=? AND name=? AND minute>=? AND minute<?",
            (endpoint, name, start, end),
        )
        return [GaugeRow(*row) for row in rows]

    def forget_before(self, minute: int) -> None:
        with self._lock, self._db:
            self._db.execute("DELETE FROM requests WHERE minute < ?", (minute,))
            self._db.execute("DELETE FROM latencies WHERE minute < ?", (minute,))
            self._db.execute("DELETE FROM gauges WHERE minute < ?", (minute,))

    def clear(self) -> None:
        with self._lock, self._db:
            self._db.execute("DELETE FROM requests")
            self._db.execute("DELETE FROM latencies")
            self._db.execute("DELETE FROM gauges")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _select(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def _sums(group: list[Request]) -> tuple[int, float, float, float, int]:
    times = [one.milliseconds for one in group]
    return len(group), sum(times), min(times), max(times), sum(one.bytes for one in group)
