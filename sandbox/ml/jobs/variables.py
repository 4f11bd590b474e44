"""The environment variables of a job: its own Python, its run, the sandbox's addresses, nothing of the caller's shell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox

_KEPT = ("HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")
#: Of the sandbox's own variables, those that a job has no use for.
_LEFT_OUT = ("PULUMI_", "ARM_", "PATH")


def job_variables(
    sandbox: Sandbox, workspace: Resource, job: Resource, python: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """As Azure sets them, with the workspace's MLflow and the run that was begun for the job."""
    # Loaded when the first job runs, not when the sandbox starts.
    from sandbox.environment import explicit

    owner, private = parse(workspace.id), job.private
    experiment = str(job.properties.get("experimentName") or "Default")
    kept = {name: environ[name] for name in _KEPT if name in environ}
    reach = explicit(sandbox.home, sandbox.settings, {})
    kept |= {name: value for name, value in reach.items() if not name.startswith(_LEFT_OUT)}
    tools = environ.get("PATH", os.defpath)
    return kept | {
        "PATH": f"{python.parent}{os.pathsep}{tools}",
        "VIRTUAL_ENV": str(python.parent.parent),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_TRACKING_URI": sandbox.settings.url("mlflow"),
        "MLFLOW_RUN_ID": str(private["mlflowRunId"]),
        "MLFLOW_EXPERIMENT_NAME": experiment,
        "MLFLOW_EXPERIMENT_ID": str(private["experimentId"]),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "AZUREML_RUN_ID": job.name,
        "AZUREML_ROOT_RUN_ID": str(private.get("root") or job.name),
        "AZUREML_ARM_SUBSCRIPTION": owner.subscription,
        "AZUREML_ARM_RESOURCEGROUP": owner.group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_ARM_PROJECT_NAME": experiment,
        "AZUREML_EXPERIMENT_ID": str(private["experimentId"]),
        "AZUREML_WORKSPACE_ID": str(workspace.properties.get("workspaceId", "")),
    }
