"""What everything else stands on: network, keys, storage, workspace, model registry, and the locks on what holds data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement
from components.cost.export import export_containers
from components.cost.prices import price_book
from components.events.topics import queued
from components.gateway.subnet import gateway_subnet
from components.network.private_endpoints import PrivateEndpoints, PrivateEndpointsArgs
from components.network.reach import reach_of
from components.network.vnet import FEATURE_ZONES, ZONES, Network, NetworkArgs
from components.observability.logs import Observability
from components.settings import Settings
from components.workspace.encryption import Encryption, EncryptionArgs
from components.workspace.locks import Locks, LocksArgs
from components.workspace.model_registry import ModelRegistry, ModelRegistryArgs
from components.workspace.storage import Storage, StorageArgs
from components.workspace.workspace import Workspace, WorkspaceArgs


@dataclass(frozen=True, kw_only=True, slots=True)
class Foundation:
    """The lowest components; None where the stack has switched one off."""

    network: Network | None
    encryption: Encryption | None
    storage: Storage
    workspace: Workspace
    private_endpoints: PrivateEndpoints | None
    model_registry: ModelRegistry | None

    def cluster_subnet(self, settings: Settings) -> pulumi.Output[str] | None:
        """Where clusters run. The managed network and a subnet of one's own exclude each other."""
        if self.network is None or settings.network.isolation != "Disabled":
            return None
        return self.network.subnet_ids["compute"]

    def is_isolated(self, settings: Settings) -> bool:
        """Whether nodes run in a network of the stack's or of the workspace's own."""
        return self.network is not None or settings.network.isolation != "Disabled"


def build_foundation(settings: Settings, place: Placement, seen: Observability) -> Foundation:
    """Declare the stack's foundation."""
    network = None
    if settings.network.enabled:
        unused = () if settings.functions.enabled else ("functions",)
        groups = (*ZONES, *(FEATURE_ZONES if settings.feature_store.enabled else ()))
        uses = {"gateway": gateway_subnet(settings)}
        args = NetworkArgs(place=place, settings=settings.network, unused=unused, groups=groups, uses=uses)
        network = Network("network", args)
    encryption = _encryption(settings, place)
    storage = _storage(settings, place, encryption)
    workspace = _workspace(settings, place, storage, seen, encryption)
    return Foundation(
        network=network,
        encryption=encryption,
        storage=storage,
        workspace=workspace,
        private_endpoints=_private_endpoints(settings, place, network, storage, workspace),
        model_registry=_model_registry(settings, place, workspace),
    )


def _encryption(settings: Settings, place: Placement) -> Encryption | None:
    if not settings.encryption.customer_managed_key:
        return None
    args = EncryptionArgs(
        place=place,
        settings=settings.encryption,
        soft_delete_days=settings.key_vault.soft_delete_days,
        reach=reach_of(settings),
    )
    return Encryption("encryption", args)


def _storage(settings: Settings, place: Placement, encryption: Encryption | None) -> Storage:
    args = StorageArgs(
        place=place,
        settings=settings.storage,
        queues=queued(settings.events, deployed=settings.functions.deployed),
        containers=[*(store.container for store in settings.datastores.values()), *export_containers(settings)],
        reach=reach_of(settings),
        key=encryption.key if encryption else None,
    )
    return Storage("storage", args)


def _workspace(
    settings: Settings, place: Placement, storage: Storage, seen: Observability, encryption: Encryption | None
) -> Workspace:
    args = WorkspaceArgs(
        place=place,
        key_vault=settings.key_vault,
        registry=settings.registry,
        storage_account_id=storage.account_id,
        storage_account_name=storage.account_name,
        app_insights_id=seen.app_insights_id,
        shared_key_access=settings.storage.allow_shared_key_access,
        network=settings.network,
        datastores=settings.datastores,
        containers=storage.containers,
        image_builder=image_builder(settings),
        reach=reach_of(settings),
        key=encryption.key if encryption else None,
    )
    return Workspace("workspace", args)


def image_builder(settings: Settings) -> str | None:
    """The cluster that builds images: Azure's own builders can't reach a private registry. The first without GPUs."""
    if settings.network.public_access:
        return None
    sizes = price_book().virtual_machines
    plain = [name for name, cluster in sorted(settings.clusters.items()) if not sizes[cluster.vm_size].gpus]
    return next(iter(plain), None)


def _private_endpoints(
    settings: Settings, place: Placement, network: Network | None, storage: Storage, workspace: Workspace
) -> PrivateEndpoints | None:
    if network is None:
        return None
    targets: dict[str, pulumi.Input[str]] = {"blob": storage.account_id, "file": storage.account_id}
    if queued(settings.events, deployed=settings.functions.deployed):
        targets["queue"] = storage.account_id
    targets |= {
        "vault": workspace.vault_id,
        "registry": workspace.registry_id,
        "amlworkspace": workspace.workspace_id,
    }
    return PrivateEndpoints("private", PrivateEndpointsArgs(place=place, network=network, targets=targets))


def _model_registry(settings: Settings, place: Placement, workspace: Workspace) -> ModelRegistry | None:
    if not settings.model_registry.used:
        return None
    args = ModelRegistryArgs(
        place=place,
        settings=settings.model_registry,
        reach=reach_of(settings),
        holder=workspace.identity,
        principal_id=workspace.principal_id,
    )
    return ModelRegistry("model-registry", args)


def foundation_outputs(foundation: Foundation) -> dict[str, Any]:
    """What the contract has of the foundation."""
    network, doors, models = foundation.network, foundation.private_endpoints, foundation.model_registry
    key = foundation.encryption.key if foundation.encryption else None
    return {
        "network": {
            "vnet_id": network.vnet_id if network else "",
            "subnet_ids": network.subnet_ids if network else {},
            "private_endpoints": doors.endpoint_ids if doors else {},
        },
        "container_registry": {"name": foundation.workspace.registry_name, "id": foundation.workspace.registry_id},
        "model_registry": models.document() if models else None,
        "encryption": (
            {"key_name": key.key_name, "key_uri": key.key_uri, "vault_id": key.vault_id} if key is not None else None
        ),
    }


def lock_data(
    settings: Settings,
    place: Placement,
    foundation: Foundation,
    seen: Observability,
    after: Sequence[pulumi.Resource | None],
    more: Mapping[str, pulumi.Input[str]] | None = None,
) -> Locks | None:
    """Lock what holds data, and `more` by name, once all that is `after` is made; None where the stack does not ask for it."""
    if not settings.lock_data:
        return None
    targets: dict[str, pulumi.Input[str]] = {
        "storage": foundation.storage.account_id,
        "vault": foundation.workspace.vault_id,
        "registry": foundation.workspace.registry_id,
        "logs": seen.log_analytics_id,
    }
    if foundation.encryption is not None:
        targets["key-vault"] = foundation.encryption.key.vault_id
    if foundation.model_registry is not None and settings.model_registry.create:
        targets["model-registry"] = foundation.model_registry.registry_id
    targets |= more or {}
    below = (
        foundation.storage,
        foundation.workspace,
        foundation.encryption,
        foundation.private_endpoints,
        foundation.model_registry,
        seen,
        *after,
    )
    args = LocksArgs(place=place, targets=targets, after=[each for each in below if each is not None])
    return Locks("lock", args)
