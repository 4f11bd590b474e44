"""Resource groups, and what an ML workspace stands on: vault, registry, identities."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import GROUP, NestedClass, row

ROWS = (
    row("resources:ResourceGroup", GROUP, immutable=("location",)),

    row("keyvault:Vault", "Microsoft.KeyVault/vaults/{vaultName}", immutable=("location",)),
    row("keyvault:Secret", "Microsoft.KeyVault/vaults/{vaultName}/secrets/{secretName}"),
    row(
        "keyvault:Key",
        "Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}",
        immutable=("properties.kty", "properties.keySize", "properties.curveName"),
    ),
    row(
        "containerregistry:Registry",
        "Microsoft.ContainerRegistry/registries/{registryName}",
        immutable=("location", "zoneRedundancy"),
    ),
    row(
        "managedidentity:UserAssignedIdentity",
        "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}",
        immutable=("location",),
    ),
    row(
        "managedidentity:FederatedIdentityCredential",
        "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
        "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}",
    ),
)  # fmt: skip
NESTED = {("containerregistry", "IPRule"): NestedClass(rename={"iPAddressOrRange": "value"})}
ACTIONS = {"containerregistry:listRegistryCredentials": ("containerregistry:Registry", "listCredentials")}
