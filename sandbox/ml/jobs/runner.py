"""Runs command jobs: queue, environment, process, outputs; each step visible in the job's status."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError
from sandbox.ml.conda import EnvironmentSpec
from sandbox.ml.envs import EnvironmentFailed
from sandbox.ml.events import RUN_COMPLETED, RUN_STATUS_CHANGED
from sandbox.ml.http import user_error
from sandbox.ml.jobs import records
from sandbox.ml.jobs.process import end_survivor, kill_group, run
from sandbox.ml.jobs.spec import CommandSpec
from sandbox.ml.jobs.variables import job_variables
from sandbox.ml.jobs.workdir import BUILD_LOG, STD_LOG, Workdir

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.ml.state import MlState

log = logging.getLogger("sandbox.ml.jobs")

#: Jobs at a time where no compute cluster says how many: serverless compute.
SERVERLESS_NODES = 2
_POLL = 0.1
_LOG_SECONDS = 1.0
_STOP_SECONDS = 5.0


class JobFailed(Exception):
    """The job can't go on; `code` is Azure's for whose fault it is."""

    def __init__(self, message: str, code: str = "UserError") -> None:
        super().__init__(message)
        self.code = code


class JobRunner:
    """All jobs of the sandbox; one task each while they are not over."""

    def __init__(self, ml: MlState) -> None:
        self._ml = ml
        self._root = ml.sandbox.home / "jobs"
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._reasons: dict[str, str] = {}
        self._lines: defaultdict[str, deque[str]] = defaultdict(deque)

    async def start(self) -> None:
        """Jobs that ran when the sandbox stopped have failed; their processes are ended."""
        for job in self._ml.arm.of_type(records.TYPE):
            if records.is_over(job):
                continue
            if "process" in job.private and end_survivor(job.private["process"]):
                log.info("ended the process of job %s", job.name)
            self._end(job.id, records.FAILED, "ServiceError", "The sandbox stopped while the job ran.")

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for name, task in self._tasks.items():
            self._reasons.setdefault(name, "The sandbox stopped while the job ran.")
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)

    def reset(self) -> None:
        for key, task in self._tasks.items():
            job = self._ml.arm.get(key)
            if job is not None and "process" in job.private:
                kill_group(job.private["process"]["pid"])
            task.cancel()
        self._lines.clear()
        shutil.rmtree(self._root, ignore_errors=True)

    def submit(self, workspace: Resource, job: Resource, spec: CommandSpec) -> None:
        """Begin; the job's document must be kept already."""
        task = asyncio.create_task(self._run(workspace, job.id, spec), name=f"job {job.name}")
        self._tasks[job.key] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.key, None))

    async def cancel(self, job: Resource) -> None:
        """End the job; returns when it has ended."""
        task = self._tasks.get(job.key)
        if task is None:
            return
        self._set(job.id, status=records.CANCEL_REQUESTED)
        self._reasons[job.key] = "canceled"
        task.cancel()
        await asyncio.wait([task])

    async def wait(self, job: Resource) -> None:
        """Until the job is over."""
        if (task := self._tasks.get(job.key)) is not None:
            await asyncio.wait([task])

    # One job

    async def _run(self, workspace: Resource, job_id: str, spec: CommandSpec) -> None:
        key = job_id.lower()
        try:
            async with self._slot(job_id, spec.compute_id):
                await self._work(workspace, job_id, spec)
        except asyncio.CancelledError:
            reason = self._reasons.pop(key, "canceled")
            if reason == "canceled":
                self._end(job_id, records.CANCELED, "UserError", "The job was canceled by its user.")
            else:
                self._end(job_id, records.FAILED, "ServiceError", reason)
        except JobFailed as error:
            self._end(job_id, records.FAILED, error.code, str(error))
        except TimeoutError:
            self._end(
                job_id, records.CANCELED, "UserError", f"The job ran longer than its limit of {spec.timeout:g} s."
            )
        except (AzureError, EnvironmentFailed, OSError) as error:
            self._end(job_id, records.FAILED, "UserError", str(error))
        except Exception as error:  # whatever went wrong, the job must end
            log.exception("job %s failed", job_id)
            self._end(job_id, records.FAILED, "ServiceError", f"{type(error).__name__}: {error}")
        else:
            self._end(job_id, records.COMPLETED)
        await asyncio.shield(self._after(workspace, job_id))

    async def _work(self, workspace: Resource, job_id: str, spec: CommandSpec) -> None:
        job = self._set(job_id, status=records.PREPARING)
        workdir = Workdir(self._ml, workspace, job.name, self._root / workspace.name / job.name)
        workdir.make()
        sent: dict[str, int] = {}
        follower = asyncio.create_task(self._follow(workdir, job_id, sent))
        outputs: dict[str, str] = {}
        try:
            await self._start_run(workspace, job_id, spec)
            python = await self._environment(workdir, spec)
            await workdir.place_code(spec.code_id)
            inputs = await workdir.place_inputs(spec)
            outputs = workdir.place_outputs(spec)
            await self._execute(workdir, job_id, spec, python, inputs, outputs)
        finally:
            follower.cancel()
            # Also of a job that failed or was canceled: Azure's outputs are mounted, so they are there at once.
            uris = {name: entry["uri"] for name, entry in (job.properties.get("outputs") or {}).items() if outputs}
            await asyncio.shield(self._keep(workdir, uris, outputs, sent))

    async def _follow(self, workdir: Workdir, job_id: str, sent: dict[str, int]) -> None:
        """Keeps the logs readable while the job runs; ends a job whose workspace or group was deleted."""
        while True:
            if self._ml.arm.get(job_id) is None:
                self._tasks[job_id.lower()].cancel()
                return
            try:
                await workdir.keep_logs(sent)
            except OSError as error:
                log.warning("logs of job %s were not kept: %s", workdir.job, error)
            await asyncio.sleep(_LOG_SECONDS)

    async def _keep(self, workdir: Workdir, uris: dict[str, str], paths: dict[str, str], sent: dict[str, int]) -> None:
        await workdir.keep_logs(sent)
        await workdir.keep_outputs(uris, paths)

    async def _start_run(self, workspace: Resource, job_id: str, spec: CommandSpec) -> None:
        experiment = await self._ml.mlflow.experiment_id(spec.experiment)
        tags = {"mlflow.source.type": "JOB", "azureml.jobName": parse(job_id).name, "azureml.workspace": workspace.name}
        job = self._existing(job_id)
        tags |= {key: str(value) for key, value in (job.properties.get("tags") or {}).items()}
        run_id, _ = await self._ml.mlflow.start_run(experiment, spec.display_name, tags)
        job = self._existing(job_id)
        job.private |= {"experimentId": experiment, "mlflowRunId": run_id}
        job.properties["services"] = records.services(self._ml.sandbox.settings, experiment, run_id)
        job.properties["properties"] = (job.properties.get("properties") or {}) | {"mlflow.runId": run_id}
        self._ml.arm.put(job)

    async def _environment(self, workdir: Workdir, spec: CommandSpec) -> Path:
        resource = await self._ml.asset(spec.environment_id.removeprefix("azureml:"))
        if resource is None:
            raise user_error(f"The environment '{spec.environment_id}' was not found.")
        conda = resource.properties.get("condaFile")
        wanted = EnvironmentSpec.from_conda(conda) if conda else EnvironmentSpec()
        builder, target = self._ml.environments, workdir.log(BUILD_LOG)
        try:
            return await builder.build(wanted)
        except EnvironmentFailed as error:
            raise JobFailed(str(error)) from error
        finally:
            if builder.log_file(wanted).exists():
                shutil.copyfile(builder.log_file(wanted), target)

    async def _execute(
        self, workdir: Workdir, job_id: str, spec: CommandSpec, python: Path, inputs: dict[str, str], outputs: dict[str, str]
    ) -> None:  # fmt: skip
        job = self._existing(job_id)
        variables = job_variables(self._ml.sandbox, workdir.workspace, job, python, os.environ)
        variables |= {f"AZURE_ML_INPUT_{name}": value for name, value in inputs.items()}
        variables |= {f"AZURE_ML_OUTPUT_{name}": path for name, path in outputs.items()}
        command = spec.command_line(inputs, outputs)
        job.private["startedAt"] = records.now()
        job.properties["status"] = records.RUNNING
        self._ml.arm.put(job)
        async with asyncio.timeout(spec.timeout):
            code = await run(
                command, workdir.code, variables | dict(spec.variables), workdir.log(STD_LOG),
                lambda record: self._remember(job_id, record),
            )  # fmt: skip
        if code != 0:
            raise JobFailed(
                f"Execution failed. User process '{command.split()[0]}' exited with status code {code}. See {STD_LOG}."
            )
        self._set(job_id, status=records.FINALIZING)

    def _remember(self, job_id: str, record: dict[str, Any]) -> None:
        job = self._existing(job_id)
        job.private["process"] = record
        self._ml.arm.put(job)

    async def _after(self, workspace: Resource, job_id: str) -> None:
        """MLflow and Event Grid hear how it ended."""
        job = self._ml.arm.get(job_id)
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

    # The queue

    @asynccontextmanager
    async def _slot(self, job_id: str, compute_id: str | None) -> AsyncIterator[None]:
        """A node of the compute, first come first served. A cluster has as many as its maximum."""
        name = parse(compute_id).name.lower() if compute_id else ""
        line = self._lines[(compute_id or "").lower()]
        line.append(job_id)
        try:
            self._set(job_id, status=records.QUEUED)
            while line.index(job_id) >= self._nodes(compute_id, name):
                await asyncio.sleep(_POLL)
            yield
        finally:
            line.remove(job_id)

    def _nodes(self, compute_id: str | None, name: str) -> int:
        compute = self._ml.arm.get(compute_id) if compute_id else None
        if compute is None:
            return SERVERLESS_NODES
        inner = compute.properties.get("properties") or {}
        return int((inner.get("scaleSettings") or {}).get("maxNodeCount") or 1)

    # The document

    def _existing(self, job_id: str) -> Resource:
        job = self._ml.arm.get(job_id)
        if job is None:
            raise JobFailed("The job was deleted.")
        return job

    def _set(self, job_id: str, *, status: str) -> Resource:
        job = self._existing(job_id)
        job.properties["status"] = status
        return self._ml.arm.put(job)

    def _end(self, job_id: str, status: str, code: str = "", message: str = "") -> None:
        job = self._ml.arm.get(job_id)
        if job is None:
            return
        job.properties["status"] = status
        job.private["endedAt"] = records.now()
        job.private.pop("process", None)
        if status != records.COMPLETED:
            job.private["error"] = {"code": code, "message": message}
            log.info("job %s: %s: %s", job.name, status, message)
        self._ml.arm.put(job)


def _event(job: Resource) -> dict[str, Any]:
    """The data of Azure's RunCompleted and RunStatusChanged events."""
    return {
        "experimentId": job.private.get("experimentId"),
        "experimentName": job.properties.get("experimentName"),
        "runId": job.name,
        "runType": "azureml.scriptrun",
        "runStatus": job.properties["status"],
        "runTags": job.properties.get("tags") or {},
        "runProperties": job.properties.get("properties") or {},
    }
