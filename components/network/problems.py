"""What the network's settings, keys, registries and datastores need of each other. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Network
from itertools import combinations

from components.config_errors import Problem, missing
from components.naming import COST_EXPORTS, DEAD_LETTERS, JOURNAL
from components.regions import REGIONS
from components.settings import Settings

#: Azure keeps 5 addresses of a subnet; AKS and clusters want room for nodes.
SMALLEST_PREFIX = 29


def problems_of_network(settings: Settings) -> Iterator[Problem]:
    """Every problem of these blocks that needs more than one value to be seen."""
    yield from _subnets(settings)
    yield from _options(settings)
    yield from _model_registry(settings)
    yield from _datastores(settings)
    if settings.environment == "prod":
        yield from _prod(settings)


def _subnets(settings: Settings) -> Iterator[Problem]:
    space = IPv4Network(settings.network.address_space)
    ranges = {name: IPv4Network(cidr) for name, cidr in settings.network.subnets.model_dump(exclude_none=True).items()}
    if not settings.functions.enabled:
        del ranges["functions"]
    for name, cidr in ranges.items():
        key = f"network.subnets.{name}"
        if not cidr.subnet_of(space):
            yield Problem(key, str(cidr), f"must lie inside network.addressSpace, which is {space}")
        if cidr.prefixlen > SMALLEST_PREFIX:
            yield Problem(key, str(cidr), f"Azure's smallest subnet is a /{SMALLEST_PREFIX}")
    for (one, first), (other, second) in combinations(ranges.items(), 2):
        if first.overlaps(second):
            yield Problem(f"network.subnets.{other}", str(second), f"overlaps network.subnets.{one}, which is {first}")


def _options(settings: Settings) -> Iterator[Problem]:
    network = settings.network
    if not network.public_access and not network.enabled:
        yield Problem("network.publicAccess", False, "needs network.enabled: true, or nobody reaches the workspace")
    if network.enabled and settings.registry.sku != "Premium":
        yield Problem("registry.sku", settings.registry.sku, "private endpoints need Premium (network.enabled is true)")
    if network.allowed_ips and network.public_access:
        yield Problem("network.allowedIps", list(network.allowed_ips), "only with network.publicAccess: false")
    if network.outbound_hosts and network.isolation != "AllowOnlyApprovedOutbound":
        allowed = f"only with network.isolation: AllowOnlyApprovedOutbound, which is {network.isolation}"
        yield Problem("network.outboundHosts", list(network.outbound_hosts), allowed)
    if settings.encryption.customer_managed_key and not settings.key_vault.purge_protection:
        yield Problem("encryption.customerManagedKey", True, "needs keyVault.purgeProtection: true")


def _model_registry(settings: Settings) -> Iterator[Problem]:
    registry = settings.model_registry
    if not registry.create and registry.name is not None and registry.resource_group is None:
        yield missing(
            "modelRegistry.resourceGroup", "is missing; say where the other stack's registry is, or create: true"
        )
    if registry.create and registry.resource_group is not None:
        allowed = "only for another stack's registry; with create: true it is in this stack's group"
        yield Problem("modelRegistry.resourceGroup", registry.resource_group, allowed)
    if registry.regions and not registry.create:
        yield Problem("modelRegistry.regions", list(registry.regions), "only with modelRegistry.create: true")
    for region in registry.regions:
        if region not in REGIONS:
            yield Problem("modelRegistry.regions", region, f"unknown Azure region; allowed: {', '.join(REGIONS)}")
        elif region == settings.location:
            yield Problem("modelRegistry.regions", region, "is the stack's own region, which is there anyway")


def _datastores(settings: Settings) -> Iterator[Problem]:
    uses = Counter(store.container for store in settings.datastores.values())
    for name, store in settings.datastores.items():
        key = f"datastores.{name}.container"
        if store.container in (JOURNAL, DEAD_LETTERS, COST_EXPORTS):
            yield Problem(key, store.container, "is the platform's own; choose another")
        elif uses[store.container] > 1:
            yield Problem(key, store.container, f"{uses[store.container]} datastores have it; each needs its own")


def _prod(settings: Settings) -> Iterator[Problem]:
    network = settings.network
    if not network.enabled:
        yield Problem("network.enabled", False, "prod needs true: private endpoints")
    elif network.public_access:
        yield Problem("network.publicAccess", True, "prod needs false")
