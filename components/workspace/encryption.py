"""A key of the customer's own: its vault, the key, and the identity that storage and workspace use it as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.managed import user_assigned
from components.identity.roles import Role, assign
from components.network.reach import Reach
from components.workspace.settings import EncryptionSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class EncryptionKey:
    """What a service needs to encrypt with the key. `ready`: what has to exist before it may."""

    key_name: str
    key_uri: pulumi.Output[str]
    vault_id: pulumi.Output[str]
    vault_uri: pulumi.Output[str]
    identity_id: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    def of_storage(self) -> dict[str, Any]:
        """Arguments of a storage account. No version: the account follows rotations by itself."""
        from pulumi_azure_native import storage

        return {
            "identity": storage.IdentityArgs(type="UserAssigned", user_assigned_identities=[self.identity_id]),
            "encryption": storage.EncryptionArgs(
                key_source="Microsoft.Keyvault",
                key_vault_properties=storage.KeyVaultPropertiesArgs(
                    key_name=self.key_name, key_vault_uri=self.vault_uri
                ),
                encryption_identity=storage.EncryptionIdentityArgs(encryption_user_assigned_identity=self.identity_id),
                services=storage.EncryptionServicesArgs(
                    blob=storage.EncryptionServiceArgs(enabled=True, key_type="Account"),
                    file=storage.EncryptionServiceArgs(enabled=True, key_type="Account"),
                ),
            ),
        }

    def of_workspace(self) -> dict[str, Any]:
        """Arguments of an Azure ML workspace."""
        from pulumi_azure_native import machinelearningservices as ml

        return {
            "encryption": ml.EncryptionPropertyArgs(
                status="Enabled",
                identity=ml.IdentityForCmkArgs(user_assigned_identity=self.identity_id),
                key_vault_properties=ml.KeyVaultPropertiesArgs(
                    key_identifier=self.key_uri, key_vault_arm_id=self.vault_id
                ),
            )
        }

    def of_redis(self) -> dict[str, Any]:
        """Arguments of an Azure Managed Redis cluster: what it writes to disk. It keeps to the version it is given."""
        from pulumi_azure_native import redisenterprise

        who = redisenterprise.ClusterPropertiesKeyEncryptionKeyIdentityArgs(
            identity_type="userAssignedIdentity", user_assigned_identity_resource_id=self.identity_id
        )
        return {
            "identity": redisenterprise.ManagedServiceIdentityArgs(
                type="UserAssigned", user_assigned_identities=[self.identity_id]
            ),
            "encryption": redisenterprise.ClusterPropertiesEncryptionArgs(
                customer_managed_key_encryption=redisenterprise.ClusterPropertiesCustomerManagedKeyEncryptionArgs(
                    key_encryption_key_identity=who, key_encryption_key_url=self.key_uri
                )
            ),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class EncryptionArgs:
    place: Placement
    settings: EncryptionSettings
    soft_delete_days: int
    reach: Reach


class Encryption(pulumi.ComponentResource):
    """A vault of its own (so that who manages secrets does not manage the key), purge protected, and a key that rotates.

    Output: `key`, for storage and workspace.
    """

    key: EncryptionKey

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Encryption", name, None, opts)
        self._name, self._args = name, args
        vault, identity = self._build_vault(), user_assigned(
            f"{self._name}-identity", whose="encryption", parent=self, place=args.place
        )
        key = self._build_key(vault)
        role = assign(
            f"{name}-crypto-user",
            Role.KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
            to=identity.principal_id,
            scope=vault.id,
            parent=self,
            place=args.place,
            holder=identity,
        )
        self.key = EncryptionKey(
            key_name="platform",
            key_uri=key.key_uri_with_version,
            vault_id=vault.id,
            vault_uri=vault.properties.apply(lambda properties: properties.vault_uri),
            identity_id=identity.id,
            ready=(key, role),
        )
        self.register_outputs({"key_uri": key.key_uri, "vault_id": vault.id})

    def _build_vault(self) -> Any:
        from pulumi_azure_native import keyvault

        place = self._args.place
        return keyvault.Vault(
            f"{self._name}-vault",
            vault_name=place.names.of("key vault", "key"),
            resource_group_name=place.resource_group,
            location=place.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=place.tenant_id,
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=self._args.soft_delete_days,
                enable_purge_protection=True,
                **self._args.reach.of_vault(),
            ),
            tags=place.tags,
            opts=child(self, place, precious=True),
        )

    def _build_key(self, vault: Any) -> Any:
        from pulumi_azure_native import keyvault

        place, settings = self._args.place, self._args.settings
        rotation = keyvault.LifetimeActionArgs(
            action=keyvault.ActionArgs(type="rotate"),
            trigger=keyvault.TriggerArgs(time_after_create=f"P{settings.rotate_after_days}D"),
        )
        return keyvault.Key(
            f"{self._name}-key",
            key_name="platform",
            vault_name=vault.name,
            resource_group_name=place.resource_group,
            properties=keyvault.KeyPropertiesArgs(
                kty="RSA",
                key_size=settings.key_size,
                key_ops=["wrapKey", "unwrapKey"],
                rotation_policy=keyvault.RotationPolicyArgs(lifetime_actions=[rotation]),
            ),
            tags=place.tags,
            opts=child(self, place, precious=True),
        )
