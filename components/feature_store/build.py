"""The feature store and load testing of a stack, where it has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement
from components.compute.clusters import Clusters
from components.feature_store.feature_store import Dependencies, FeatureStore, FeatureStoreArgs
from components.feature_store.load_testing import LoadTesting, LoadTestingArgs
from components.feature_store.offline_store import OfflineStore, OfflineStoreArgs
from components.feature_store.online_store import PORT, OnlineStore, OnlineStoreArgs
from components.foundation import Foundation
from components.identity.managed import Grant, managed_identity
from components.identity.roles import Role, assign, no_changes_in
from components.naming import JOURNAL
from components.network.private_endpoints import PrivateEndpoints, PrivateEndpointsArgs
from components.network.reach import reach_of
from components.observability.logs import Observability
from components.serving.endpoint import Endpoint
from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """The feature store's components."""

    offline: OfflineStore
    online: OnlineStore
    store: FeatureStore
    private_endpoints: PrivateEndpoints | None

    @property
    def components(self) -> tuple[pulumi.Resource, ...]:
        """Made before the locks and deleted after them."""
        return tuple(each for each in (self.offline, self.online, self.store, self.private_endpoints) if each)

    @property
    def holds_data(self) -> dict[str, pulumi.Input[str]]:
        """What is locked: what Redis holds is materialized again from here."""
        return {"offline-store": self.offline.account_id}

    def document(self) -> dict[str, Any]:
        """The contract's `FeatureStore`."""
        return {
            "name": self.store.store_name,
            "id": self.store.store_id,
            "offline_container_id": self.offline.container_id,
            "online_database_id": self.online.database_id,
            "online_host": self.online.host,
            "online_port": PORT,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class FeaturesArgs:
    place: Placement
    foundation: Foundation
    seen: Observability
    clusters: Clusters
    endpoints: dict[str, Endpoint]


def build_features(settings: Settings, args: FeaturesArgs) -> Features | None:
    """Declare the feature store; None where the stack has none."""
    if not settings.feature_store.enabled:
        return None
    place, reach = args.place, reach_of(settings)
    key = args.foundation.encryption.key if args.foundation.encryption else None
    offline = OfflineStore(
        "offline-store",
        OfflineStoreArgs(
            place=place,
            sku=settings.feature_store.offline_sku,
            soft_delete_days=settings.storage.soft_delete_days,
            reach=reach,
            key=key,
        ),
    )
    storage = args.foundation.storage.account_id
    identity = managed_identity(
        "feature-identity",
        whose="features",
        parent=offline,
        place=place,
        grants=(
            Grant("offline", Role.BLOB_DATA_CONTRIBUTOR, offline.container_id),
            Grant("storage", Role.BLOB_DATA_CONTRIBUTOR, storage, no_changes_in(JOURNAL)),
        ),
    )
    jobs = args.clusters.identity.principal
    assign(
        "offline-store-jobs",
        Role.BLOB_DATA_READER,
        to=jobs.id,
        scope=offline.container_id,
        parent=offline,
        place=place,
        holder=jobs.holder,
    )
    deployments = {f"endpoint-{name}": each.identity.principal for name, each in args.endpoints.items()}
    online = OnlineStore(
        "online-store",
        OnlineStoreArgs(
            place=place,
            settings=settings.feature_store.redis,
            reach=reach,
            key=key,
            users={"materializer": identity.principal, **deployments},
        ),
    )
    store = FeatureStore(
        "features",
        FeatureStoreArgs(
            place=place,
            settings=settings.feature_store,
            depends=_dependencies(args),
            offline=offline,
            online=online,
            identity=identity,
            readers={"jobs": jobs, **deployments},
            network=settings.network,
            reach=reach,
            key=key,
        ),
    )
    doors = _doors(args, offline, online, store)
    return Features(offline=offline, online=online, store=store, private_endpoints=doors)


def _dependencies(args: FeaturesArgs) -> Dependencies:
    workspace = args.foundation.workspace
    return Dependencies(
        storage_account_id=args.foundation.storage.account_id,
        vault_id=workspace.vault_id,
        registry_id=workspace.registry_id,
        app_insights_id=args.seen.app_insights_id,
    )


def _doors(
    args: FeaturesArgs, offline: OfflineStore, online: OnlineStore, store: FeatureStore
) -> PrivateEndpoints | None:
    network = args.foundation.network
    if network is None:
        return None
    targets: dict[str, pulumi.Input[str]] = {
        "blob": offline.account_id,
        "dfs": offline.account_id,
        "redisEnterprise": online.cluster_id,
        "amlworkspace": store.store_id,
    }
    doors = PrivateEndpointsArgs(place=args.place, network=network, targets=targets, prefix="features")
    return PrivateEndpoints("feature-private", doors)


def build_load_testing(settings: Settings, place: Placement, endpoints: dict[str, Endpoint]) -> LoadTesting | None:
    """Declare load testing; None where the stack has none."""
    if not settings.load_testing.enabled:
        return None
    endpoint_ids = {use_case: each.endpoint_id for use_case, each in endpoints.items()}
    return LoadTesting("load-test", LoadTestingArgs(place=place, endpoint_ids=endpoint_ids))
