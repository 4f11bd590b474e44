"""The log categories that diagnostic settings may name, by resource type. A type that is not here takes any."""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOBS = _words("StorageRead StorageWrite StorageDelete")
CATEGORIES: Mapping[str, frozenset[str]] = {
    "microsoft.machinelearningservices/workspaces": _words(
        "AmlComputeClusterEvent AmlComputeClusterNodeEvent AmlComputeJobEvent AmlComputeCpuGpuUtilization"
        " AmlRunStatusChangedEvent ModelsChangeEvent ModelsReadEvent ModelsActionEvent DeploymentReadEvent"
        " DeploymentEventACI DeploymentEventAKS InferencingOperationAKS InferencingOperationACI EnvironmentChangeEvent"
        " EnvironmentReadEvent DataLabelChangeEvent DataLabelReadEvent DataSetChangeEvent DataSetReadEvent"
        " DataStoreChangeEvent DataStoreReadEvent ComputeInstanceEvent PipelineChangeEvent PipelineReadEvent RunEvent"
        " RunReadEvent"
    ),
    "microsoft.machinelearningservices/workspaces/onlineendpoints": _words(
        "AmlOnlineEndpointTrafficLog AmlOnlineEndpointConsoleLog AmlOnlineEndpointEventLog"
    ),
    "microsoft.storage/storageaccounts": frozenset(),
    "microsoft.storage/storageaccounts/blobservices": _BLOBS,
    "microsoft.storage/storageaccounts/fileservices": _BLOBS,
    "microsoft.storage/storageaccounts/queueservices": _BLOBS,
    "microsoft.keyvault/vaults": _words("AuditEvent AzurePolicyEvaluationDetails"),
    "microsoft.containerregistry/registries": _words("ContainerRegistryLoginEvents ContainerRegistryRepositoryEvents"),
    "microsoft.eventgrid/topics": _words("DeliveryFailures PublishFailures DataPlaneRequests"),
    "microsoft.eventgrid/systemtopics": _words("DeliveryFailures"),
    "microsoft.cdn/profiles": _words(
        "FrontDoorAccessLog FrontDoorHealthProbeLog FrontDoorWebApplicationFirewallLog AzureCdnAccessLog"
    ),
    "microsoft.apimanagement/service": _words(
        "GatewayLogs WebSocketConnectionLogs DeveloperPortalAuditLogs GatewayLlmLogs"
    ),
}
