"""Microsoft.MachineLearningServices: workspaces and compute. What is served in a workspace is `sandbox.ml`'s."""

from __future__ import annotations

from sandbox.arm.catalogue.common import made_once, new_guid, now, one_of, private_keys, versions
from sandbox.arm.catalogue.kubernetes_ml import validate_attached
from sandbox.arm.catalogue.private_link import connections_to
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
_STRICTEST = "AllowOnlyApprovedOutbound"
_ISOLATION = ("Disabled", "AllowInternetOutbound", _STRICTEST)
_KINDS = ("Default", "Hub", "Project", "FeatureStore")


# Workspaces


def _validate_workspace(change: Change) -> None:
    one_of(change, "kind", change.resource.kind or "Default", _KINDS)
    if not (change.resource.identity or {}).get("type"):
        raise AzureError(400, "BadRequest", "The workspace needs an identity: 'identity.type' is missing.")
    references = ("storageAccount", "keyVault", "applicationInsights", "containerRegistry")
    if (change.resource.kind or "Default") in ("Default", "FeatureStore"):
        for name in references[:3]:
            if not change.resource.properties.get(name):
                raise AzureError(
                    400, "ValidationError", f"Missing dependent resource: 'properties.{name}' is required."
                )
    check_references(change, references)
    _validate_features(change)
    _validate_isolation(change)
    _validate_encryption(change)


def _validate_features(change: Change) -> None:
    settings = change.resource.properties.get("featureStoreSettings")
    if settings and change.resource.kind != "FeatureStore":
        raise AzureError(
            400, "ValidationError", f"'featureStoreSettings' are for kind FeatureStore, not '{change.resource.kind}'."
        )
    if change.resource.kind == "FeatureStore" and not (change.resource.identity or {}).get("userAssignedIdentities"):
        raise AzureError(400, "ValidationError", "A feature store needs a user-assigned identity that materializes.")


def _validate_connection(change: Change) -> None:
    """What a connection by managed identity leads to, and who goes through it, must be there."""
    properties = change.resource.properties
    if properties.get("authType") == "ManagedIdentity":
        who, target = value_at(properties, "credentials.resourceId"), str(properties.get("target") or "")
        for name, wanted in (("credentials.resourceId", who), ("target", target if target.startswith("/") else None)):
            if wanted and change.arm.get(str(wanted)) is None:
                raise AzureError(
                    400,
                    "UserError",
                    f"'{name}' of connection '{change.resource.name}' is '{wanted}', which does not exist.",
                )


def _isolation(workspace: Resource | None) -> str:
    return (
        str(value_at(workspace.properties, "managedNetwork.isolationMode") or "Disabled") if workspace else "Disabled"
    )


def _validate_isolation(change: Change) -> None:
    before, wanted = _isolation(change.before), _isolation(change.resource)
    one_of(change, "properties.managedNetwork.isolationMode", wanted, _ISOLATION)
    if _ISOLATION.index(wanted) < _ISOLATION.index(before):
        raise AzureError(
            400,
            "ValidationError",
            f"The managed network of '{change.resource.name}' can't go from {before} to {wanted}.",
        )


def _validate_encryption(change: Change) -> None:
    encryption = change.resource.properties.get("encryption")
    if change.before is not None and bool(change.before.properties.get("encryption")) != bool(encryption):
        raise AzureError(
            400,
            "BadRequest",
            f"'encryption' of '{change.resource.name}' is set at creation and can't be turned on or off.",
        )
    if encryption:
        check_references(
            change, ("encryption.keyVaultProperties.keyVaultArmId", "encryption.identity.userAssignedIdentity")
        )


def _managed_network(workspace: Resource) -> Json:
    """Rules and state that the service adds; the network itself is made with the first compute."""
    given = dict(workspace.properties.get("managedNetwork") or {"isolationMode": "Disabled"})
    if given["isolationMode"] != "Disabled":
        given |= {
            "networkId": workspace.properties["workspaceId"],
            "status": {"status": "Inactive", "sparkReady": False},
        }
    return given


def _before_workspace(change: Change) -> None:
    private_keys(change, ("userStorageKey",))
    made_once(change, workspaceId=new_guid, creationTime=now)
    change.resource.kind = change.resource.kind or "Default"
    change.resource.sku = change.resource.sku or {"name": "Basic", "tier": "Basic"}


