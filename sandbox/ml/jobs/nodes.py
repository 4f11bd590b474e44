"""The nodes of the computes: a job that needs one waits in line, first come first served."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.arm.model import Resource
from sandbox.arm.state import ArmState

#: Jobs at a time where no compute cluster says how many: serverless compute.
SERVERLESS_NODES = 2
_POLL = 0.1


class Nodes:
    """One line for each compute. A cluster has as many nodes as its maximum."""

    def __init__(self) -> None:
        self._lines: defaultdict[str, deque[str]] = defaultdict(deque)

    @asynccontextmanager
    async def one(self, arm: ArmState, compute_id: str | None, job: str) -> AsyncIterator[None]:
        """Hold a node of the compute; serverless without one."""
        line = self._lines[(compute_id or "").lower()]
        line.append(job)
        try:
            while line.index(job) >= _count(arm.get(compute_id) if compute_id else None):
                await asyncio.sleep(_POLL)
            yield
        finally:
            line.remove(job)

    def reset(self) -> None:
        self._lines.clear()


def _count(compute: Resource | None) -> int:
    if compute is None:
        return SERVERLESS_NODES
    inner = compute.properties.get("properties") or {}
    return int((inner.get("scaleSettings") or {}).get("maxNodeCount") or 1)
