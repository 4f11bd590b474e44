"""Microsoft.MachineLearningServices: workspaces and compute. What is served in a workspace is `sandbox.ml`'s."""

from __future__ import annotations

from sandbox.arm.catalogue.common import made_once, new_guid, now, one_of, private_keys, versions
from sandbox.arm.checks import check_references, value_at
from sandbox.arm.model import Action, Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

WORKSPACE = "Microsoft.MachineLearningServices/workspaces"
VERSIONS = versions(
    "2021-07-01 2022-01-01-preview 2022-02-01-preview 2022-05-01 2022-06-01-preview 2022-10-01 2022-10-01-preview"
    " 2022-12-01-preview 2023-02-01-preview 2023-04-01 2023-04-01-preview 2023-06-01-preview 2023-08-01-preview 2023-10-01"
    " 2024-01-01-preview 2024-04-01 2024-04-01-preview 2024-07-01-preview 2024-10-01 2024-10-01-preview 2025-01-01-preview"
    " 2025-04-01 2025-04-01-preview 2025-06-01 2025-07-01-preview 2025-09-01 2025-10-01-preview 2025-12-01"
    " 2026-01-15-preview 2026-03-01 2026-03-15-preview 2026-05-01 2026-05-15-preview"
)
_COMPUTE_TYPES = (
    "AmlCompute", "ComputeInstance", "Kubernetes", "AKS", "VirtualMachine", "HDInsight", "DataFactory", "Databricks",
    "DataLakeAnalytics", "SynapseSpark",
)  # fmt: skip
_KINDS = ("Default", "Hub", "Project", "FeatureStore")


# Workspaces


def _validate_workspace(change: Change) -> None:
    one_of(change, "kind", change.resource.kind or "Default", _KINDS)
    if not (change.resource.identity or {}).get("type"):
        raise AzureError(400, "BadRequest", "The workspace needs an identity: 'identity.type' is missing.")
    references = ("storageAccount", "keyVault", "applicationInsights", "containerRegistry")
    if (change.resource.kind or "Default") == "Default":
        for name in references[:3]:
            if not change.resource.properties.get(name):
                raise AzureError(
                    400, "ValidationError", f"Missing dependent resource: 'properties.{name}' is required."
                )
    check_references(change, references)


def _before_workspace(change: Change) -> None:
    private_keys(change, ("userStorageKey",))
    made_once(change, workspaceId=new_guid, creationTime=now)
    change.resource.kind = change.resource.kind or "Default"
    change.resource.sku = change.resource.sku or {"name": "Basic", "tier": "Basic"}


def _computed_workspace(workspace: Resource, view: View) -> Json:
    settings = view.sandbox.settings
    discovery = f"https://{workspace.location}.api.azureml.ms" if view.public else settings.url("ml")
    identity = workspace.properties["workspaceId"]
    return {
        "discoveryUrl": f"{discovery}/discovery",
        # azureml-mlflow is not needed: MLflow's own client follows a plain address.
        "mlFlowTrackingUri": settings.url("mlflow"),
        "tenantId": settings.tenant_id,
        "friendlyName": workspace.properties.get("friendlyName") or workspace.name,
        "privateLinkCount": 0,
        "privateEndpointConnections": [],
        "storageHnsEnabled": _has_hns(workspace, view),
        "notebookInfo": {
            "resourceId": identity.replace("-", ""),
            "fqdn": f"ml-{workspace.name}-{workspace.location}-{identity}.{workspace.location}.notebooks.azure.net",
            "isPrivateLinkEnabled": False,
        },
    }


def _has_hns(workspace: Resource, view: View) -> bool:
    account = view.arm.get(str(workspace.properties.get("storageAccount", "")))
    return bool(account and account.properties.get("isHnsEnabled"))


