"""Cost lines of the feature store and of load testing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contract.outputs import CostLine

if TYPE_CHECKING:
    from components.cost.prices import PriceBook
    from components.settings import Settings


def feature_lines(settings: Settings, book: PriceBook) -> Iterator[CostLine]:
    """Redis and the offline store; materialization's Spark hours depend on the features and are not in it."""
    store = settings.feature_store
    if store.enabled:
        nodes = 2 if store.redis.high_availability else 1
        hourly = book.redis_hour[store.redis.sku]
        usd = nodes * hourly * book.hours_per_month
        basis = f"{store.redis.sku}, {nodes} node(s), {book.hours_per_month} h at {hourly:g} USD"
        yield CostLine(component="online store", monthly_usd=round(usd, 2), basis=f"{basis}; list, unverified")
        price, size = book.storage_gb_month[store.offline_sku], settings.usage.features_gb
        basis = f"{size:g} GB of {store.offline_sku} at {price:g} USD; Spark hours of materialization not included"
        yield CostLine(component="offline store", monthly_usd=round(price * size, 2), basis=basis)
    if settings.load_testing.enabled:
        prices, hours = book.load_testing, settings.usage.load_test_hours
        usd = prices.resource_month + max(0.0, hours - prices.included_hours) * prices.virtual_user_hour
        basis = f"{hours:g} virtual user hours, first {prices.included_hours:g} in the monthly {prices.resource_month:g} USD"
        yield CostLine(component="load testing", monthly_usd=round(usd, 2), basis=f"{basis}; list, unverified")
