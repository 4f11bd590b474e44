"""How the components fit together: one stack's platform out of its settings."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.aliases import without_api_versions
from components.base import Placement, standard_tags
from components.compute.clusters import Clusters, ClustersArgs
from components.config import names_of
from components.cost.build import Spending, build_spending
from components.cost.prices import estimate, over_budget
from components.events.functions import Functions
from components.events.topics import Events, EventsArgs
from components.events.wiring import build_functions, drive_rollouts
from components.feature_store.build import Features, FeaturesArgs, build_features, build_load_testing
from components.feature_store.load_testing import LoadTesting
from components.fixed import refuse_fixed
from components.foundation import Foundation, build_foundation, lock_data
from components.gateway.build import Gateway, build_gateway
from components.gateway.health import HEALTHY
from components.identity.apps import Identity, IdentityArgs
from components.identity.custom_roles import Where
from components.kubernetes.build import Kubernetes, build_kubernetes, parts_of
from components.observability.availability import Door
from components.observability.logs import Observability, ObservabilityArgs
from components.observability.reachable import managed, open_to_all
from components.observability.watch import Watch, Watched, WatchedEndpoint, build_watch
from components.serving.batch import BatchEndpoint
from components.serving.build import build_serving
from components.serving.endpoint import Endpoint
from components.settings import Settings
from components.workspace.storage import Storage
from components.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """The stack's components."""

    place: Placement
    storage: Storage
    observability: Observability
    workspace: Workspace
    clusters: Clusters
    endpoints: dict[str, Endpoint]
    batch_endpoints: dict[str, BatchEndpoint]
    watch: Watch
    spending: Spending
    events: Events
    functions: Functions | None
    identity: Identity | None
    gateway: Gateway | None
    foundation: Foundation
    kubernetes: Kubernetes | None
    features: Features | None
    load_testing: LoadTesting | None


def build(settings: Settings, project: str) -> Platform:
    """Declare everything that the stack has; `SettingsError`, before any resource, for what Azure fixed when it was made."""
    pulumi.runtime.register_stack_transformation(without_api_versions)
    if warning := over_budget(estimate(settings)):
        pulumi.log.warn(warning)
    place = _place(settings, project)
    seen = Observability("observability", ObservabilityArgs(place=place, logs=settings.logs, alerts=settings.alerts))
    foundation = build_foundation(settings, place, seen)
    storage, workspace = foundation.storage, foundation.workspace
    clusters = _clusters(settings, place, foundation)
    kubernetes = build_kubernetes(settings, place, foundation, seen)
    aks = kubernetes.cluster.cluster_id if kubernetes else None
    spending = build_spending(settings, place, seen, foundation, kubernetes_id=aks)
    serving = build_serving(settings, place, foundation, seen, kubernetes)
    functions = build_functions(settings, place, foundation, seen)
    events = Events(
        "events",
        EventsArgs(
            place=place,
            settings=settings.events,
            workspace_id=workspace.workspace_id,
            storage=storage,
            app_id=functions.app_id if functions and settings.functions.deployed else None,
        ),
    )
    identity = _identity(settings, place, foundation, events, serving.online, seen)
    drive_rollouts(settings, functions, identity)
    features = build_features(
        settings,
        FeaturesArgs(place=place, foundation=foundation, seen=seen, clusters=clusters, endpoints=serving.online),
    )
    gateway = build_gateway(settings, place, foundation, seen, serving.online, identity)
    endpoints = _watched_endpoints(settings, place, serving.online, gateway)
    watch = build_watch(settings, place, seen, _watched(place, foundation, endpoints, events, kubernetes))
    below = [events, functions, identity, clusters, *parts_of(kubernetes), *watch.below_data, *serving.online.values()]
    below += spending.parts
    if features:
        below += features.components
    if gateway:
        below += gateway.components
    lock_data(settings, place, foundation, seen, after=below, more=features.holds_data if features else None)
    return Platform(
        place=place,
        storage=storage,
        observability=seen,
        workspace=workspace,
        clusters=clusters,
        endpoints=serving.online,
        batch_endpoints=serving.batch,
        watch=watch,
        spending=spending,
        events=events,
        functions=functions,
        identity=identity,
        gateway=gateway,
        foundation=foundation,
        kubernetes=kubernetes,
        features=features,
        load_testing=build_load_testing(settings, place, serving.online),
    )