def _computed_workspace(workspace: Resource, view: View) -> Json:
    settings = view.sandbox.settings
    discovery = f"https://{workspace.location}.api.azureml.ms" if view.public else settings.url("ml")
    identity = workspace.properties["workspaceId"]
    doors = connections_to(workspace, view)
    return {
        "discoveryUrl": f"{discovery}/discovery",
        # azureml-mlflow is not needed: MLflow's own client follows a plain address.
        "mlFlowTrackingUri": settings.url("mlflow"),
        "tenantId": settings.tenant_id,
        "friendlyName": workspace.properties.get("friendlyName") or workspace.name,
        "privateLinkCount": len(doors),
        "privateEndpointConnections": doors,
        "managedNetwork": _managed_network(workspace),
        "storageHnsEnabled": _has_hns(workspace, view),
        "notebookInfo": {
            "resourceId": identity.replace("-", ""),
            "fqdn": f"ml-{workspace.name}-{workspace.location}-{identity}.{workspace.location}.notebooks.azure.net",
            "isPrivateLinkEnabled": bool(doors),
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
    if kind == "Kubernetes":
        validate_attached(change)
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
    return {
        "properties": inner,
        "isAttachedCompute": compute.properties["computeType"] == "Kubernetes",
        "computeLocation": compute.location,
    }


# Batch endpoints


def _validate_batch(change: Change) -> None:
    # azure-ai-ml writes it in its own way.
    if str(change.resource.properties.get("authMode")).lower() == "aadtoken":
        change.resource.properties["authMode"] = "AADToken"
    one_of(change, "properties.authMode", change.resource.properties.get("authMode"), ("AADToken",))
    default = value_at(change.resource.properties, "defaults.deploymentName")
    if default and change.arm.get(f"{change.resource.id}/deployments/{default}") is None:
        raise AzureError(
            400,
            "UserError",
            f"'defaults.deploymentName' of '{change.resource.name}' is '{default}': no such deployment.",
        )


def _computed_batch(endpoint: Resource, view: View) -> Json:
    host = f"https://{endpoint.name}.{endpoint.location}.inference.ml.azure.com"
    settings = view.sandbox.settings
    uri = f"{host}/jobs" if view.public else f"{settings.url('ml')}/batch{endpoint.id}/jobs"
    return {"scoringUri": uri, "swaggerUri": None}


def _validate_batch_deployment(change: Change) -> None:
    from sandbox.ml.batch.spec import BatchSpec

    name, compute = change.resource.name, str(change.resource.properties.get("compute") or "")
    if not compute or change.arm.get(compute) is None:
        raise AzureError(400, "UserError", f"'compute' of '{name}' is '{compute}': no such compute.")
    spec = BatchSpec.read(change.resource.properties)
    if bool(spec.code_id) != bool(spec.environment_id):
        raise AzureError(
            400, "UserError", f"'{name}' has one of codeConfiguration and environmentId; a scoring script needs both."
        )


async def _check_batch_model(change: Change) -> None:
    """Models that only MLflow knows are asked for there, so this is the operation's work and not the request's."""
    ml = change.arm.sandbox.states.get("ml")
    if ml is None:  # ARM alone, in process
        return
    workspace = change.arm.get(change.resource.id.partition("/batchEndpoints/")[0])
    model = str((change.resource.properties.get("model") or {}).get("assetId") or "")
    await ml.serving.materials.check(workspace, "models", model)


def _may_delete_batch_deployment(change: Change) -> None:
    endpoint = change.arm.get(change.resource.id.rpartition("/deployments/")[0])
    default = value_at(endpoint.properties, "defaults.deploymentName") if endpoint else None
    if str(default or "").lower() == change.resource.name.lower():
        raise AzureError(409, "UserError", f"'{change.resource.name}' is its endpoint's default deployment.")


def _asset(path: str) -> ResourceType:
    return ResourceType(name=f"{WORKSPACE}/{path}", versions=VERSIONS, location="none", provisioned=False)


async def _before_registry_delete(change: Change) -> None:
    """Its storage account, which Azure manages, goes with it."""
    storage = change.arm.sandbox.states.get("storage")
    for account in change.arm.of_type("Microsoft.Storage/storageAccounts"):
        if account.extra.get("managedBy") == change.resource.id:
            if storage is not None:
                storage.drop_account(account.name)
            change.arm.delete(account.id)


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
        immutable=(
            "properties.computeType",
            "properties.resourceId",
            *(f"properties.properties.{each}" for each in ("vmSize", "vmPriority", "subnet", "enableNodePublicIp")),
        ),
        validate=_validate_compute,
        before_put=_before_compute,
        computed=_computed_compute,
    ),
    ResourceType(
        name=f"{WORKSPACE}/batchEndpoints",
        versions=VERSIONS,
        long=True,
        name_rule=(r"[a-zA-Z](?:-?[a-zA-Z0-9]){2,31}", "3-32 letters, digits and dashes, starting with a letter"),
        required=("authMode",),
        validate=_validate_batch,
        computed=_computed_batch,
    ),
    ResourceType(
        name=f"{WORKSPACE}/batchEndpoints/deployments",
        versions=VERSIONS,
        long=True,
        required=("model",),
        validate=_validate_batch_deployment,
        may_delete=_may_delete_batch_deployment,
        after_put=_check_batch_model,
    ),
    ResourceType(
        name=f"{WORKSPACE}/connections",
        versions=VERSIONS,
        location="none",
        taggable=False,
        provisioned=False,
        required=("authType", "category"),
        validate=_validate_connection,
    ),
    _asset("schedules"),
    ResourceType(
        name="Microsoft.MachineLearningServices/registries",
        versions=VERSIONS,
        long=True,
        before_delete=_before_registry_delete,
    ),
)
