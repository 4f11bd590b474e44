"""The book of all jobs: what happened to one is written into its document, and nowhere else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.ml.jobs import records

if TYPE_CHECKING:
    from sandbox.ml.state import MlState

log = logging.getLogger("sandbox.ml.jobs")


class JobFailed(Exception):
    """The job can't go on; `code` is Azure's for whose fault it is."""

    def __init__(self, message: str, code: str = "UserError") -> None:
        super().__init__(message)
        self.code = code


class JobTimedOut(Exception):
    """The job reached a limit of its own and was stopped; the message says which."""


class JobBook:
    """Reads and writes job documents; each write is kept at once."""

    def __init__(self, ml: MlState) -> None:
        self._ml = ml

    def find(self, job_id: str) -> Resource | None:
        return self._ml.arm.get(job_id)

    def get(self, job_id: str) -> Resource:
        """JobFailed when the job was deleted, with its workspace or by itself."""
        job = self.find(job_id)
        if job is None:
            raise JobFailed("The job was deleted.")
        return job

    def status(self, job_id: str, status: str) -> Resource:
        job = self.get(job_id)
        job.properties["status"] = status
        return self._ml.arm.put(job)

    def running(self, job_id: str) -> Resource:
        """From here on the job's own work counts."""
        job = self.get(job_id)
        job.private["startedAt"] = records.now()
        job.properties["status"] = records.RUNNING
        return self._ml.arm.put(job)

    def remember(self, job_id: str, **private: Any) -> Resource:
        """Keep what is nobody else's business."""
        job = self.get(job_id)
        job.private |= private
        return self._ml.arm.put(job)

    def note(self, job_id: str, **properties: str) -> Resource:
        """Add to the job's `properties.properties`."""
        job = self.get(job_id)
        job.properties["properties"] = (job.properties.get("properties") or {}) | properties
        return self._ml.arm.put(job)

    def end(self, job_id: str, status: str, code: str = "", message: str = "") -> None:
        job = self.find(job_id)
        if job is None:
            return
        job.properties["status"] = status
        job.private["endedAt"] = records.now()
        job.private.pop("process", None)
        if status != records.COMPLETED:
            job.private["error"] = {"code": code, "message": message}
            log.info("job %s: %s: %s", job.name, status, message)
        self._ml.arm.put(job)

    async def start_run(self, workspace: Resource, job_id: str) -> None:
        """Begin the job's run in MLflow, below its parent's, and link to it."""
        mlflow, job = self._ml.mlflow, self.get(job_id)
        experiment = await mlflow.experiment_id(job.properties["experimentName"])
        tags = {"mlflow.source.type": "JOB", "azureml.jobName": job.name, "azureml.workspace": workspace.name}
        if parent := job.private.get("parent"):
            tags |= self._above(workspace, parent)
        tags |= {key: str(value) for key, value in (job.properties.get("tags") or {}).items()}
        run_id, _ = await mlflow.start_run(experiment, job.properties["displayName"], tags)
        job = self.remember(job_id, experimentId=experiment, mlflowRunId=run_id)
        job.properties["services"] = records.services(self._ml.sandbox.settings, experiment, run_id)
        self._ml.arm.put(job)
        self.note(job_id, **{"mlflow.runId": run_id})

    def _above(self, workspace: Resource, parent: str) -> dict[str, str]:
        """The tags by which MLflow nests a run."""
        above = self.get(f"{workspace.id}/jobs/{parent}").private
        root = self.get(f"{workspace.id}/jobs/{above.get('root') or parent}").private
        return {"mlflow.parentRunId": above["mlflowRunId"], "mlflow.rootRunId": root["mlflowRunId"]}
