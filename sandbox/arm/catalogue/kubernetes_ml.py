"""Microsoft.KubernetesConfiguration: Azure ML's extension of a cluster, and what attaching the cluster to a workspace asks for."""

from __future__ import annotations

from sandbox.arm.catalogue.common import versions
from sandbox.arm.catalogue.kubernetes import BINDING, CLUSTER, refused
from sandbox.arm.checks import value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Change, Json, Resource, ResourceType, View
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError

EXTENSION = "Microsoft.KubernetesConfiguration/extensions"
AZURE_ML = "microsoft.azureml.kubernetes"
#: What lets an Azure ML workspace into a cluster that has no local accounts or a closed API server.
ML_ROLE = "Microsoft.MachineLearningServices/workspaces/mlworkload"
_VERSIONS = versions("2022-11-01 2023-05-01 2024-11-01 2025-03-01")


def _validate_extension(change: Change) -> None:
    if parse(parse(change.resource.id).scope).type.lower() != CLUSTER.lower():
        raise refused("Extensions are installed on a cluster.")
    properties = change.resource.properties
    if str(properties.get("extensionType", "")).lower() != AZURE_ML:
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox imitates the extension {AZURE_ML} only.")
    given = properties.get("configurationSettings") or {}
    if (
        given.get("enableTraining", "False").lower() != "true"
        and given.get("enableInference", "False").lower() != "true"
    ):
        raise refused("Set enableTraining, enableInference or both.", "ExtensionOperationFailed")
    if given.get("enableInference", "False").lower() != "true":
        return
    router = str(given.get("inferenceRouterServiceType", "")).lower()
    if router not in ("loadbalancer", "clusterip", "nodeport"):
        raise refused(
            "enableInference needs inferenceRouterServiceType: loadBalancer, clusterIP or nodePort.",
            "ExtensionOperationFailed",
        )
    if given.get("allowInsecureConnections", "False").lower() != "true" and not (
        given.get("sslSecret") and given.get("sslCname")
    ):
        raise refused(
            "Scoring over HTTPS needs sslSecret and sslCname; or allowInsecureConnections.", "ExtensionOperationFailed"
        )


def _computed_extension(extension: Resource, view: View) -> Json:
    return {"currentVersion": "1.1.95", "isSystemExtension": False, "statuses": []}


def inference_ready(arm: ArmState, cluster_id: str) -> bool:
    """Whether Azure ML's extension is on the cluster, with inference."""
    return any(
        str(value_at(each.properties, "configurationSettings.enableInference")).lower() == "true"
        for each in arm.children(cluster_id, EXTENSION)
        if each.provisioning_state == "Succeeded"
    )


def validate_attached(change: Change) -> None:
    """An Azure ML compute of type Kubernetes: the cluster, the extension on it, and the workspace's way in."""
    outer = change.resource.properties
    target = str(outer.get("resourceId") or "")
    cluster = change.arm.get(target)
    if cluster is None or cluster.type != CLUSTER:
        raise AzureError(400, "BadArgument", f"'resourceId' is '{target}', which is no AKS cluster that exists.")
    extensions = [each for each in change.arm.children(cluster.id, EXTENSION) if each.provisioning_state == "Succeeded"]
    if not extensions:
        raise AzureError(400, "BadArgument", f"The Azure ML extension is not installed on '{cluster.name}'.")
    closed = cluster.properties.get("disableLocalAccounts") or value_at(
        cluster.properties, "apiServerAccessProfile.authorizedIPRanges"
    )
    workspace = parse(change.resource.id).parent
    if closed and not _trusted(change.arm, cluster.id, workspace):
        raise AzureError(
            400,
            "BadArgument",
            f"Azure ML can't reach the cluster '{cluster.name}' (no local accounts, or authorized ranges) without a"
            f" trusted access role binding to the workspace with {ML_ROLE}.",
        )


def _trusted(arm: ArmState, cluster_id: str, workspace_id: str) -> bool:
    return any(
        str(each.properties.get("sourceResourceId", "")).lower() == workspace_id.lower()
        and ML_ROLE.lower() in [str(role).lower() for role in each.properties.get("roles") or []]
        for each in arm.children(cluster_id, BINDING)
    )


TYPES = (
    ResourceType(
        name=EXTENSION,
        versions=_VERSIONS,
        scopes=frozenset({"extension"}),
        listing="scope",
        location="none",
        taggable=False,
        long=True,
        required=("extensionType",),
        immutable=("properties.extensionType", "properties.scope"),
        validate=_validate_extension,
        computed=_computed_extension,
    ),
)
