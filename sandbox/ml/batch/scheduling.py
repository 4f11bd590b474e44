"""Mini batches over workers: each is tried so often, then counted as failed; results are appended as they come."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.ml.batch.worker import InitFailed, Worker, WorkerFailed


class TooManyFailed(Exception):
    """More items failed than the job may lose."""


@dataclass(slots=True)
class Progress:
    """How far the job is. `failed_files` count against the error threshold."""

    batches: int
    files: int
    done: int = 0
    failed: int = 0
    failed_files: int = 0
    items: int = 0

    def line(self) -> str:
        return (
            f"{self.done} of {self.batches} mini batches processed, {self.failed} failed;"
            f" {self.failed_files} of {self.files} files failed; {self.items} items"
        )


def mini_batches(files: Sequence[Path], size: int) -> list[list[str]]:
    return [[str(each) for each in files[at : at + size]] for at in range(0, len(files), size)]


@dataclass(slots=True)
class Scheduler:
    """Runs all mini batches of a job. `output`: the file that results are appended to; none with summary only."""

    workers: Sequence[Worker]
    batches: list[list[str]]
    retries: int
    timeout: float
    error_threshold: int
    output: Path | None
    scratch: Path
    tell: Callable[[str], Awaitable[None]]
    progress: Progress = field(init=False)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.progress = Progress(len(self.batches), sum(map(len, self.batches)))

    async def run(self) -> Progress:
        """InitFailed, TooManyFailed; whatever ends it, no worker outlives it."""
        line: asyncio.Queue[tuple[int, list[str]]] = asyncio.Queue()
        for entry in enumerate(self.batches):
            line.put_nowait(entry)
        await self.tell(self.progress.line())
        try:
            async with asyncio.TaskGroup() as group:
                for number, worker in enumerate(self.workers):
                    group.create_task(self._work(number, worker, line))
        except BaseExceptionGroup as group_error:
            raise group_error.exceptions[0] from None
        finally:
            await asyncio.gather(*(worker.stop() for worker in self.workers))
        return self.progress

    async def _work(self, number: int, worker: Worker, line: asyncio.Queue[tuple[int, list[str]]]) -> None:
        while not line.empty():
            index, files = line.get_nowait()
            await self._one(worker, index, files, self.scratch / f"result-{number}")
            await self.tell(self.progress.line())
            if 0 <= self.error_threshold < self.progress.failed_files:
                raise TooManyFailed(
                    f"{self.progress.failed_files} files failed, more than the error threshold of {self.error_threshold}"
                )

    async def _one(self, worker: Worker, index: int, files: list[str], result: Path) -> None:
        for attempt in range(1, self.retries + 2):
            try:
                items = await worker.score(files, result, self.timeout)
            except InitFailed:
                raise
            except WorkerFailed as error:
                await self.tell(f"mini batch {index}, try {attempt} of {self.retries + 1}: {error}")
                continue
            await self._append(result)
            self.progress.done += 1
            self.progress.items += items
            # Fewer results than files: so many of them failed, as Azure counts.
            self.progress.failed_files += max(0, len(files) - items)
            return
        self.progress.done += 1
        self.progress.failed += 1
        self.progress.failed_files += len(files)

    async def _append(self, result: Path) -> None:
        """Only of a mini batch that succeeded, so no try leaves half of its rows."""
        async with self._writing:
            if self.output is not None:
                await asyncio.to_thread(_copy, result, self.output)
            result.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("ab") as write:
        shutil.copyfileobj(read, write)
