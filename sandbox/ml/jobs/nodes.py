"""The nodes of the computes: a job that needs one waits in line, first come first served."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sandbox.arm.model import Resource
from sandbox.arm.state import ArmState
from sandbox.ml.jobs.book import JobFailed

#: Jobs at a time where no compute cluster says how many: serverless compute.
SERVERLESS_NODES = 2
_POLL = 0.1


class Nodes:
    """One line for each compute. A cluster has as many nodes as its maximum."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, deque[str]] = defaultdict(deque)

    def one(self, arm: ArmState, compute_id: str | None, job: str) -> AbstractAsyncContextManager[None]:
        """Hold a node of the compute; serverless without one."""
        return self.several(arm, compute_id, job, 1)

    @asynccontextmanager
    async def several(self, arm: ArmState, compute_id: str | None, job: str, count: int) -> AsyncIterator[None]:
        """Hold so many nodes, all or none; JobFailed when the compute never has as many."""
        line = self._lines[(compute_id or "").lower()]
        places = [f"{job}#{number}" for number in range(count)]
        line.extend(places)
        try:
            while line.index(places[-1]) >= (most := _count(arm.get(compute_id) if compute_id else None)):
                if count > most:
                    raise JobFailed(f"The job asks for {count} nodes, and its compute has {most} at most.")
                await asyncio.sleep(_POLL)
            yield
        finally:
            for place in places:
                line.remove(place)

    def reset(self) -> None:
        self._lines.clear()


def _count(compute: Resource | None) -> int:
    if compute is None:
        return SERVERLESS_NODES
    inner = compute.properties.get("properties") or {}
    return int((inner.get("scaleSettings") or {}).get("maxNodeCount") or 1)
