"""What was asked and how it went: one record a request, shipped in batches, never in the way of an answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections import deque
from itertools import islice
from typing import Any

import aiohttp

log = logging.getLogger("sandbox.gateway")

SHIP_EVERY_SECONDS = 0.5
BATCH = 500
#: Records kept while the control process does not take them; later ones are counted as lost.
CAPACITY = 200_000

Record = dict[str, Any]


class AccessLog:
    """A bounded queue and the task that empties it to the control process."""

    def __init__(self, url: str, token: str, tls: ssl.SSLContext | None, capacity: int = CAPACITY) -> None:
        self._url, self._token, self._tls, self._capacity = url, token, tls, capacity
        self._queue: deque[Record] = deque()
        self._task: asyncio.Task[None] | None = None
        self.shipped = self.lost = 0
        self._failing = False

    @property
    def queued(self) -> int:
        return len(self._queue)

    def add(self, record: Record) -> None:
        if len(self._queue) >= self._capacity:
            self.lost += 1
        else:
            self._queue.append(record)

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            headers={"authorization": f"Bearer {self._token}", "content-type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=10),
        )
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ships what is left, if it is taken at once."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.ship()
        await self._session.close()

    async def ship(self) -> None:
        """Sends batches until the queue is empty or one is not taken; that one stays for the next time."""
        while self._queue:
            batch = list(islice(self._queue, BATCH))
            if not await self._post(json.dumps(batch).encode()):
                return
            for _ in batch:
                self._queue.popleft()
            self.shipped += len(batch)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SHIP_EVERY_SECONDS)
            await self.ship()

    async def _post(self, body: bytes) -> bool:
        try:
            async with self._session.post(self._url, data=body, ssl=self._tls or True) as response:
                taken, why = response.status < 300, f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            taken, why = False, str(error) or type(error).__name__
        if taken == self._failing:  # says it once, when it begins and when it ends
            log.warning("access records: %s", "taken again" if taken else f"not taken, kept: {why}")
        self._failing = not taken
        return taken