async def _workspace_keys(action: Action) -> Json:
    account = action.arm.get(str(action.resource.properties.get("storageAccount", "")))
    insights = action.arm.get(str(action.resource.properties.get("applicationInsights", "")))
    registry = action.arm.get(str(action.resource.properties.get("containerRegistry", "")))
    keys: Json = {
        "userStorageResourceId": account.id if account else None,
        "userStorageKey": account.private["keys"]["key1"] if account else None,
        "appInsightsInstrumentationKey": insights.properties["InstrumentationKey"] if insights else None,
    }
    if registry is not None:
        passwords = [{"name": name, "value": value} for name, value in registry.private["keys"].items()]
        location = f"{registry.name.lower()}.azurecr.io"
        keys["containerRegistryCredentials"] = {"location": location, "username": registry.name, "passwords": passwords}
    return keys


# Compute


def _validate_compute(change: Change) -> None:
    kind = change.resource.properties.get("computeType")
    one_of(change, "properties.computeType", kind, _COMPUTE_TYPES)
    scale = value_at(change.resource.properties, "properties.scaleSettings")
    if kind != "AmlCompute" or scale is None:
        return
    low, high = scale.get("minNodeCount", 0), scale.get("maxNodeCount")
    if not isinstance(high, int) or not isinstance(low, int) or not 0 <= low <= high:
        raise AzureError(
            400,
            "BadArgument",
            f"'scaleSettings' of '{change.resource.name}': minNodeCount is {low} and maxNodeCount is {high}; allowed:"
            " 0 <= minNodeCount <= maxNodeCount.",
        )


def _before_compute(change: Change) -> None:
    made_once(change, createdOn=now)
    change.resource.properties["modifiedOn"] = now()


def _computed_compute(compute: Resource, view: View) -> Json:
    inner = dict(compute.properties.get("properties") or {})
    if compute.properties["computeType"] == "AmlCompute":
        scale = inner.get("scaleSettings") or {}
        nodes = scale.get("minNodeCount", 0)
        inner |= {
            "allocationState": "Steady",
            "allocationStateTransitionTime": compute.system_data.get("lastModifiedAt"),
            "currentNodeCount": nodes,
            "targetNodeCount": nodes,
            "nodeStateCounts": {
                "idleNodeCount": nodes,
                "runningNodeCount": 0,
                "preparingNodeCount": 0,
                "unusableNodeCount": 0,
                "leavingNodeCount": 0,
                "preemptedNodeCount": 0,
            },
            "errors": [],
        }
    return {"properties": inner, "isAttachedCompute": False, "computeLocation": compute.location}


def _asset(path: str) -> ResourceType:
    return ResourceType(name=f"{WORKSPACE}/{path}", versions=VERSIONS, location="none", provisioned=False)


TYPES = (
    ResourceType(
        name=WORKSPACE,
        versions=VERSIONS,
        long=True,
        name_rule=(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}", "3-33 letters, digits, - and _, starting with a letter or digit"),
        immutable=("properties.storageAccount", "properties.keyVault", "properties.hbiWorkspace"),
        defaults={
            "hbiWorkspace": False,
            "publicNetworkAccess": "Enabled",
            "v1LegacyMode": False,
            "managedNetwork": {"isolationMode": "Disabled"},
        },
        validate=_validate_workspace,
        before_put=_before_workspace,
        computed=_computed_workspace,
        actions={"listKeys": _workspace_keys},
    ),
    ResourceType(
        name=f"{WORKSPACE}/computes",
        versions=VERSIONS,
        long=True,
        location="parent",
        name_rule=(r"[a-zA-Z](?:-?[a-zA-Z0-9]){1,31}", "2-32 letters, digits and dashes, starting with a letter"),
        immutable=("properties.computeType", "properties.properties.vmSize"),
        validate=_validate_compute,
        before_put=_before_compute,
        computed=_computed_compute,
    ),
    _asset("connections"),
    _asset("schedules"),
    ResourceType(name="Microsoft.MachineLearningServices/registries", versions=VERSIONS, long=True),
)
