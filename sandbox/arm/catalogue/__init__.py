"""The resource types that the sandbox knows, one module a provider. To add a type, add a `ResourceType` there."""

from __future__ import annotations

from sandbox.arm.catalogue import (
    access,
    apimanagement,
    automation,
    collection,
    costs,
    dashboards,
    events,
    features,
    firewall,
    frontdoor,
    insights,
    kubernetes,
    kubernetes_ml,
    machinelearning,
    network,
    registries,
    resources,
    storage,
    vaults,
    web,
)
from sandbox.arm.model import ResourceType

TYPES: tuple[ResourceType, ...] = (
    *resources.TYPES,
    *storage.TYPES,
    *vaults.TYPES,
    *registries.TYPES,
    *insights.TYPES,
    *dashboards.TYPES,
    *machinelearning.TYPES,
    *access.TYPES,
    *costs.TYPES,
    *automation.TYPES,
    *events.TYPES,
    *network.TYPES,
    *kubernetes.TYPES,
    *collection.TYPES,
    *kubernetes_ml.TYPES,
    *web.TYPES,
    *features.TYPES,
    *firewall.TYPES,
    *frontdoor.TYPES,
    *apimanagement.TYPES,
)