def _place(settings: Settings, project: str) -> Placement:
    """The resource group, and the place inside it."""
    from pulumi_azure_native import authorization, resources

    client = authorization.get_client_config()
    names = names_of(settings, client.subscription_id)
    refuse_fixed(settings, names)
    group_name = settings.resource_group or names.of("resource group")
    tags = standard_tags(settings, project)
    group = resources.ResourceGroup(
        "group",
        resource_group_name=group_name,
        location=settings.location,
        tags=tags,
        opts=pulumi.ResourceOptions(protect=settings.protect_data or None),
    )
    return Placement(
        resource_group=group_name,
        location=settings.location,
        subscription_id=client.subscription_id,
        tenant_id=client.tenant_id,
        names=names,
        tags=tags,
        protect_data=settings.protect_data,
        after=(group,),
    )


def _clusters(settings: Settings, place: Placement, foundation: Foundation) -> Clusters:
    registry = foundation.model_registry
    args = ClustersArgs(
        place=place,
        workspace_name=foundation.workspace.workspace_name,
        clusters=settings.clusters,
        storage_account_id=foundation.storage.account_id,
        registry_id=foundation.workspace.registry_id,
        model_registry_id=registry.registry_id if registry else None,
        subnet_id=foundation.cluster_subnet(settings),
        public_nodes=settings.network.public_access and not foundation.is_isolated(settings),
    )
    return Clusters("cluster", args)


def _watched(
    place: Placement,
    foundation: Foundation,
    endpoints: dict[str, WatchedEndpoint],
    events: Events,
    kubernetes: Kubernetes | None,
) -> Watched:
    return Watched(
        endpoints=endpoints,
        workspace_id=foundation.workspace.workspace_id,
        storage_id=foundation.storage.account_id,
        vault_id=foundation.workspace.vault_id,
        registry_id=foundation.workspace.registry_id,
        topic_id=events.topic_id,
        kubernetes_id=kubernetes.cluster.cluster_id if kubernetes else None,
    )


def _watched_endpoints(
    settings: Settings, place: Placement, endpoints: dict[str, Endpoint], gateway: Gateway | None
) -> dict[str, WatchedEndpoint]:
    """Azure has no metrics and no traffic log of Kubernetes endpoints, so only the others are watched by those."""
    return {
        use_case: WatchedEndpoint(
            name=settings.endpoints[use_case].name or place.names.endpoint(use_case),
            id=endpoints[use_case].endpoint_id,
            door=_door(settings, use_case, endpoints[use_case], gateway),
        )
        for use_case in managed(settings)
    }


def _door(settings: Settings, use_case: str, endpoint: Endpoint, gateway: Gateway | None) -> Door | None:
    """The gateway's health operation, or else the endpoint itself, which turns callers without a credential away."""
    if gateway is not None and use_case in gateway.apis:
        return Door(address=gateway.health_urls[use_case], status=HEALTHY)
    return Door(address=endpoint.scoring_uri, status=401) if open_to_all(settings, use_case) else None


def _identity(
    settings: Settings,
    place: Placement,
    foundation: Foundation,
    events: Events,
    endpoints: dict[str, Endpoint],
    seen: Observability,
) -> Identity | None:
    if not settings.identity.enabled:
        return None
    storage = foundation.storage
    journal = pulumi.Output.concat(storage.account_id, "/blobServices/default/containers/", storage.journal_container)
    scopes: dict[Where, pulumi.Input[str]] = {
        Where.GROUP: place.group_id,
        Where.WORKSPACE: foundation.workspace.workspace_id,
        Where.JOURNAL: journal,
        Where.TOPIC: events.topic_id,
        Where.LOGS: seen.log_analytics_id,
    }
    args = IdentityArgs(
        place=place,
        settings=settings.identity,
        scopes=scopes,
        endpoint_identities={use_case: each.identity.id for use_case, each in endpoints.items()},
        scales=any(each.scale and each.compute == "managed" for each in settings.endpoints.values()),
        scores_by_identity=any(each.auth_mode == "AADToken" for each in settings.endpoints.values()),
        parks=bool(settings.off_hours.park_idle_minutes),
        on_cluster=any(each.compute == "kubernetes" for each in settings.endpoints.values()),
        scores_files=bool(settings.batch_endpoints),
    )
    return Identity("identity", args)
