"""Settings of the gateway. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.fields import Block, Email, Guid, Word, one_of
from components.gateway.tiers import TIERS

#: What API Management's `validate-content` takes at most.
LARGEST_BODY = 4 * 1024 * 1024
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="two letters, ISO 3166")]
HostName = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=253)]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s]+$", max_length=500)]
Path = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*$", max_length=100)]
Header = Annotated[str, Field(min_length=1, max_length=200)]


class FrontDoorSettings(Block):
    host_name: HostName | None = Field(
        default=None,
        description="your own host name, with a certificate that Front Door keeps; none: the one that Azure makes",
    )
    waf_mode: Literal["Prevention", "Detection"] = Field(
        default="Prevention", description="Detection only logs what it would block; prod needs Prevention"
    )
    default_rule_set: Literal["2.0", "2.1"] = Field(default="2.1", description="version of Microsoft_DefaultRuleSet")
    bot_rule_set: Literal["1.0", "1.1"] = Field(default="1.1", description="version of Microsoft_BotManagerRuleSet")
    requests_per_minute: int = Field(
        default=1000, ge=10, le=1_000_000, description="of one address, at the edge; beyond it is blocked"
    )
    allowed_countries: tuple[Country, ...] = Field(
        default=(), max_length=250, description="addresses of other countries are blocked; none: all may come"
    )
    probe_seconds: int = Field(default=60, ge=5, le=255, description="between two health probes of API Management")
    response_timeout_seconds: int = Field(
        default=60, ge=16, le=240, description="Front Door gives up after this; more than endpoints.*.requestTimeoutMs"
    )


class TokenSettings(Block):
    """Who may call. Entra ID's tokens unless `issuer` names another one."""

    audiences: tuple[Header, ...] = Field(
        default=(),
        description="the token must be made for one of these, e.g. api://scoring; the gateway needs one or more",
    )
    client_ids: tuple[Guid, ...] = Field(default=(), description="apps that may call; none: any with the audience")
    tenant_id: Guid | None = Field(default=None, description="Entra tenant; none: the stack's own")
    issuer: HttpsUrl | None = Field(default=None, description="another identity provider's `iss`; none: Entra ID")
    openid_configuration: HttpsUrl | None = Field(
        default=None, description="where that issuer publishes its keys: .../.well-known/openid-configuration"
    )


class ApiManagementSettings(Block):
    sku: Annotated[str, one_of("tier of API Management", tuple(TIERS))] = Field(
        default="StandardV2",
        description="Developer (no SLA), BasicV2 (no VNet), StandardV2 (VNet integration, private link) or Premium (VNet injection)",
    )
    units: int = Field(default=1, ge=1, description="scale units; Developer has 1")
    publisher_email: Email | None = Field(
        default=None, description="who Azure writes to about the service; it needs one"
    )
    publisher_name: Annotated[str, Field(min_length=1, max_length=100)] = Field(
        default="ML platform", description="shown in its mails and portal"
    )
    requests_per_minute: int = Field(
        default=300, ge=1, le=1_000_000, description="of one caller, told apart by token; beyond it is 429"
    )
    cache_seconds: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="how long answers to GET are kept; scoring is POST, which is never in this cache; 0: no cache",
    )
    max_body_bytes: int = Field(default=102_400, ge=1, le=LARGEST_BODY, description="larger requests are refused")
    log_share: float = Field(default=100.0, ge=0, le=100, description="percent of requests traced; errors always are")
    public_access: bool = Field(
        default=True,
        description="false: private link only; Azure refuses it until somebody has approved Front Door's connection",
    )
    tokens: TokenSettings = TokenSettings()


class GatewayEndpointSettings(Block):
    exposed: bool = Field(default=True, description="false: not behind the gateway")
    path: Path | None = Field(default=None, description="first part of its URL; none: the use case")
    key_secret: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{1,127}$")] | None = Field(
        default=None,
        description="for authMode Key: the secret in the stack's Key Vault that holds the endpoint's key; put it there first",
    )
    prediction_cache_seconds: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="answer the same body from the gateway's cache for so long; a rollout does not see these requests; 0: never",
    )


class GatewaySettings(Block):
    """Front Door with its firewall, and API Management, in front of the online endpoints' scoring."""

    enabled: bool = Field(default=False, description="create the gateway")
    front_door: FrontDoorSettings = FrontDoorSettings()
    api_management: ApiManagementSettings = ApiManagementSettings()
    endpoints: dict[Word, GatewayEndpointSettings] = Field(
        default_factory=dict, description="by use case; endpoints that are not named here are exposed with the defaults"
    )

    def of(self, use_case: str) -> GatewayEndpointSettings:
        """The settings of one endpoint."""
        return self.endpoints.get(use_case, GatewayEndpointSettings())
