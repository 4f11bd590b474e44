"""The resource types that the sandbox knows, one module a provider. To add a type, add a `ResourceType` there."""

from __future__ import annotations

from sandbox.arm.catalogue import (
    access,
    costs,
    dashboards,
    events,
    features,
    insights,
    machinelearning,
    network,
    registries,
    resources,
    storage,
    vaults,
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
    *events.TYPES,
    *network.TYPES,
    *features.TYPES,
)
