"""Cost lines of the gateway. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contract.outputs import CostLine

if TYPE_CHECKING:
    from components.cost.prices import PriceBook
    from components.settings import Settings


def gateway_lines(settings: Settings, book: PriceBook) -> Iterator[CostLine]:
    """Front Door and API Management: both cost the same whether anybody calls or not; requests come on top."""
    if not settings.gateway.enabled:
        return
    prices, requests, wanted = book.gateway, settings.usage.gateway_requests, settings.gateway.api_management
    door = prices.front_door_month + requests / 10_000 * prices.front_door_per_10k_requests
    basis = f"Premium at {prices.front_door_month:g} USD a month, firewall included, and {requests:,} requests"
    yield CostLine(component="front door", monthly_usd=round(door, 2), basis=f"{basis}; list, unverified")
    unit = prices.api_management_month[wanted.sku]
    basis = f"{wanted.units} unit(s) of {wanted.sku} at {unit:g} USD a month; list, unverified"
    yield CostLine(component="api management", monthly_usd=round(unit * wanted.units, 2), basis=basis)
