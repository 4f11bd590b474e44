"""Runs one command job: a node, its environment, the process, its outputs."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.ml.jobs import records
from sandbox.ml.jobs.book import JobBook, JobFailed, JobTimedOut
from sandbox.ml.jobs.environment import build_logged, environment_of
from sandbox.ml.jobs.nodes import Nodes
from sandbox.ml.jobs.process import run
from sandbox.ml.jobs.spec import CommandSpec
from sandbox.ml.jobs.variables import job_variables
from sandbox.ml.jobs.workdir import STD_LOG, Workdir

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.ml.state import MlState

log = logging.getLogger("sandbox.ml.jobs")
_LOG_SECONDS = 1.0


@dataclass(slots=True)
class CommandWork:
    """One run of a command, from the line for a node to its outputs in the blob service."""

    ml: MlState
    book: JobBook
    nodes: Nodes
    workspace: Resource
    job_id: str
    spec: CommandSpec
    workdir: Workdir
    sent: dict[str, int] = field(default_factory=dict)

    async def __call__(self) -> None:
        self.book.status(self.job_id, records.QUEUED)
        async with self.nodes.one(self.ml.arm, self.spec.compute_id, self.job_id):
            await self._work()

    async def _work(self) -> None:
        job = self.book.status(self.job_id, records.PREPARING)
        self.workdir.make()
        task = asyncio.current_task()
        follower = asyncio.create_task(self._follow(task))
        outputs: dict[str, str] = {}
        try:
            await self.book.start_run(self.workspace, self.job_id)
            python = await self._environment()
            await self.workdir.place_code(self.spec.code_id)
            inputs = await self.workdir.place_inputs(self.spec)
            outputs = self.workdir.place_outputs(self.spec)
            await self._execute(python, inputs, outputs)
        finally:
            follower.cancel()
            # Also of a job that failed or was canceled: Azure's outputs are mounted, so they are there at once.
            uris = {name: entry["uri"] for name, entry in (job.properties.get("outputs") or {}).items() if outputs}
            await asyncio.shield(self._keep(uris, outputs))

    async def _follow(self, task: asyncio.Task[None] | None) -> None:
        """Keeps the logs readable while the job runs; ends a job whose workspace or group was deleted."""
        while True:
            if self.book.find(self.job_id) is None:
                if task is not None:
                    task.cancel()
                return
            try:
                await self.workdir.keep_logs(self.sent)
            except OSError as error:
                log.warning("logs of job %s were not kept: %s", self.workdir.job, error)
            await asyncio.sleep(_LOG_SECONDS)

    async def _keep(self, uris: dict[str, str], paths: dict[str, str]) -> None:
        await self.workdir.keep_logs(self.sent)
        await self.workdir.keep_outputs(uris, paths)

    async def _environment(self) -> Path:
        return await build_logged(self.ml, await environment_of(self.ml, self.spec.environment_id), self.workdir)

    def _remember(self, process: dict[str, Any]) -> None:
        self.book.remember(self.job_id, process=process)

    async def _execute(self, python: Path, inputs: dict[str, str], outputs: dict[str, str]) -> None:
        job, spec = self.book.get(self.job_id), self.spec
        variables = job_variables(self.ml.sandbox, self.workspace, job, python, os.environ)
        variables |= {f"AZURE_ML_INPUT_{name}": value for name, value in inputs.items()}
        variables |= {f"AZURE_ML_OUTPUT_{name}": path for name, path in outputs.items()}
        command = spec.command_line(inputs, outputs)
        self.book.running(self.job_id)
        try:
            async with asyncio.timeout(spec.timeout):
                code = await run(
                    command, self.workdir.code, variables | dict(spec.variables), self.workdir.log(STD_LOG),
                    self._remember,
                )  # fmt: skip
        except TimeoutError as error:
            raise JobTimedOut(f"The job ran longer than its limit of {spec.timeout:g} s.") from error
        if code != 0:
            raise JobFailed(
                f"Execution failed. User process '{command.split()[0]}' exited with status code {code}. See {STD_LOG}."
            )
        self.book.status(self.job_id, records.FINALIZING)
