"""The offline store: materialized features as files, for training and backfills."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.network.reach import Reach
from components.workspace.encryption import EncryptionKey

CONTAINER = "offline-store"


@dataclass(frozen=True, kw_only=True, slots=True)
class OfflineStoreArgs:
    place: Placement
    sku: str
    soft_delete_days: int
    reach: Reach
    key: EncryptionKey | None = None


class OfflineStore(pulumi.ComponentResource):
    """A Data Lake account (Azure ML takes no other for this) with one container, reached by identity only.

    Outputs: `account_id`, `container_id`, `container` (the resource).
    """

    account_id: pulumi.Output[str]
    container_id: pulumi.Output[str]
    container: pulumi.Resource

    def __init__(self, name: str, args: OfflineStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:features:OfflineStore", name, None, opts)
        from pulumi_azure_native import storage

        place, policy = args.place, {"enabled": True, "days": args.soft_delete_days}
        account = storage.StorageAccount(
            name,
            account_name=place.names.of("storage account", "features"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="StorageV2",
            sku={"name": args.sku},
            is_hns_enabled=True,
            access_tier=storage.AccessTier.HOT,
            minimum_tls_version="TLS1_2",
            enable_https_traffic_only=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            allow_shared_key_access=False,
            default_to_o_auth_authentication=True,
            **args.reach.of_storage(),
            **(args.key.of_storage() if args.key else {}),
            tags=place.tags,
            opts=child(self, place, precious=True, after=args.key.ready if args.key else ()),
        )
        storage.BlobServiceProperties(
            f"{name}-blobs",
            account_name=account.name,
            resource_group_name=place.resource_group,
            blob_services_name="default",
            delete_retention_policy=policy,
            container_delete_retention_policy=policy,
            opts=child(self, place),
        )
        container = storage.BlobContainer(
            f"{name}-container",
            account_name=account.name,
            resource_group_name=place.resource_group,
            container_name=CONTAINER,
            public_access=storage.PublicAccess.NONE,
            opts=child(self, place, precious=True),
        )
        self.account_id, self.container = account.id, container
        self.container_id = pulumi.Output.concat(account.id, "/blobServices/default/containers/", container.name)
        self.register_outputs({"account_id": self.account_id, "container_id": self.container_id})
