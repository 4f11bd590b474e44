"""The gateway of a stack: Front Door, API Management and an API for each endpoint, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pulumi

from components.base import Placement
from components.foundation import Foundation
from components.gateway.api import ScoringApi, ScoringApiArgs
from components.gateway.api_management import ApiManagement, ApiManagementArgs
from components.gateway.front_door import FrontDoor, FrontDoorArgs, OriginArgs
from components.gateway.openapi import HEALTH_PATH
from components.gateway.problems import exposed
from components.gateway.tiers import TIERS
from components.identity.apps import Identity
from components.identity.custom_roles import SCORER
from components.observability.logs import Observability
from components.serving.endpoint import Endpoint
from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """The gateway's components. `scoring_urls`: what callers post to, by use case."""

    front_door: FrontDoor
    api_management: ApiManagement
    apis: Mapping[str, ScoringApi]

    @property
    def scoring_urls(self) -> dict[str, pulumi.Output[str]]:
        """By use case."""
        return self._urls("/score")

    @property
    def health_urls(self) -> dict[str, pulumi.Output[str]]:
        """By use case: what answers 200 without a token while the gateway reaches the endpoint."""
        return self._urls(HEALTH_PATH)

    def _urls(self, path: str) -> dict[str, pulumi.Output[str]]:
        host = self.front_door.host_name
        return {name: pulumi.Output.concat("https://", host, "/", api.path, path) for name, api in self.apis.items()}

    @property
    def components(self) -> tuple[pulumi.Resource, ...]:
        """For what has to come after all of it."""
        return (self.front_door, self.api_management, *self.apis.values())


def build_gateway(
    settings: Settings,
    place: Placement,
    foundation: Foundation,
    seen: Observability,
    endpoints: Mapping[str, Endpoint],
    identity: Identity | None,
) -> Gateway | None:
    """Declare the gateway; None where the stack has none."""
    if not settings.gateway.enabled:
        return None
    wanted = settings.gateway
    door = FrontDoor(
        "front-door",
        FrontDoorArgs(place=place, settings=wanted.front_door, log_analytics_id=seen.log_analytics_id),
    )
    service = ApiManagement(
        "api-management",
        ApiManagementArgs(
            place=place,
            settings=wanted.api_management,
            subnet_id=_subnet(settings, foundation),
            app_insights_id=seen.app_insights_id,
            connection_string=seen.app_insights_connection,
            log_analytics_id=seen.log_analytics_id,
            reads_vault=any(wanted.of(name).key_secret for name in exposed(settings)),
        ),
    )
    tier = TIERS[wanted.api_management.sku]
    private = tier.private_link and settings.network.enabled
    door.lead_to(OriginArgs(host_name=service.host_name, private_link_id=service.service_id if private else None))
    common = partial(
        ScoringApiArgs,
        place=place,
        service=wanted.api_management,
        service_name=service.service_name,
        principal=service.principal,
        client_id=service.client_id,
        vault_principal=service.vault_principal,
        front_door_id=door.front_door_id,
        vault_id=foundation.workspace.vault_id,
        vault_name=place.names.of("key vault"),
        scorer=identity.roles.get(SCORER.key) if identity else None,
    )
    apis = {name: _api(settings, name, endpoints[name], common) for name in exposed(settings)}
    return Gateway(front_door=door, api_management=service, apis=apis)


def _subnet(settings: Settings, foundation: Foundation) -> pulumi.Output[str] | None:
    if foundation.network is None or TIERS[settings.gateway.api_management.sku].vnet == "none":
        return None
    return foundation.network.subnet_ids["gateway"]


def _api(settings: Settings, use_case: str, endpoint: Endpoint, common: Callable[..., ScoringApiArgs]) -> ScoringApi:
    args = common(
        use_case=use_case,
        model=settings.endpoints[use_case].model,
        settings=settings.gateway.of(use_case),
        endpoint_id=endpoint.endpoint_id,
        scoring_uri=endpoint.scoring_uri,
    )
    return ScoringApi(f"gateway-{use_case}", args)
