"""The subnet that API Management calls the endpoints from: who it is handed to, and who may come in. Pure."""

from __future__ import annotations

from components.gateway.tiers import DELEGATION, TIERS
from components.network.vnet import SubnetUse
from components.settings import Settings


def gateway_subnet(settings: Settings) -> SubnetUse:
    """With integration nobody comes in by the subnet; an injected service is managed, probed and called there."""
    vnet = TIERS[settings.gateway.api_management.sku].vnet
    if not settings.gateway.enabled or vnet != "injection":
        return SubnetUse(delegation=DELEGATION.get(vnet) if settings.gateway.enabled else None)
    return SubnetUse(
        inbound=(
            ("allow-front-door", "AzureFrontDoor.Backend", "443"),
            ("allow-management", "ApiManagement", "3443"),
            ("allow-load-balancer", "AzureLoadBalancer", "6390"),
        )
    )
