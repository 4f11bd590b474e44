"""The logs: rows come in from every service, queries from the Log Analytics API. All times are policy time.

Every Log Analytics workspace of the sandbox shows all rows: the routing of diagnostic settings is not imitated.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from sandbox.kernel.context import Sandbox
from sandbox.logs import kql
from sandbox.logs.database import Answer, Database
from sandbox.logs.tables import OBJECTS, TABLES, check, complete

log = logging.getLogger("sandbox.logs")

#: Real seconds that rows wait for others, so that a busy endpoint makes few, large inserts.
_GATHER = 1.0
_MOST_WAITING = 5_000


class LogsState:
    """`insert` returns at once and may be called from any thread; what it was given is seen by every later query."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._database = Database(sandbox.home / "logs-db")
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logs")
        self._waiting: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows. `TimeGenerated` is policy epoch seconds or a datetime; columns left out are empty.

        ValueError for a table or column that isn't known (`tables.TABLES`).
        """
        made = list(rows)
        check(table, set().union(*made))
        for row in made:
            if not isinstance(row.get("TimeGenerated"), int | float | datetime):
                raise ValueError(f"a row of {table} needs TimeGenerated: epoch seconds or a datetime")
        with self._lock:
            self._waiting[table] += made
            many = sum(map(len, self._waiting.values())) >= _MOST_WAITING
            if self._timer is None and not many:
                self._timer = threading.Timer(_GATHER, self._submit)
                self._timer.daemon = True
                self._timer.start()
        if many:
            self._submit()

    async def query(self, text: str, customer_id: str, condition: str) -> Answer:
        """Run KQL over the rows that `condition` lets through (see `timespans.condition`); KqlError says what is wrong."""
        query = kql.prepare(text, tuple(TABLES), self._sandbox.clock.now(), OBJECTS)
        work = self._worker.submit(self._query, query, customer_id, condition)
        return await asyncio.wrap_future(work)

    async def stop(self) -> None:
        """Writes what is waiting."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.wrap_future(self._worker.submit(self._close))
        self._worker.shutdown(wait=False)

    async def reset(self) -> None:
        await asyncio.wrap_future(self._worker.submit(self._clear))

    def _submit(self) -> None:
        with self._lock:
            self._timer = None
        self._worker.submit(self._flush).add_done_callback(_complain)

    # In the worker thread

    def _flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
        for table, rows in waiting.items():
            whole = (complete(table, {**row, "TimeGenerated": _stamp(row["TimeGenerated"])}) for row in rows)
            self._database.insert(table, whole)

    def _query(self, query: kql.Query, customer_id: str, condition: str) -> Answer:
        self._flush()
        return self._database.query(query, customer_id, condition)

    def _clear(self) -> None:
        with self._lock:
            self._waiting.clear()
        self._database.clear()

    def _close(self) -> None:
        self._flush()
        self._database.close()


def _stamp(moment: float | datetime) -> str:
    """As the database reads it. What is quick comes first: this runs for every request."""
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    return moment.astimezone(UTC).isoformat(sep=" ").removesuffix("+00:00")


def _complain(work: Future[None]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        log.error("log rows were lost", exc_info=error)
