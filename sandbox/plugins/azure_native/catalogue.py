"""The types that the stand-in for azure-native knows: one row a type, checked against Azure's REST shapes.

The SDK's source gives inputs, outputs and the API version; a row adds the path and the
exceptions. To add a type, add a row; `tests/sandbox/test_plugins_catalogue.py` checks it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.plugins.azure_native.row import GROUP, NestedClass, Row

_VERSIONED = re.compile(r"^azure-native:(\w+)(?:/(v\w+))?:(\w+)$")


def _row(token: str, path: str, **differences: Any) -> Row:
    """A row; collections may be given as tuples. A path without a leading slash or brace is below a resource group."""
    full = path if path.startswith(("/", "{")) else f"{GROUP}/providers/{path}"
    for name in ("inner", "immutable", "query"):
        if name in differences:
            differences[name] = frozenset(differences[name])
    return Row(token=token, path=full, **differences)


_ML = "Microsoft.MachineLearningServices/workspaces/{workspaceName}"
_STORAGE = "Microsoft.Storage/storageAccounts/{accountName}"
_INSIGHTS_NAMES = {
    name[0].lower() + name[1:]: name
    for name in (
        "AppId", "ApplicationId", "ConnectionString", "CreationDate", "DisableIpMasking", "DisableLocalAuth",
        "ForceCustomerStorageForProfiler", "HockeyAppId", "HockeyAppToken", "ImmediatePurgeDataOn30Days",
        "IngestionMode", "InstrumentationKey", "PrivateLinkScopedResources", "RetentionInDays",
        "SamplingPercentage", "TenantId", "WorkspaceResourceId",
    )
} | {
    "applicationType": "Application_Type", "flowType": "Flow_Type", "requestSource": "Request_Source",
    "laMigrationDate": "LaMigrationDate",
}  # fmt: skip

_ROWS = (
    _row("resources:ResourceGroup", GROUP, immutable=("location",)),
    # Storage
    _row(
        "storage:StorageAccount",
        _STORAGE,
        rename={
            "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
            "enableNfsV3": "isNfsV3Enabled",
            "networkRuleSet": "networkAcls",
        },
        immutable=("isHnsEnabled", "location"),
    ),
    _row("storage:BlobContainer", f"{_STORAGE}/blobServices/default/containers/{{containerName}}"),
    _row("storage:BlobServiceProperties", f"{_STORAGE}/blobServices/{{blobServicesName}}", singleton={"properties": {}}),
    _row("storage:FileServiceProperties", f"{_STORAGE}/fileServices/{{fileServicesName}}", singleton={"properties": {}}),
    _row("storage:ManagementPolicy", f"{_STORAGE}/managementPolicies/{{managementPolicyName}}"),
    _row("storage:FileShare", f"{_STORAGE}/fileServices/default/shares/{{shareName}}"),
    _row("storage:Queue", f"{_STORAGE}/queueServices/default/queues/{{queueName}}"),
    _row("storage:Table", f"{_STORAGE}/tableServices/default/tables/{{tableName}}"),
    # What a workspace needs
    _row("keyvault:Vault", "Microsoft.KeyVault/vaults/{vaultName}", immutable=("location",)),
    _row("keyvault:Secret", "Microsoft.KeyVault/vaults/{vaultName}/secrets/{secretName}"),
    _row(
        "keyvault:Key",
        "Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}",
        immutable=("properties.kty", "properties.keySize", "properties.curveName"),
    ),
    _row(
        "containerregistry:Registry",
        "Microsoft.ContainerRegistry/registries/{registryName}",
        immutable=("location", "zoneRedundancy"),
    ),
    _row(
        "managedidentity:UserAssignedIdentity",
        "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
        immutable=("location",),
    ),
    _row(
        "managedidentity:FederatedIdentityCredential",
        "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
        "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
    ),
    # Monitoring
    _row(
        "operationalinsights:Workspace",
        "Microsoft.OperationalInsights/workspaces/{workspaceName}",
        inner=("sku",),
        immutable=("location",),
    ),
    _row(
        "applicationinsights:Component",
        "Microsoft.Insights/components/{resourceName}",
        rename=_INSIGHTS_NAMES,
        immutable=("location",),
    ),
    _row("monitor:ActionGroup", "Microsoft.Insights/actionGroups/{actionGroupName}", immutable=("location",)),
    _row("monitor:MetricAlert", "Microsoft.Insights/metricAlerts/{ruleName}", immutable=("location",)),
    _row("monitor:ActivityLogAlert", "Microsoft.Insights/activityLogAlerts/{activityLogAlertName}"),
    _row(
        "monitor:ScheduledQueryRule",
        "Microsoft.Insights/scheduledQueryRules/{ruleName}",
        immutable=("location", "kind"),
    ),
    _row("monitor:DiagnosticSetting", "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}"),
    _row("monitor:AutoscaleSetting", "Microsoft.Insights/autoscaleSettings/{autoscaleSettingName}", inner=("name",)),
    # Machine learning
    _row("machinelearningservices:Workspace", _ML, immutable=("location",)),
    _row("machinelearningservices:Compute", f"{_ML}/computes/{{computeName}}", immutable=("location", "properties.computeType")),
    _row("machinelearningservices:Datastore", f"{_ML}/datastores/{{name}}", query=("skipValidation",)),
    _row("machinelearningservices:OnlineEndpoint", f"{_ML}/onlineEndpoints/{{endpointName}}", immutable=("location",)),
    _row(
        "machinelearningservices:OnlineDeployment",
        f"{_ML}/onlineEndpoints/{{endpointName}}/deployments/{{deploymentName}}",
        immutable=("location",),
    ),
    _row("machinelearningservices:BatchEndpoint", f"{_ML}/batchEndpoints/{{endpointName}}", immutable=("location",)),
    _row("machinelearningservices:WorkspaceConnection", f"{_ML}/connections/{{connectionName}}"),
    _row("machinelearningservices:Schedule", f"{_ML}/schedules/{{name}}"),
    _row(
        "machinelearningservices:Registry",
        "Microsoft.MachineLearningServices/registries/{registryName}",
        immutable=("location",),
    ),
    # Access and cost
    _row(
        "authorization:RoleAssignment",
        "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        immutable=("principalId", "scope"),
    ),
    _row(
        "authorization:RoleDefinition",
        "{scope}/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionId}",
        rename={"roleType": "type"},
    ),
    _row("authorization:ManagementLockByScope", "{scope}/providers/Microsoft.Authorization/locks/{lockName}"),
    _row("consumption:Budget", "{scope}/providers/Microsoft.Consumption/budgets/{budgetName}"),
    # Events
    _row("eventgrid:Topic", "Microsoft.EventGrid/topics/{topicName}", immutable=("location",)),
    _row(
        "eventgrid:SystemTopic",
        "Microsoft.EventGrid/systemTopics/{systemTopicName}",
        immutable=("location", "source", "topicType"),
    ),
    _row("eventgrid:EventSubscription", "{scope}/providers/Microsoft.EventGrid/eventSubscriptions/{eventSubscriptionName}"),
    _row(
        "eventgrid:SystemTopicEventSubscription",
        "Microsoft.EventGrid/systemTopics/{systemTopicName}/eventSubscriptions/{eventSubscriptionName}",
    ),
    _row(
        "eventgrid:TopicEventSubscription",
        "Microsoft.EventGrid/topics/{topicName}/eventSubscriptions/{eventSubscriptionName}",
    ),
    # Network
    _row(
        "network:VirtualNetwork",
        "Microsoft.Network/virtualNetworks/{virtualNetworkName}",
        immutable=("location",),
        keep_unset=("subnets", "virtualNetworkPeerings"),
    ),
    _row("network:Subnet", "Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}"),
    _row(
        "network:NetworkSecurityGroup",
        "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
        immutable=("location",),
        keep_unset=("securityRules",),
    ),
    _row(
        "network:PrivateEndpoint",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}",
        immutable=("location", "subnet"),
    ),
    _row(
        "network:PrivateDnsZoneGroup",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
    ),
    _row("privatedns:PrivateZone", "Microsoft.Network/privateDnsZones/{privateZoneName}", immutable=("location",)),
    _row(
        "privatedns:VirtualNetworkLink",
        "Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
        immutable=("location",),
    ),
)  # fmt: skip

CATALOGUE: Mapping[str, Row] = {row.token: row for row in _ROWS}


def _wrapped(*keep: str) -> NestedClass:
    return NestedClass(keep=frozenset(keep))


_RESOURCE = _wrapped("id", "name", "type", "location", "tags", "etag", "zones", "sku", "extendedLocation", "identity")
_DESTINATION = _wrapped("endpointType")

#: Classes inside types whose shape is not ARM's: (module, class without Args/Response).
NESTED: Mapping[tuple[str, str], NestedClass] = {
    ("storage", "IPRule"): NestedClass(rename={"iPAddressOrRange": "value"}),
    ("containerregistry", "IPRule"): NestedClass(rename={"iPAddressOrRange": "value"}),
    ("storage", "VirtualNetworkRule"): NestedClass(rename={"virtualNetworkResourceId": "id"}),
    ("storage", "Encryption"): NestedClass(
        rename={"keyVaultProperties": "keyvaultproperties", "encryptionIdentity": "identity"}
    ),
    ("storage", "EncryptionIdentity"): NestedClass(
        rename={
            "encryptionUserAssignedIdentity": "userAssignedIdentity",
            "encryptionFederatedIdentityClientId": "federatedIdentityClientId",
        }
    ),
    ("storage", "KeyVaultProperties"): NestedClass(
        rename={"keyName": "keyname", "keyVersion": "keyversion", "keyVaultUri": "keyvaulturi"}
    ),
    ("machinelearningservices", "SharedPrivateLinkResource"): _wrapped("name"),
    **{
        ("monitor", f"{name}Criteria"): NestedClass(rename={"odataType": "odata.type"})
        for name in (
            "MetricAlertMultipleResourceMultipleMetric", "MetricAlertSingleResourceMultipleMetric",
            "WebtestLocationAvailability",
        )
    },
    **{
        ("eventgrid", f"{name}EventSubscriptionDestination"): _DESTINATION
        for name in (
            "AzureFunction", "EventHub", "HybridConnection", "MonitorAlert", "NamespaceTopic", "ServiceBusQueue",
            "ServiceBusTopic", "StorageQueue", "WebHook",
        )
    },
    ("eventgrid", "StorageBlobDeadLetterDestination"): _DESTINATION,
    ("eventgrid", "DynamicDeliveryAttributeMapping"): _wrapped("name", "type"),
    ("eventgrid", "StaticDeliveryAttributeMapping"): _wrapped("name", "type"),
    ("eventgrid", "JsonInputSchemaMapping"): _wrapped("inputSchemaMappingType"),
    **{
        ("network", name): _RESOURCE
        for name in (
            "ApplicationSecurityGroup", "Delegation", "FrontendIPConfiguration",
            "NetworkSecurityGroup", "PrivateDnsZoneConfig", "PrivateEndpointIPConfiguration",
            "PrivateLinkServiceConnection", "Route", "RouteTable", "SecurityRule", "ServiceEndpointPolicy", "Subnet",
            "VirtualNetworkPeering",
        )
    },
}  # fmt: skip

#: Functions that are not a plain GET of a type: (type, action below its id).
ACTIONS: Mapping[str, tuple[str, str]] = {
    "containerregistry:listRegistryCredentials": ("containerregistry:Registry", "listCredentials"),
    "eventgrid:listTopicSharedAccessKeys": ("eventgrid:Topic", "listKeys"),
    "machinelearningservices:getOnlineEndpointToken": ("machinelearningservices:OnlineEndpoint", "token"),
    "machinelearningservices:listDatastoreSecrets": ("machinelearningservices:Datastore", "listSecrets"),
    "machinelearningservices:listOnlineEndpointKeys": ("machinelearningservices:OnlineEndpoint", "listKeys"),
    "machinelearningservices:listWorkspaceKeys": ("machinelearningservices:Workspace", "listKeys"),
    "operationalinsights:getSharedKeys": ("operationalinsights:Workspace", "sharedKeys"),
    "storage:listStorageAccountKeys": ("storage:StorageAccount", "listKeys"),
}


class UnknownType(Exception):
    """A type that the catalogue does not have."""

    def __init__(self, token: str) -> None:
        super().__init__(
            f"the sandbox's azure-native does not imitate {token}; add a row for it to "
            "sandbox/plugins/azure_native/catalogue.py, and the ARM type to sandbox/arm"
        )


def lookup(token: str) -> tuple[Row, str]:
    """The row of a full type token, and its API version: the token's, if it has one, else the SDK's default."""
    match = _VERSIONED.match(token)
    row = CATALOGUE.get(f"{match[1]}:{match[3]}") if match else None
    if match is None or row is None:
        raise UnknownType(token)
    return row, _dashed(match[2]) if match[2] else row.type.api_version


def _dashed(version: str) -> str:
    """v20240101preview -> 2024-01-01-preview."""
    date, suffix = version[1:9], version[9:]
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" + (f"-{suffix}" if suffix else "")
