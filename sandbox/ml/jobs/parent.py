"""What pipelines and sweeps have in common: they take no node, and their work is other jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.ml.jobs import records
from sandbox.ml.jobs.workdir import Workdir

if TYPE_CHECKING:
    from sandbox.ml.jobs.runner import JobRunner, Spec
    from sandbox.ml.state import MlState


@dataclass(slots=True)
class Parent:
    """A job with children. `children` are those that are not over, by their tasks."""

    ml: MlState
    runner: JobRunner
    workspace: Resource
    job_id: str
    workdir: Workdir
    log: str
    children: dict[asyncio.Task[None], str] = field(default_factory=dict)

    async def begin(self) -> None:
        """The run in MLflow, then status Running."""
        book = self.runner.book
        book.status(self.job_id, records.PREPARING)
        self.workdir.log(self.log).parent.mkdir(parents=True, exist_ok=True)
        self.workdir.log(self.log).write_text("")
        await book.start_run(self.workspace, self.job_id)
        book.running(self.job_id)

    def start(self, name: str, properties: dict[str, Any], spec: Spec, **private: Any) -> None:
        """Begin a child."""
        above = self.runner.book.get(self.job_id)
        child = self.ml.arm.new(self.child_id(name))
        child.properties = records.complete(self.ml.sandbox.settings, name, properties)
        child.private = {"parent": above.name, "root": above.private.get("root") or above.name, **private}
        self.ml.arm.put(child)
        self.children[self.runner.submit(self.workspace, child, spec)] = name

    async def next(self, timeout: float | None = None) -> list[str]:
        """The names of children that have ended; waits for at least one, or for so many seconds."""
        done, _ = await asyncio.wait(self.children, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return [self.children.pop(task) for task in done]

    def child(self, name: str) -> Resource:
        return self.runner.book.get(self.child_id(name))

    def child_id(self, name: str) -> str:
        return f"{self.workspace.id}/jobs/{name}"

    async def cancel(self, names: Iterable[str], reason: str) -> None:
        """End these children, all at once."""
        jobs = [found for name in names if (found := self.runner.book.find(self.child_id(name))) is not None]
        await asyncio.gather(*(self.runner.cancel(job, reason) for job in jobs))

    async def leave(self, reason: str) -> None:
        """No child outlives its parent."""
        await self.cancel(list(self.children.values()), reason)
        self.children.clear()

    async def say(self, line: str) -> None:
        """Into the log that azure-ai-ml streams."""
        with self.workdir.log(self.log).open("a") as file:
            file.write(f"[{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}] {line}\n")
        await self.workdir.keep_log(self.log)
