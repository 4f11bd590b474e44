"""The feature store: a workspace that keeps feature definitions and materializes them into both stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.feature_store.offline_store import OfflineStore
from components.feature_store.online_store import OnlineStore
from components.feature_store.settings import FeatureStoreSettings
from components.identity.managed import ManagedIdentity
from components.identity.roles import Principal, Role, assign
from components.network.isolation import managed_network
from components.network.reach import Reach
from components.network.settings import NetworkSettings
from components.workspace.encryption import EncryptionKey

OFFLINE, ONLINE = "OfflineStoreConnectionName-platform", "OnlineStoreConnectionName-platform"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependencies:
    """What the workspace stands on: the platform's own."""

    storage_account_id: pulumi.Input[str]
    vault_id: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    app_insights_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureStoreArgs:
    place: Placement
    settings: FeatureStoreSettings
    depends: Dependencies
    offline: OfflineStore
    online: OnlineStore
    #: Materializes: its roles on both stores are there already.
    identity: ManagedIdentity
    #: Object ids of those that look features up, by a name for each.
    readers: Mapping[str, Principal]
    network: NetworkSettings
    reach: Reach
    key: EncryptionKey | None = None


class FeatureStore(pulumi.ComponentResource):
    """A feature store workspace and its connections to both stores, by managed identity. Outputs: `store_id`, `store_name`."""

    store_id: pulumi.Output[str]
    store_name: pulumi.Output[str]

    def __init__(self, name: str, args: FeatureStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:features:FeatureStore", name, None, opts)
        self._name, self._args = name, args
        workspace = self._build_workspace()
        self.store_id, self.store_name = workspace.id, workspace.name
        self._connect(OFFLINE, "ADLSGen2", args.offline.container_id, after=[args.offline])
        self._connect(ONLINE, "Redis", args.online.database_id, after=[args.online])
        self._grant(workspace)
        self.register_outputs({"store_id": self.store_id})

    def _build_workspace(self) -> Any:
        from pulumi_azure_native import machinelearningservices as ml

        args, place = self._args, self._args.place
        return ml.Workspace(
            self._name,
            workspace_name=place.names.of("machine learning workspace", "features"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="FeatureStore",
            sku={"name": "Basic", "tier": "Basic"},
            # Azure ML gives the first its rights on what the workspace stands on; the second is who materializes
            identity=ml.ManagedServiceIdentityArgs(
                type="SystemAssigned,UserAssigned",
                user_assigned_identities=[args.identity.plain_id, *([args.key.identity_id] if args.key else [])],
            ),
            storage_account=args.depends.storage_account_id,
            key_vault=args.depends.vault_id,
            container_registry=args.depends.registry_id,
            application_insights=args.depends.app_insights_id,
            feature_store_settings=ml.FeatureStoreSettingsArgs(
                compute_runtime=ml.ComputeRuntimeDtoArgs(spark_runtime_version=args.settings.spark_version),
                offline_store_connection_name=OFFLINE,
                online_store_connection_name=ONLINE,
            ),
            public_network_access=args.reach.access,
            managed_network=self._managed_network(),
            **(args.key.of_workspace() if args.key else {}),
            v1_legacy_mode=False,
            tags=place.tags,
            opts=child(self, place, precious=True, after=[*args.identity.ready, *(args.key.ready if args.key else ())]),
        )

    def _managed_network(self) -> Any:
        """Spark runs inside it, and reaches the stores through private endpoints of its own."""
        from pulumi_azure_native import machinelearningservices as ml

        args = self._args
        network = managed_network(args.network)
        if network is None:
            return None
        doors = {
            "offline-store": (args.offline.account_id, "dfs"),
            "offline-store-blob": (args.offline.account_id, "blob"),
            "online-store": (args.online.cluster_id, "redisEnterprise"),
        }
        rules = {
            name: ml.PrivateEndpointOutboundRuleArgs(
                type="PrivateEndpoint",
                category="UserDefined",
                destination=ml.PrivateEndpointDestinationArgs(
                    service_resource_id=target, subresource_target=group, spark_enabled=True
                ),
            )
            for name, (target, group) in doors.items()
        }
        network.outbound_rules = {**(network.outbound_rules or {}), **rules}
        return network

    def _connect(self, name: str, category: str, target: pulumi.Output[str], after: list[pulumi.Resource]) -> None:
        from pulumi_azure_native import machinelearningservices as ml

        args, place = self._args, self._args.place
        ml.WorkspaceConnection(
            f"{self._name}-{category.lower()}",
            connection_name=name,
            resource_group_name=place.resource_group,
            workspace_name=self.store_name,
            properties=ml.ManagedIdentityAuthTypeWorkspaceConnectionPropertiesArgs(
                auth_type="ManagedIdentity",
                category=category,
                target=target,
                credentials=ml.WorkspaceConnectionManagedIdentityArgs(
                    client_id=args.identity.client_id, resource_id=args.identity.plain_id
                ),
            ),
            opts=child(self, place, after=after),
        )

    def _grant(self, workspace: Any) -> None:
        """Who materializes works in the store; who looks features up reads it; the network's doors are approved."""
        args = self._args
        wanted: list[tuple[str, Role, Principal, pulumi.Input[str]]] = [
            ("materializer", Role.AZUREML_DATA_SCIENTIST, args.identity.principal, workspace.id)
        ]
        wanted.extend((each, Role.READER, reader, workspace.id) for each, reader in args.readers.items())
        if args.network.isolation != "Disabled":
            itself = Principal(workspace.identity.apply(lambda identity: identity.principal_id), workspace)
            for what, target in (("offline", args.offline.account_id), ("online", args.online.cluster_id)):
                wanted.append((f"approver-{what}", Role.NETWORK_CONNECTION_APPROVER, itself, target))
        for what, role, principal, scope in wanted:
            name = f"{self._name}-{what}"
            assign(name, role, to=principal.id, scope=scope, parent=self, place=args.place, holder=principal.holder)
