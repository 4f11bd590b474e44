"""What each tier of API Management can do, as far as the gateway needs it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: integration: outgoing calls through a delegated subnet; injection: the service's own machines stand in the subnet.
Vnet = Literal["none", "integration", "injection"]


@dataclass(frozen=True, slots=True)
class Tier:
    """`private_link`: Front Door can reach it by a private endpoint; an injected service can't have one.

    `classic`: old protocols are switched off by custom properties; the v2 tiers have none of them and no switch.
    """

    name: str
    vnet: Vnet
    private_link: bool
    most_units: int
    sla: bool
    classic: bool


TIERS: dict[str, Tier] = {
    tier.name: tier
    for tier in (
        Tier("Developer", "injection", False, 1, sla=False, classic=True),
        Tier("BasicV2", "none", False, 10, sla=True, classic=False),
        Tier("StandardV2", "integration", True, 10, sla=True, classic=False),
        Tier("Premium", "injection", False, 31, sla=True, classic=True),
    )
}
#: The smallest subnet that a tier takes, and the service that the subnet is handed to.
SMALLEST_SUBNET = {"integration": 27, "injection": 27}
DELEGATION = {"integration": "Microsoft.Web/serverFarms"}
