"""The workspace's storage account: models and logs of Azure ML, the rollout journal, dead letters and event queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.naming import DEAD_LETTERS, JOURNAL
from components.network.reach import OPEN, Reach
from components.workspace.encryption import EncryptionKey
from components.workspace.settings import StorageSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageArgs:
    place: Placement
    settings: StorageSettings
    queues: Sequence[str] = ()
    #: Further containers: those of datastores.
    containers: Sequence[str] = ()
    reach: Reach = OPEN
    key: EncryptionKey | None = None


class Storage(pulumi.ComponentResource):
    """A private-by-default storage account with the journal's container.

    Outputs: `account_id`, `account_name`, `blob_endpoint` (https URL, no container), `journal_container`,
    `dead_letter_container`, `queues` (by name).
    """

    account_id: pulumi.Output[str]
    account_name: pulumi.Output[str]
    blob_endpoint: pulumi.Output[str]
    journal_container: pulumi.Output[str]
    dead_letter_container: pulumi.Output[str]
    queues: dict[str, pulumi.Resource]
    containers: dict[str, pulumi.Resource]

    def __init__(self, name: str, args: StorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Storage", name, None, opts)
        self._name, self._args = name, args
        self._account = self._build_account()
        self._build_retention()
        self.account_id, self.account_name = self._account.id, self._account.name
        self.blob_endpoint = self._account.primary_endpoints.apply(lambda urls: urls.blob.rstrip("/"))
        self.journal_container = self._container(JOURNAL, precious=True).name
        self.dead_letter_container = self._container(DEAD_LETTERS).name
        self.containers = {each: self._container(each, precious=True) for each in args.containers}
        self.queues = {queue: self._queue(queue) for queue in args.queues}
        self.register_outputs({"account_name": self.account_name, "blob_endpoint": self.blob_endpoint})

    def _build_account(self) -> Any:
        from pulumi_azure_native import storage

        place, settings = self._args.place, self._args.settings
        return storage.StorageAccount(
            self._name,
            account_name=place.names.of("storage account"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="StorageV2",
            sku={"name": settings.sku},
            access_tier=storage.AccessTier.HOT,
            minimum_tls_version="TLS1_2",
            enable_https_traffic_only=True,
            allow_blob_public_access=False,
            allow_cross_tenant_replication=False,
            allow_shared_key_access=settings.allow_shared_key_access,
            default_to_o_auth_authentication=True,
            **self._args.reach.of_storage(),
            **(self._args.key.of_storage() if self._args.key else {}),
            tags=place.tags,
            opts=child(self, place, precious=True, after=self._args.key.ready if self._args.key else ()),
        )

    def _build_retention(self) -> None:
        from pulumi_azure_native import storage

        place, settings = self._args.place, self._args.settings
        policy = {"enabled": True, "days": settings.soft_delete_days}
        storage.BlobServiceProperties(
            f"{self._name}-blobs",
            account_name=self._account.name,
            resource_group_name=place.resource_group,
            blob_services_name="default",
            delete_retention_policy=policy,
            container_delete_retention_policy=policy,
            is_versioning_enabled=settings.versioning,
            opts=child(self, place),
        )
        storage.FileServiceProperties(
            f"{self._name}-files",
            account_name=self._account.name,
            resource_group_name=place.resource_group,
            file_services_name="default",
            share_delete_retention_policy=policy,
            opts=child(self, place),
        )

    def _container(self, container: str, *, precious: bool = False) -> Any:
        from pulumi_azure_native import storage

        place = self._args.place
        return storage.BlobContainer(
            f"{self._name}-{container}",
            account_name=self._account.name,
            resource_group_name=place.resource_group,
            container_name=container,
            public_access=storage.PublicAccess.NONE,
            opts=child(self, place, precious=precious),
        )

    def _queue(self, queue: str) -> pulumi.Resource:
        from pulumi_azure_native import storage

        place = self._args.place
        made: pulumi.Resource = storage.Queue(
            f"{self._name}-queue-{queue}",
            account_name=self._account.name,
            resource_group_name=place.resource_group,
            queue_name=place.names.queue(queue),
            opts=child(self, place),
        )
        return made
