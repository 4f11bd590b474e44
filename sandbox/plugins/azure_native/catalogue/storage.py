"""Storage accounts and what is in them."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import NestedClass, row

_STORAGE = "Microsoft.Storage/storageAccounts/{accountName}"
ROWS = (
    row(
        "storage:StorageAccount",
        _STORAGE,
        rename={
            "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
            "enableNfsV3": "isNfsV3Enabled",
            "networkRuleSet": "networkAcls",
        },
        immutable=("isHnsEnabled", "location"),
    ),
    row("storage:BlobContainer", f"{_STORAGE}/blobServices/default/containers/{{containerName}}"),
    row("storage:BlobServiceProperties", f"{_STORAGE}/blobServices/{{blobServicesName}}", singleton={"properties": {}}),
    row("storage:FileServiceProperties", f"{_STORAGE}/fileServices/{{fileServicesName}}", singleton={"properties": {}}),
    row("storage:ManagementPolicy", f"{_STORAGE}/managementPolicies/{{managementPolicyName}}"),
    row("storage:FileShare", f"{_STORAGE}/fileServices/default/shares/{{shareName}}"),
    row("storage:Queue", f"{_STORAGE}/queueServices/default/queues/{{queueName}}"),
    row("storage:Table", f"{_STORAGE}/tableServices/default/tables/{{tableName}}"),
)  # fmt: skip
NESTED = {
    ("storage", "IPRule"): NestedClass(rename={"iPAddressOrRange": "value"}),
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
}
ACTIONS = {"storage:listStorageAccountKeys": ("storage:StorageAccount", "listKeys")}
