"""What the gateway's settings need of each other and of the stack. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from components.config_errors import Problem, missing
from components.gateway.tiers import SMALLEST_SUBNET, TIERS

if TYPE_CHECKING:
    from components.settings import Settings


def problems_of_gateway(settings: Settings) -> Iterator[Problem]:
    """Every problem of this block that needs more than one value to be seen."""
    for use_case in settings.gateway.endpoints:
        if use_case not in settings.endpoints:
            known = ", ".join(settings.endpoints)
            yield Problem(f"gateway.endpoints.{use_case}", use_case, f"no such endpoint; known: {known}")
    if not settings.gateway.enabled:
        return
    by_identity = any(settings.endpoints[name].auth_mode == "AADToken" for name in exposed(settings))
    if by_identity and not settings.identity.enabled:
        yield Problem("gateway.enabled", True, "needs identity.enabled: true, which defines the role that may score")
    yield from _service(settings)
    yield from _network(settings)
    yield from _tokens(settings)
    yield from _endpoints(settings)
    if settings.environment == "prod":
        yield from _prod(settings)


def exposed(settings: Settings) -> list[str]:
    """The use cases behind the gateway; what a Kubernetes cluster serves stays inside."""
    if not settings.gateway.enabled:
        return []
    managed = [use_case for use_case, each in settings.endpoints.items() if each.compute == "managed"]
    return [use_case for use_case in managed if settings.gateway.of(use_case).exposed]


def _service(settings: Settings) -> Iterator[Problem]:
    wanted = settings.gateway.api_management
    tier, key = TIERS[wanted.sku], "gateway.apiManagement"
    if wanted.publisher_email is None:
        yield missing(f"{key}.publisherEmail", "is missing; Azure makes no API Management without an address")
    if wanted.units > tier.most_units:
        yield Problem(f"{key}.units", wanted.units, f"{tier.name} has {tier.most_units} at most")
    if not wanted.public_access and not tier.private_link:
        allowed = f"{tier.name} has no private link here; StandardV2 does"
        yield Problem(f"{key}.publicAccess", False, allowed)


def _network(settings: Settings) -> Iterator[Problem]:
    tier, cidr = TIERS[settings.gateway.api_management.sku], settings.network.subnets.gateway
    closed = [name for name in exposed(settings) if not settings.endpoints[name].public_network_access]
    if closed and tier.vnet == "none":
        allowed = (
            f"{tier.name} can't enter a VNet, and endpoints.{closed[0]}.publicNetworkAccess is false; StandardV2 can"
        )
        yield Problem("gateway.apiManagement.sku", tier.name, allowed)
    elif closed and not settings.network.enabled:
        allowed = "false: the gateway reaches it through the VNet only; needs network.enabled: true"
        yield Problem(f"endpoints.{closed[0]}.publicNetworkAccess", False, allowed)
    if not settings.network.enabled or tier.vnet == "none":
        return
    if cidr is None:
        yield missing(
            "network.subnets.gateway", f"is missing; {tier.name} calls the endpoints from it, e.g. 10.20.34.0/24"
        )
    elif IPv4Network(cidr).prefixlen > SMALLEST_SUBNET[tier.vnet]:
        yield Problem("network.subnets.gateway", cidr, f"{tier.name} needs a /{SMALLEST_SUBNET[tier.vnet]} or larger")


def _tokens(settings: Settings) -> Iterator[Problem]:
    tokens, key = settings.gateway.api_management.tokens, "gateway.apiManagement.tokens"
    if not tokens.audiences:
        yield missing(
            f"{key}.audiences", "is missing; without it any token of the tenant would do, e.g. [api://scoring]"
        )
    if tokens.issuer is not None and tokens.openid_configuration is None:
        yield missing(f"{key}.openidConfiguration", f"is missing; gateway needs the keys of {tokens.issuer}")
    if tokens.issuer is None and tokens.openid_configuration is not None:
        yield Problem(f"{key}.openidConfiguration", tokens.openid_configuration, "only with an issuer beside it")
    if tokens.issuer is not None and tokens.tenant_id is not None:
        yield Problem(f"{key}.tenantId", tokens.tenant_id, "is for Entra ID; there is an issuer of your own")


def _endpoints(settings: Settings) -> Iterator[Problem]:
    paths = Counter(settings.gateway.of(name).path or name for name in exposed(settings))
    if not paths:
        yield Problem("gateway.enabled", True, "no endpoint is exposed; a gateway to nothing costs as much")
    for name in exposed(settings):
        wanted, endpoint, key = settings.gateway.of(name), settings.endpoints[name], f"gateway.endpoints.{name}"
        if paths[wanted.path or name] > 1:
            yield Problem(f"{key}.path", wanted.path or name, "another endpoint has this path; each needs its own")
        yield from _credentials(name, endpoint.auth_mode, wanted.key_secret)
        seconds = endpoint.policy.bake_minutes * 60
        if wanted.prediction_cache_seconds and wanted.prediction_cache_seconds >= seconds:
            allowed = f"below a step's bake of {seconds:g} s, or a rollout judges the answers of the step before"
            yield Problem(f"{key}.predictionCacheSeconds", wanted.prediction_cache_seconds, allowed)
        patience = settings.gateway.front_door.response_timeout_seconds
        if endpoint.request_timeout_ms >= patience * 1000:
            allowed = f"above endpoints.{name}.requestTimeoutMs, which is {endpoint.request_timeout_ms}"
            yield Problem("gateway.frontDoor.responseTimeoutSeconds", patience, allowed)


def _credentials(name: str, auth_mode: str, key_secret: str | None) -> Iterator[Problem]:
    if auth_mode == "AMLToken":
        allowed = "the gateway signs in by identity (AADToken) or by key (Key); an AML token ends within the hour"
        yield Problem(f"endpoints.{name}.authMode", auth_mode, allowed)
    if auth_mode == "Key" and key_secret is None:
        allowed = (
            f"the gateway signs in by identity: set AADToken, or name a secret with gateway.endpoints.{name}.keySecret"
        )
        yield Problem(f"endpoints.{name}.authMode", auth_mode, allowed)
    if auth_mode == "AADToken" and key_secret is not None:
        yield Problem(
            f"gateway.endpoints.{name}.keySecret", key_secret, "only for authMode Key; this one goes by identity"
        )


def _prod(settings: Settings) -> Iterator[Problem]:
    gateway = settings.gateway
    tier = TIERS[gateway.api_management.sku]
    if gateway.front_door.waf_mode != "Prevention":
        yield Problem("gateway.frontDoor.wafMode", gateway.front_door.waf_mode, "prod needs Prevention")
    if not tier.sla:
        yield Problem("gateway.apiManagement.sku", tier.name, "has no SLA; prod needs StandardV2 or Premium")
    elif tier.vnet == "none":
        yield Problem(
            "gateway.apiManagement.sku", tier.name, "prod needs a tier that enters the VNet: StandardV2 or Premium"
        )
    for name in exposed(settings):
        if settings.endpoints[name].public_network_access:
            allowed = "prod needs false behind a gateway, or callers walk around it"
            yield Problem(f"endpoints.{name}.publicNetworkAccess", True, allowed)
