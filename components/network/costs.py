"""Cost lines of the network and of the model registry. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contract.outputs import CostLine

if TYPE_CHECKING:
    from components.cost.prices import PriceBook
    from components.settings import Settings

#: blob, file, vault, registry, workspace; the queue where events wait in one, the Functions app's blobs.
_ENDPOINTS = 5
_ZONES = 7
#: blob, dfs, Redis and the feature store; two zones are theirs alone.
_FEATURE_ENDPOINTS, _FEATURE_ZONES = 4, 2


def network_lines(settings: Settings, book: PriceBook) -> Iterator[CostLine]:
    """Private endpoints with their zones, and the managed firewall."""
    network, prices = settings.network, book.network
    if network.enabled:
        waits = any(
            each.webhook_url is None and not (each.function and settings.functions.deployed)
            for each in settings.events.subscriptions.values()
        )
        features, functions = settings.feature_store.enabled, settings.functions.enabled
        count, size = _ENDPOINTS + waits + functions + features * _FEATURE_ENDPOINTS, settings.usage.private_gb
        zones = _ZONES + features * _FEATURE_ZONES
        usd = count * prices.private_endpoint_hour * book.hours_per_month
        usd += size * prices.private_endpoint_gb + zones * prices.dns_zone_month
        basis = (
            f"{count} private endpoints at {prices.private_endpoint_hour:g} USD an hour, {size:g} GB, {zones} DNS zones"
        )
        yield _line("network", usd, f"{basis}; list, unverified")
    if network.outbound_hosts:
        hourly = prices.firewall_hour[network.firewall]
        basis = f"{network.firewall} firewall for {len(network.outbound_hosts)} hosts at {hourly:g} USD an hour"
        yield _line("managed firewall", hourly * book.hours_per_month, f"{basis}; list, unverified")


def model_registry_lines(settings: Settings, book: PriceBook) -> Iterator[CostLine]:
    """The registry's own Premium container registry in each region; models are in `storage`'s estimate."""
    if settings.model_registry.create:
        regions = 1 + len(settings.model_registry.regions)
        price, days = book.registry_day["Premium"], book.hours_per_month / 24
        basis = f"{regions} region(s) x Premium container registry, {days:.1f} days at {price:g} USD"
        yield _line("model registry", regions * price * days, basis)


def _line(component: str, usd: float, basis: str) -> CostLine:
    return CostLine(component=component, monthly_usd=round(usd, 2), basis=basis)
