"""The Azure ML workspace, its key vault and container registry, and the identity it acts as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components import naming
from components.base import Placement, child
from components.identity.managed import user_assigned
from components.identity.roles import Role, assign
from components.network.isolation import managed_network
from components.network.reach import OPEN, Reach
from components.network.settings import NetworkSettings
from components.workspace.encryption import EncryptionKey
from components.workspace.settings import DatastoreSettings, KeyVaultSettings, RegistrySettings


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkspaceArgs:
    place: Placement
    key_vault: KeyVaultSettings
    registry: RegistrySettings
    storage_account_id: pulumi.Input[str]
    app_insights_id: pulumi.Input[str]
    #: False: Azure ML's own datastores reach the storage by identity.
    shared_key_access: bool
    storage_account_name: pulumi.Input[str] = ""
    network: NetworkSettings = field(default_factory=NetworkSettings)
    datastores: Mapping[str, DatastoreSettings] = field(default_factory=dict)
    #: The datastores' containers, by name: they come first.
    containers: Mapping[str, pulumi.Resource] = field(default_factory=dict)
    #: The cluster that builds images where the registry is private; none: Azure's own.
    image_builder: str | None = None
    reach: Reach = OPEN
    key: EncryptionKey | None = None


class Workspace(pulumi.ComponentResource):
    """A workspace with a user-assigned identity whose roles end at the four resources it depends on.

    Outputs: `workspace_id`, `workspace_name`, `vault_id`, `vault_name`, `vault_uri`, `registry_id`, `registry_name`, `principal_id` (of the identity), `mlflow_tracking_uri`.
    """

    workspace_id: pulumi.Output[str]
    workspace_name: pulumi.Output[str]
    vault_id: pulumi.Output[str]
    vault_name: pulumi.Output[str]
    vault_uri: pulumi.Output[str]
    registry_id: pulumi.Output[str]
    registry_name: str
    identity: pulumi.Resource
    principal_id: pulumi.Output[str]
    mlflow_tracking_uri: pulumi.Output[str]

    def __init__(self, name: str, args: WorkspaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Workspace", name, None, opts)
        self._name, self._args = name, args
        self.vault_id = self._build_vault()
        self.registry_name = args.place.names.of("container registry")
        self.registry_id = self._build_registry()
        identity = user_assigned(f"{self._name}-identity", whose="workspace", parent=self, place=args.place)
        self.identity, self.principal_id = identity, identity.principal_id
        workspace = self._build_workspace(identity.id, self._grant(identity))
        self.workspace_id, self.workspace_name = workspace.id, workspace.name
        self.mlflow_tracking_uri = workspace.ml_flow_tracking_uri
        for store, settings in args.datastores.items():
            self._build_datastore(store, settings, workspace)
        self.register_outputs({"workspace_id": self.workspace_id, "mlflow_tracking_uri": self.mlflow_tracking_uri})

    def _build_vault(self) -> pulumi.Output[str]:
        from pulumi_azure_native import keyvault

        place, settings = self._args.place, self._args.key_vault
        vault = keyvault.Vault(
            f"{self._name}-vault",
            vault_name=place.names.of("key vault"),
            resource_group_name=place.resource_group,
            location=place.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=place.tenant_id,
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=settings.soft_delete_days,
                # Azure takes true or nothing: false is refused once it was true
                enable_purge_protection=True if settings.purge_protection else None,
                **self._args.reach.of_vault(),
            ),
            tags=place.tags,
            opts=child(self, place, precious=True),
        )
        self.vault_name = vault.name
        self.vault_uri = vault.properties.apply(lambda made: made.vault_uri or "")
        identifier: pulumi.Output[str] = vault.id
        return identifier

    def _build_registry(self) -> pulumi.Output[str]:
        from pulumi_azure_native import containerregistry

        place = self._args.place
        registry = containerregistry.Registry(
            f"{self._name}-registry",
            registry_name=self.registry_name,
            resource_group_name=place.resource_group,
            location=place.location,
            sku={"name": self._args.registry.sku},
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            **self._args.reach.of_registry(),
            tags=place.tags,
            opts=child(self, place, precious=True),
        )
        identifier: pulumi.Output[str] = registry.id
        return identifier

    def _grant(self, identity: Any) -> list[pulumi.Resource]:
        """What Azure ML asks for when a workspace has an identity of its own, one resource at a time."""
        args = self._args
        wanted: dict[str, tuple[pulumi.Input[str], tuple[Role, ...]]] = {
            "storage": (
                args.storage_account_id,
                (Role.CONTRIBUTOR, Role.BLOB_DATA_CONTRIBUTOR, Role.FILE_DATA_PRIVILEGED_CONTRIBUTOR),
            ),
            "vault": (self.vault_id, (Role.CONTRIBUTOR, Role.KEY_VAULT_ADMINISTRATOR)),
            "registry": (self.registry_id, (Role.CONTRIBUTOR,)),
            "insights": (args.app_insights_id, (Role.CONTRIBUTOR,)),
        }
        return [
            assign(
                f"{self._name}-{what}-{role.name.lower().replace('_', '-')}",
                role,
                to=identity.principal_id,
                scope=scope,
                parent=self,
                place=args.place,
                holder=identity,
            )
            for what, (scope, roles) in wanted.items()
            for role in roles
        ]

    def _build_workspace(self, identity_id: pulumi.Output[str], roles: list[pulumi.Resource]) -> Any:
        from pulumi_azure_native import machinelearningservices as ml

        args, place = self._args, self._args.place
        return ml.Workspace(
            self._name,
            workspace_name=place.names.of("machine learning workspace"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="Default",
            sku={"name": "Basic", "tier": "Basic"},
            identity=ml.ManagedServiceIdentityArgs(
                type="UserAssigned",
                user_assigned_identities=[identity_id, *([args.key.identity_id] if args.key else [])],
            ),
            primary_user_assigned_identity=identity_id,
            storage_account=args.storage_account_id,
            key_vault=self.vault_id,
            container_registry=self.registry_id,
            application_insights=args.app_insights_id,
            system_datastores_auth_mode="accessKey" if args.shared_key_access else "identity",
            public_network_access=args.reach.access,
            managed_network=managed_network(args.network),
            image_build_compute=args.image_builder,
            **(args.key.of_workspace() if args.key else {}),
            v1_legacy_mode=False,
            tags=place.tags,
            opts=child(self, place, precious=True, after=[*roles, *(args.key.ready if args.key else ())]),
        )

    def _build_datastore(self, name: str, settings: DatastoreSettings, workspace: Any) -> None:
        """A container that jobs reach by name and as themselves: no key or token is kept in the datastore."""
        from pulumi_azure_native import machinelearningservices as ml

        args, place = self._args, self._args.place
        ml.Datastore(
            f"{self._name}-datastore-{name}",
            name=datastore_name(name),
            resource_group_name=place.resource_group,
            workspace_name=workspace.name,
            properties=ml.AzureBlobDatastoreArgs(
                datastore_type="AzureBlob",
                account_name=args.storage_account_name,
                container_name=settings.container,
                endpoint="core.windows.net",
                protocol="https",
                description=settings.description,
                credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
                service_data_access_auth_identity="WorkspaceUserAssignedIdentity",
            ),
            opts=child(self, place, after=[args.containers[settings.container]]),
        )


def datastore_name(key: str) -> str:
    """Azure ML takes no hyphens here."""
    return naming.check("datastore", key.replace("-", "_"))
