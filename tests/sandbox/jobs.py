"""What the tests of jobs share: environments that are cheap to build, code, and waiting."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.sandbox.ml_workspace import MlWorkspace

ENDED = ("Completed", "Failed", "Canceled")
#: Nothing to install, so it is built in a moment.
BARE = "dependencies:\n- python=3.11\n"


def environment(folder: Path, name: str = "bare", conda: str = BARE) -> Any:
    """An environment for azure-ai-ml; its conda file goes into `folder`."""
    from azure.ai.ml.entities import Environment

    file = folder / f"{name}.yaml"
    file.write_text(conda)
    return Environment(name=name, image="ubuntu", conda_file=str(file))


def status_of(ws: MlWorkspace, name: str) -> str:
    """The SDK gives an enum, whose text is not its value."""
    status = ws.client.jobs.get(name).status
    return str(getattr(status, "value", status))


def until(ws: MlWorkspace, name: str, *statuses: str, seconds: float = 90) -> str:
    deadline = time.monotonic() + seconds
    while (status := status_of(ws, name)) not in statuses:
        assert time.monotonic() < deadline, f"{name} is still {status}"
        assert status not in ENDED, f"{name} ended {status}: {run(ws, name)['error']}"
        time.sleep(0.1)
    return status


def run(ws: MlWorkspace, name: str, part: str = "") -> dict[str, Any]:
    """What the run history tells of a job."""
    url = f"{ws.sandbox.settings.url('ml')}/history/v1.0{ws.id}/runs/{name}{part}"
    return dict(ws.session.get(url, timeout=10).json())


def children(ws: MlWorkspace, name: str) -> dict[str, Any]:
    """The job's children by display name, which is a step's node."""
    return {each.display_name: each for each in ws.client.jobs.list(parent_job_name=name)}


def mlflow_run(ws: MlWorkspace, run_id: str) -> dict[str, Any]:
    """A run as MLflow keeps it: `info`, and `data` with its tags as a mapping."""
    import requests

    url = f"{ws.sandbox.settings.url('mlflow')}/api/2.0/mlflow/runs/get"
    found = dict(requests.get(url, params={"run_id": run_id}, timeout=10).json()["run"])
    found["tags"] = {each["key"]: each["value"] for each in found["data"].get("tags", [])}
    return found


def pool(ws: MlWorkspace, name: str, nodes: int) -> str:
    """A cluster with so many nodes."""
    scale = {"minNodeCount": 0, "maxNodeCount": nodes, "nodeIdleTimeBeforeScaleDown": "PT120S"}
    inner = {"vmSize": "Standard_DS2_v2", "scaleSettings": scale}
    body = {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": inner}}
    answer = ws.rest("PUT", f"/computes/{name}", body)
    assert answer.status_code in (200, 201), answer.text
    return name
