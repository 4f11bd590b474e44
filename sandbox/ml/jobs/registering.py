"""Outputs that have a name become data assets and models when their job has completed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.ml.assets import DATA, container_properties, refuse_change
from sandbox.ml.events import MODEL_REGISTERED
from sandbox.ml.model_routes import model_event

if TYPE_CHECKING:
    from sandbox.ml.state import MlState

_MODELS = ("custom_model", "mlflow_model", "triton_model")


async def register_outputs(ml: MlState, workspace: Resource, job: Resource) -> None:
    """AzureError when the version is there already, with other content."""
    for output in (job.properties.get("outputs") or {}).values():
        if not output.get("assetName"):
            continue
        if output["jobOutputType"] in _MODELS:
            output["assetVersion"] = await _model(ml, workspace, job, output)
        else:
            output["assetVersion"] = _data(ml, workspace, output)
        ml.arm.put(job)


async def _model(ml: MlState, workspace: Resource, job: Resource, output: dict[str, Any]) -> str:
    name = output["assetName"]
    version = str(output.get("assetVersion") or await ml.models.next_version(workspace, name))
    properties = {"modelUri": output["uri"], "modelType": output["jobOutputType"], "jobName": job.name}
    if await ml.models.save(workspace, name, version, properties):
        found = await ml.models.get(workspace, name, version)
        ml.events.announce(workspace, MODEL_REGISTERED, f"models/{name}:{version}", model_event(found))
    return version


def _data(ml: MlState, workspace: Resource, output: dict[str, Any]) -> str:
    container = f"{workspace.id}/data/{output['assetName']}"
    following = container_properties(ml.arm.children(container, f"{DATA.type}/versions"))["nextVersion"]
    version = str(output.get("assetVersion") or following)
    properties = {"dataUri": output["uri"], "dataType": output["jobOutputType"]}
    old = ml.arm.get(f"{container}/versions/{version}")
    if old is not None:
        refuse_change(DATA, old.properties, properties, output["assetName"], version)
        return version
    if ml.arm.get(container) is None:
        ml.arm.put(ml.arm.new(container))
    made = ml.arm.new(f"{container}/versions/{version}")
    made.properties = {**DATA.defaults, **properties, "provisioningState": "Succeeded"}
    ml.arm.put(made)
    return version
