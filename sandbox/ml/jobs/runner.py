"""All jobs of the sandbox: one task each while they are not over; each step visible in the job's status."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError
from sandbox.ml.batch.spec import BatchSpec
from sandbox.ml.batch.work import BatchWork
from sandbox.ml.envs import EnvironmentFailed
from sandbox.ml.events import RUN_COMPLETED, RUN_STATUS_CHANGED
from sandbox.ml.jobs import records
from sandbox.ml.jobs.book import JobBook, JobFailed, JobTimedOut
from sandbox.ml.jobs.command import CommandWork
from sandbox.ml.jobs.nodes import Nodes
from sandbox.ml.jobs.pipeline import PipelineWork
from sandbox.ml.jobs.pipeline_plan import PipelinePlan
from sandbox.ml.jobs.process import end_survivor, kill_group
from sandbox.ml.jobs.registering import register_outputs
from sandbox.ml.jobs.spec import CommandSpec
from sandbox.ml.jobs.sweep import SweepWork
from sandbox.ml.jobs.sweep_spec import SweepSpec
from sandbox.ml.jobs.workdir import Workdir

if TYPE_CHECKING:
    from sandbox.ml.state import MlState

log = logging.getLogger("sandbox.ml.jobs")

Spec = BatchSpec | CommandSpec | PipelinePlan | SweepSpec
_STOP_SECONDS = 5.0
_STOPPED = "The sandbox stopped while the job ran."


class JobRunner:
    """Starts, cancels and ends jobs. What a kind of job does is its work's: `command`, `batch`, `pipeline`, `sweep`."""

    def __init__(self, ml: MlState) -> None:
        self._ml = ml
        self._root = ml.sandbox.home / "jobs"
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reasons: dict[str, str] = {}
        self._nodes = Nodes()
        self.book = JobBook(ml)

    async def start(self) -> None:
        """Jobs that ran when the sandbox stopped have failed; their processes are ended."""
        for job in self._ml.arm.of_type(records.TYPE):
            if records.is_over(job):
                continue
            if "process" in job.private and end_survivor(job.private["process"]):
                log.info("ended the process of job %s", job.name)
            self.book.end(job.id, records.FAILED, "ServiceError", _STOPPED)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for name in self._tasks:
            self._reasons.setdefault(name, _STOPPED)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)

    def reset(self) -> None:
        for key, task in self._tasks.items():
            job = self._ml.arm.get(key)
            if job is not None and "process" in job.private:
                kill_group(job.private["process"]["pid"])
            task.cancel()
        self._nodes.reset()
        shutil.rmtree(self._root, ignore_errors=True)

    def submit(self, workspace: Resource, job: Resource, spec: Spec) -> asyncio.Task[None]:
        """Begin; the job's document must be kept already. The task never raises: the document says how it ended."""
        work = self._work(workspace, job.id, job.name, spec)
        task = asyncio.create_task(self._run(workspace, job.id, work), name=f"job {job.name}")
        self._tasks[job.key] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.key, None))
        return task

    def workdir(self, workspace: Resource, name: str) -> Workdir:
        return Workdir(self._ml, workspace, name, self._root / workspace.name / name)

    def _work(self, workspace: Resource, job_id: str, name: str, spec: Spec) -> Callable[[], Awaitable[None]]:
        workdir = self.workdir(workspace, name)
        match spec:
            case BatchSpec():
                return BatchWork(self._ml, self.book, self._nodes, workspace, job_id, spec, workdir)
            case CommandSpec():
                return CommandWork(self._ml, self.book, self._nodes, workspace, job_id, spec, workdir)
            case PipelinePlan():
                return PipelineWork(self._ml, self, workspace, job_id, spec, workdir)
            case SweepSpec():
                return SweepWork(self._ml, self, workspace, job_id, spec, workdir)

    async def cancel(self, job: Resource, reason: str = "The job was canceled by its user.") -> None:
        """End the job, and with it its children; returns when it has ended."""
        task = self._tasks.get(job.key)
        if task is None:
            return
        if job.key not in self._reasons:
            self._reasons[job.key] = reason
            self.book.status(job.id, records.CANCEL_REQUESTED)
            task.cancel()
        await asyncio.wait([task])

    async def wait(self, job: Resource) -> None:
        """Until the job is over."""
        if (task := self._tasks.get(job.key)) is not None:
            await asyncio.wait([task])

    # One job

    async def _run(self, workspace: Resource, job_id: str, work: Callable[[], Awaitable[None]]) -> None:
        key = job_id.lower()
        try:
            await work()
            await register_outputs(self._ml, workspace, self.book.get(job_id))
        except asyncio.CancelledError:
            reason = self._reasons.get(key, "The job's workspace was deleted.")
            if reason == _STOPPED:
                self.book.end(job_id, records.FAILED, "ServiceError", reason)
            else:
                self.book.end(job_id, records.CANCELED, "UserError", reason)
        except JobFailed as error:
            self.book.end(job_id, records.FAILED, error.code, str(error))
        except JobTimedOut as error:
            self.book.end(job_id, records.CANCELED, "UserError", str(error))
        except (AzureError, EnvironmentFailed, OSError) as error:
            self.book.end(job_id, records.FAILED, "UserError", str(error))
        except Exception as error:  # whatever went wrong, the job must end
            log.exception("job %s failed", job_id)
            self.book.end(job_id, records.FAILED, "ServiceError", f"{type(error).__name__}: {error}")
        else:
            self.book.end(job_id, records.COMPLETED)
        finally:
            self._reasons.pop(key, None)
        await asyncio.shield(self._after(workspace, job_id))

    async def _after(self, workspace: Resource, job_id: str) -> None:
        """MLflow and Event Grid hear how it ended."""
        job = self.book.find(job_id)
        if job is None:
            return
        if run_id := job.private.get("mlflowRunId"):
            try:
                await self._ml.mlflow.end_run(run_id, records.MLFLOW_STATUS[job.properties["status"]])
            except AzureError as error:
                log.warning("run %s of job %s was not ended in MLflow: %s", run_id, job.name, error)
        kind = {records.COMPLETED: RUN_COMPLETED, records.FAILED: RUN_STATUS_CHANGED}.get(job.properties["status"])
        if kind is not None:
            subject = f"experiments/{job.private.get('experimentId')}/runs/{job.name}"
            self._ml.events.announce(workspace, kind, subject, _event(job))


def _event(job: Resource) -> dict[str, Any]:
    """The data of Azure's RunCompleted and RunStatusChanged events."""
    return {
        "experimentId": job.private.get("experimentId"),
        "experimentName": job.properties.get("experimentName"),
        "runId": job.name,
        "runType": records.run_type(job),
        "runStatus": job.properties["status"],
        "runTags": job.properties.get("tags") or {},
        "runProperties": job.properties.get("properties") or {},
    }
