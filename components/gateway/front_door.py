"""Front Door Premium: the public door, with a firewall that blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.gateway.firewall import PREMIUM, build_firewall
from components.gateway.settings import FrontDoorSettings

#: What API Management answers to without a token, in every tier.
PROBE_PATH = "/status-0123456789abcdef"
_LOGS = ("FrontDoorAccessLog", "FrontDoorHealthProbeLog", "FrontDoorWebApplicationFirewallLog")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontDoorArgs:
    place: Placement
    settings: FrontDoorSettings
    log_analytics_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class OriginArgs:
    """What Front Door leads to: a host, by private link where there is an id for one."""

    host_name: str
    private_link_id: pulumi.Input[str] | None


class FrontDoor(pulumi.ComponentResource):
    """A Front Door profile, its firewall and its one way in. `lead_to` gives it its origin.

    Outputs: `front_door_id` (what origins know it by), `profile_name`, `host_name`, `waf_policy_id`, `domain_token` (for the TXT record
    `_dnsauth.<host name>` of a domain of your own; None without one).
    """

    front_door_id: pulumi.Output[str]
    profile_name: pulumi.Output[str]
    host_name: pulumi.Output[str]
    waf_policy_id: pulumi.Output[str]
    domain_token: pulumi.Output[str] | None

    def __init__(self, name: str, args: FrontDoorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:gateway:FrontDoor", name, None, opts)
        self._name, self._args = name, args
        self._profile = self._build_profile()
        self.front_door_id, self.profile_name = self._profile.front_door_id, self._profile.name
        self._endpoint = self._build_endpoint()
        self._domain = self._build_domain() if args.settings.host_name else None
        self.host_name = (
            pulumi.Output.from_input(args.settings.host_name) if args.settings.host_name else self._endpoint.host_name
        )
        self.domain_token = self._domain.validation_properties.validation_token if self._domain else None
        self.waf_policy_id = build_firewall(f"{name}-firewall", self, args.place, args.settings)
        self._build_security()
        self._build_logs()
        self.register_outputs({"host_name": self.host_name, "waf_policy_id": self.waf_policy_id})

    def lead_to(self, origin: OriginArgs) -> None:
        """The origin, its probe and the route: https only."""
        from pulumi_azure_native import cdn

        place, settings = self._args.place, self._args.settings
        group = cdn.AFDOriginGroup(
            f"{self._name}-origins",
            origin_group_name="api-management",
            profile_name=self._profile.name,
            resource_group_name=place.resource_group,
            health_probe_settings=cdn.HealthProbeParametersArgs(
                probe_path=PROBE_PATH,
                probe_protocol=cdn.ProbeProtocol.HTTPS,
                probe_request_type=cdn.HealthProbeRequestType.GET,
                probe_interval_in_seconds=settings.probe_seconds,
            ),
            load_balancing_settings=cdn.LoadBalancingSettingsParametersArgs(
                sample_size=4, successful_samples_required=3, additional_latency_in_milliseconds=50
            ),
            session_affinity_state="Disabled",
            opts=child(self, place),
        )
        made = cdn.AFDOrigin(
            f"{self._name}-origin",
            origin_name="api-management",
            origin_group_name=group.name,
            profile_name=self._profile.name,
            resource_group_name=place.resource_group,
            host_name=origin.host_name,
            origin_host_header=origin.host_name,
            https_port=443,
            http_port=80,
            priority=1,
            weight=1000,
            enabled_state="Enabled",
            enforce_certificate_name_check=True,
            shared_private_link_resource=self._private_link(origin),
            opts=child(self, place),
        )
        self._build_route(group, made)

    def _private_link(self, origin: OriginArgs) -> Any:
        from pulumi_azure_native import cdn

        if origin.private_link_id is None:
            return None
        return cdn.SharedPrivateLinkResourcePropertiesArgs(
            group_id="Gateway",
            private_link=cdn.ResourceReferenceArgs(id=origin.private_link_id),
            private_link_location=self._args.place.location,
            request_message=f"Front Door of {self._args.place.names.workload}-{self._args.place.names.stack}",
        )

    def _build_profile(self) -> Any:
        from pulumi_azure_native import cdn

        place = self._args.place
        return cdn.Profile(
            self._name,
            profile_name=place.names.of("front door profile"),
            resource_group_name=place.resource_group,
            location="global",
            sku=PREMIUM,
            origin_response_timeout_seconds=self._args.settings.response_timeout_seconds,
            tags=place.tags,
            opts=child(self, place),
        )

    def _build_endpoint(self) -> Any:
        from pulumi_azure_native import cdn

        place = self._args.place
        return cdn.AFDEndpoint(
            f"{self._name}-endpoint",
            endpoint_name=place.names.of("front door endpoint"),
            profile_name=self._profile.name,
            resource_group_name=place.resource_group,
            location="global",
            enabled_state="Enabled",
            tags=place.tags,
            # clients know it by its host name
            opts=child(self, place, precious=True),
        )

    def _build_domain(self) -> Any:
        from pulumi_azure_native import cdn

        place, host = self._args.place, self._args.settings.host_name or ""
        return cdn.AFDCustomDomain(
            f"{self._name}-domain",
            custom_domain_name=host.replace(".", "-"),
            host_name=host,
            profile_name=self._profile.name,
            resource_group_name=place.resource_group,
            tls_settings=cdn.AFDDomainHttpsParametersArgs(
                certificate_type="ManagedCertificate", minimum_tls_version=cdn.AfdMinimumTlsVersion.TLS12
            ),
            opts=child(self, place),
        )

    def _build_route(self, group: Any, origin: pulumi.Resource) -> None:
        from pulumi_azure_native import cdn

        place = self._args.place
        cdn.Route(
            f"{self._name}-route",
            route_name="scoring",
            endpoint_name=self._endpoint.name,
            profile_name=self._profile.name,
            resource_group_name=place.resource_group,
            origin_group={"id": group.id},
            custom_domains=[{"id": self._domain.id}] if self._domain else None,
            patterns_to_match=["/*"],
            supported_protocols=["Https"],
            https_redirect="Disabled",
            forwarding_protocol="HttpsOnly",
            link_to_default_domain="Disabled" if self._domain else "Enabled",
            enabled_state="Enabled",
            # Azure refuses a route to a group without an origin
            opts=child(self, place, after=[origin]),
        )

    def _build_security(self) -> None:
        """The firewall stands before every name of the endpoint."""
        from pulumi_azure_native import cdn

        place = self._args.place
        domains = [each.id for each in (self._endpoint, self._domain) if each is not None]
        cdn.SecurityPolicy(
            f"{self._name}-security",
            security_policy_name="firewall",
            profile_name=self._profile.name,
            resource_group_name=place.resource_group,
            parameters=cdn.SecurityPolicyWebApplicationFirewallParametersArgs(
                type="WebApplicationFirewall",
                waf_policy=cdn.ResourceReferenceArgs(id=self.waf_policy_id),
                associations=[
                    cdn.SecurityPolicyWebApplicationFirewallAssociationArgs(
                        domains=[cdn.ActivatedResourceReferenceArgs(id=each) for each in domains],
                        patterns_to_match=["/*"],
                    )
                ],
            ),
            opts=child(self, place),
        )

    def _build_logs(self) -> None:
        from pulumi_azure_native import monitor

        monitor.DiagnosticSetting(
            f"{self._name}-logs",
            name="to-log-analytics",
            resource_uri=self._profile.id,
            workspace_id=self._args.log_analytics_id,
            logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in _LOGS],
            opts=child(self, self._args.place),
        )
