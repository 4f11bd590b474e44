"""The online store: Azure Managed Redis, where deployments look features up at scoring time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.feature_store.settings import RedisSettings
from components.identity.custom_roles import CustomRole
from components.identity.define import define
from components.identity.roles import Principal, held
from components.network.reach import Reach
from components.workspace.encryption import EncryptionKey

_REDIS = "Microsoft.Cache/redisEnterprise"
#: Azure's own for every database.
PORT = 10000
#: What Azure ML's client asks ARM for: the address, and the key to connect with. Contributor would do, and much else.
FEATURE_USER = CustomRole(
    "Online Feature User",
    "Connects to the online store of the feature store; changes nothing of the service.",
    actions=(f"{_REDIS}/read", f"{_REDIS}/databases/read", f"{_REDIS}/databases/listKeys/action"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OnlineStoreArgs:
    place: Placement
    settings: RedisSettings
    reach: Reach
    #: Object ids of the identities that read or write features, by a name for each.
    users: Mapping[str, Principal]
    key: EncryptionKey | None = None


class OnlineStore(pulumi.ComponentResource):
    """One Redis database behind TLS; each user comes in with its Entra token, or with the key where that is on.

    Outputs: `cluster_id`, `database_id`, `host`.
    """

    cluster_id: pulumi.Output[str]
    database_id: pulumi.Output[str]
    host: pulumi.Output[str]

    def __init__(self, name: str, args: OnlineStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:features:OnlineStore", name, None, opts)
        self._name, self._args = name, args
        self._build()
        if args.settings.access_keys:
            role = define(f"{name}-user", FEATURE_USER, parent=self, place=args.place)
            for user, principal in args.users.items():
                role.assign(
                    f"{name}-key-for-{user}",
                    to=principal,
                    scope=self.cluster_id,
                    parent=self,
                )
        self.register_outputs({"database_id": self.database_id, "host": self.host})

    def _build(self) -> None:
        from pulumi_azure_native import redisenterprise

        place, settings, key = self._args.place, self._args.settings, self._args.key
        cluster = redisenterprise.RedisEnterprise(
            self._name,
            cluster_name=place.names.of("managed redis"),
            resource_group_name=place.resource_group,
            location=place.location,
            sku={"name": settings.sku},
            high_availability="Enabled" if settings.high_availability else "Disabled",
            minimum_tls_version="1.2",
            public_network_access="Enabled" if self._args.reach.public else "Disabled",
            **(key.of_redis() if key else {}),
            tags=place.tags,
            opts=child(self, place, precious=True, after=key.ready if key else ()),
        )
        database = redisenterprise.Database(
            f"{self._name}-database",
            database_name="default",
            cluster_name=cluster.name,
            resource_group_name=place.resource_group,
            client_protocol="Encrypted",
            port=PORT,
            # Azure ML's client is a cluster client
            clustering_policy="OSSCluster",
            # a full store refuses features loudly instead of losing some
            eviction_policy="NoEviction",
            access_keys_authentication="Enabled" if settings.access_keys else "Disabled",
            opts=child(self, place, precious=True),
        )
        self.cluster_id, self.database_id, self.host = cluster.id, database.id, cluster.host_name
        previous: list[pulumi.Resource] = []
        for user, principal in self._args.users.items():
            # one after the other: a database takes one change at a time
            entry = redisenterprise.AccessPolicyAssignment(
                f"{self._name}-entra-{user}",
                access_policy_assignment_name=place.names.guid("redis", user).replace("-", ""),
                access_policy_name="default",
                cluster_name=cluster.name,
                database_name=database.name,
                resource_group_name=place.resource_group,
                user=redisenterprise.AccessPolicyAssignmentPropertiesUserArgs(object_id=principal.id),
                opts=held(self, place, principal.holder, after=previous, of="user.objectId"),
            )
            previous = [entry]
