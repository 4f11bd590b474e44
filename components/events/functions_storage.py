"""The Functions app's own storage account: its code, the host's locks and keys, and the events it has handled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.roles import Role, assign
from components.naming import HANDLED_EVENTS, PACKAGES
from components.network.private_endpoints import PrivateEndpoints, PrivateEndpointsArgs
from components.network.reach import Reach
from components.network.vnet import Network

#: Event Grid gives an event up after a day; a month is long enough to look back.
KEEP_HANDLED_DAYS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionsStorageArgs:
    place: Placement
    reach: Reach
    network: Network | None
    principal_id: pulumi.Input[str]
    #: The identity that the principal is of.
    identity: pulumi.Resource


class FunctionsStorage(pulumi.ComponentResource):
    """An account without keys, reached by the app's identity alone.

    Outputs: `account_name`, `packages_url` and `handled_events_url` (https URLs of containers), `ready` (what the app waits for).
    """

    account_name: pulumi.Output[str]
    packages_url: pulumi.Output[str]
    handled_events_url: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: FunctionsStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:FunctionsStorage", name, None, opts)
        self._name, self._args = name, args
        account = self._build_account()
        self.account_name = account.name
        packages, handled = self._container(account, PACKAGES), self._container(account, HANDLED_EVENTS)
        endpoint = account.primary_endpoints.apply(lambda urls: urls.blob.rstrip("/"))
        self.packages_url = pulumi.Output.concat(endpoint, "/", packages.name)
        self.handled_events_url = pulumi.Output.concat(endpoint, "/", handled.name)
        # the host keeps its own containers besides, which it makes itself
        role = assign(
            f"{name}-owner",
            Role.BLOB_DATA_OWNER,
            to=args.principal_id,
            scope=account.id,
            parent=self,
            place=args.place,
            holder=args.identity,
        )
        self.ready = [role, packages, handled, *self._build_door(account)]
        self._build_expiry(account)
        self.register_outputs({"account_name": self.account_name})

    def _build_account(self) -> Any:
        from pulumi_azure_native import storage

        place = self._args.place
        return storage.StorageAccount(
            self._name,
            account_name=place.names.of("storage account", "fn"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="StorageV2",
            sku={"name": "Standard_LRS"},
            minimum_tls_version="TLS1_2",
            enable_https_traffic_only=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            **self._args.reach.of_storage(),
            tags=place.tags,
            opts=child(self, place, precious=True),
        )

    def _container(self, account: Any, container: str) -> Any:
        from pulumi_azure_native import storage

        place = self._args.place
        return storage.BlobContainer(
            f"{self._name}-{container}",
            account_name=account.name,
            resource_group_name=place.resource_group,
            container_name=container,
            public_access=storage.PublicAccess.NONE,
            opts=child(self, place),
        )

    def _build_door(self, account: Any) -> list[pulumi.Resource]:
        """The app comes through the VNet, if there is one."""
        args = self._args
        if args.network is None:
            return []
        door = PrivateEndpointsArgs(
            place=args.place, network=args.network, targets={"blob": account.id}, prefix="functions"
        )
        return [PrivateEndpoints(f"{self._name}-private", door, pulumi.ResourceOptions(parent=self))]

    def _build_expiry(self, account: Any) -> None:
        from pulumi_azure_native import storage

        place = self._args.place
        delete = storage.DateAfterModificationArgs(days_after_modification_greater_than=KEEP_HANDLED_DAYS)
        rule = storage.ManagementPolicyRuleArgs(
            name="forget-handled-events",
            type="Lifecycle",
            enabled=True,
            definition=storage.ManagementPolicyDefinitionArgs(
                actions=storage.ManagementPolicyActionArgs(
                    base_blob=storage.ManagementPolicyBaseBlobArgs(delete=delete)
                ),
                filters=storage.ManagementPolicyFilterArgs(
                    blob_types=["blockBlob"], prefix_match=[f"{HANDLED_EVENTS}/"]
                ),
            ),
        )
        storage.ManagementPolicy(
            f"{self._name}-expiry",
            account_name=account.name,
            resource_group_name=place.resource_group,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(rules=[rule]),
            opts=child(self, place),
        )
