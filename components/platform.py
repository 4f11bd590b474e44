"""How the components fit together: one stack's platform out of its settings."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.base import Placement, standard_tags
from components.compute.clusters import Clusters, ClustersArgs
from components.config import names_of
from components.cost.budget import Budget, BudgetArgs
from components.events.topics import Events, EventsArgs
from components.feature_store.build import Features, FeaturesArgs, build_features, build_load_testing
from components.feature_store.load_testing import LoadTesting
from components.foundation import Foundation, build_foundation, lock_data
from components.identity.apps import Identity, IdentityArgs
from components.identity.custom_roles import Where
from components.observability.logs import Observability, ObservabilityArgs
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
    events: Events
    identity: Identity | None
    foundation: Foundation
    features: Features | None
    load_testing: LoadTesting | None


def build(settings: Settings, project: str) -> Platform:
    """Declare everything that the stack has."""
    place = _place(settings, project)
    seen = Observability("observability", ObservabilityArgs(place=place, logs=settings.logs, alerts=settings.alerts))
    foundation = build_foundation(settings, place, seen)
    storage, workspace = foundation.storage, foundation.workspace
    if settings.budget.enabled:
        Budget("budget", BudgetArgs(place=place, settings=settings.budget, action_group_id=seen.action_group_id))
    clusters = _clusters(settings, place, foundation)
    serving = build_serving(settings, place, foundation, seen)
    events = Events(
        "events",
        EventsArgs(place=place, settings=settings.events, workspace_id=workspace.workspace_id, storage=storage),
    )
    identity = _identity(settings, place, foundation, events, serving.online)
    features = build_features(
        settings,
        FeaturesArgs(place=place, foundation=foundation, seen=seen, clusters=clusters, endpoints=serving.online),
    )
    watch = _watch(settings, place, seen, foundation, serving.online, events)
    below = [events, identity, clusters, *watch.below_data, *serving.online.values()]
    if features:
        below += features.components
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
        events=events,
        identity=identity,
        foundation=foundation,
        features=features,
        load_testing=build_load_testing(settings, place, serving.online),
    )


def _place(settings: Settings, project: str) -> Placement:
    """The resource group, and the place inside it."""
    from pulumi_azure_native import authorization, resources

    client = authorization.get_client_config()
    names = names_of(settings, client.subscription_id)
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


def _watch(
    settings: Settings,
    place: Placement,
    seen: Observability,
    foundation: Foundation,
    endpoints: dict[str, Endpoint],
    events: Events,
) -> Watch:
    watched = Watched(
        endpoints={
            use_case: WatchedEndpoint(
                name=settings.endpoints[use_case].name or place.names.endpoint(use_case),
                id=each.endpoint_id,
                address=each.scoring_uri,
            )
            for use_case, each in endpoints.items()
        },
        workspace_id=foundation.workspace.workspace_id,
        storage_id=foundation.storage.account_id,
        vault_id=foundation.workspace.vault_id,
        registry_id=foundation.workspace.registry_id,
        topic_id=events.topic_id,
    )
    return build_watch(settings, place, seen, watched)


def _identity(
    settings: Settings, place: Placement, foundation: Foundation, events: Events, endpoints: dict[str, Endpoint]
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
    }
    args = IdentityArgs(
        place=place,
        settings=settings.identity,
        scopes=scopes,
        endpoint_identities={use_case: each.identity.id for use_case, each in endpoints.items()},
        scales=any(each.scale for each in settings.endpoints.values()),
    )
    return Identity("identity", args)
