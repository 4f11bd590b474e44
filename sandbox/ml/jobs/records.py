"""A job's document: statuses as Azure names them, and what the run history tells of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sandbox.arm.model import Resource
from sandbox.kernel.settings import Settings
from sandbox.ml.assets import drop_nulls
from sandbox.ml.datastores import BLOB_STORE
from sandbox.ml.http import PROVIDER
from sandbox.ml.jobs.workdir import default_output

TYPE = f"{PROVIDER}/workspaces/jobs"
NOT_STARTED, QUEUED, PREPARING, RUNNING = "NotStarted", "Queued", "Preparing", "Running"
FINALIZING, COMPLETED, FAILED, CANCELED = "Finalizing", "Completed", "Failed", "Canceled"
CANCEL_REQUESTED = "CancelRequested"
COMMAND, PIPELINE, SWEEP = "Command", "Pipeline", "Sweep"
_RUN_TYPES = {COMMAND: "azureml.scriptrun", PIPELINE: "azureml.PipelineRun", SWEEP: "hyperdrive"}
ENDED = frozenset({COMPLETED, FAILED, CANCELED})
#: MLflow's word for how a run ended.
MLFLOW_STATUS = {COMPLETED: "FINISHED", FAILED: "FAILED", CANCELED: "KILLED"}
#: What a job's owner may change after it was submitted.
CHANGEABLE = ("displayName", "description", "tags", "properties", "isArchived")


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def is_over(job: Resource) -> bool:
    return job.properties.get("status") in ENDED


def services(settings: Settings, experiment_id: str | None, run_id: str | None) -> dict[str, Any]:
    """Links to the run in MLflow; azure-ai-ml appends `&tid=...` to Studio's, so it ends in a query."""
    tracking = settings.url("mlflow")
    made = {"Tracking": {"jobServiceType": "Tracking", "endpoint": tracking, "status": "Running", "properties": {}}}
    if run_id:
        studio = f"{tracking}/#/experiments/{experiment_id}/runs/{run_id}?"
        made["Studio"] = {"jobServiceType": "Studio", "endpoint": studio, "status": "Running", "properties": {}}
    return made


def run_document(job: Resource) -> dict[str, Any]:
    """The job as the run history's `Run`."""
    properties, private = job.properties, job.private
    error = private.get("error")
    return {
        "runId": job.name,
        "rootRunId": private.get("root") or job.name,
        "parentRunId": private.get("parent"),
        "status": properties["status"],
        "displayName": properties.get("displayName") or job.name,
        "description": properties.get("description"),
        "experimentId": private.get("experimentId"),
        "runType": run_type(job),
        "createdUtc": job.system_data.get("createdAt"),
        "startTimeUtc": private.get("startedAt"),
        "endTimeUtc": private.get("endedAt"),
        "tags": properties.get("tags") or {},
        "properties": properties.get("properties") or {},
        "hidden": bool(properties.get("isArchived")),
        "error": {"error": error} if error else None,
        "warnings": [],
        "outputs": {
            name: {"assetId": output_asset(job, name), "type": str(output.get("jobOutputType") or "uri_folder")}
            for name, output in (properties.get("outputs") or {}).items()
        },
    }


def run_type(job: Resource) -> str:
    """The run history's word for what the job is."""
    if "step" in job.private:
        return "azureml.StepRun"
    return _RUN_TYPES[job.properties["jobType"]]


def complete(settings: Settings, name: str, properties: dict[str, Any], datastore: str = BLOB_STORE) -> dict[str, Any]:
    """A new job's document: what was asked for, with the service's defaults and a place for each output."""
    outputs = {
        key: {"description": None, "mode": "ReadWriteMount", **drop_nulls(value or {})}
        for key, value in (properties.get("outputs") or {}).items()
    }
    for key, output in outputs.items():
        output["uri"] = output.get("uri") or default_output(name, key, datastore)
    kind = properties["jobType"]
    own = {"limits": {"jobLimitsType": kind}} if kind != PIPELINE else {}
    if kind == COMMAND:
        own["resources"] = {"instanceCount": 1, "properties": {}}
    return {
        "displayName": name, "experimentName": "Default",
        "tags": {}, "properties": {}, "inputs": {}, "isArchived": False, **own, **properties,
        "outputs": outputs, "status": NOT_STARTED, "services": services(settings, None, None),
    }  # fmt: skip


def output_asset(job: Resource, name: str) -> str:
    """The id of the data asset that stands for an output."""
    return f"azureml://{job.id.lstrip('/')}/outputs/{name}"
