"""Online endpoints. Pulumi owns the endpoint; its deployments and traffic are `rollout`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.serving.live_traffic import Carrier
from components.serving.settings import EndpointSettings

LOG_CATEGORIES = ("AmlOnlineEndpointTrafficLog", "AmlOnlineEndpointConsoleLog", "AmlOnlineEndpointEventLog")


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointArgs:
    place: Placement
    use_case: str
    settings: EndpointSettings
    endpoint_name: str
    #: Plain, because live traffic is read by it before the workspace's outputs are known.
    workspace_name: str
    log_analytics_id: pulumi.Input[str]


class Endpoint(pulumi.ComponentResource):
    """One managed online endpoint and its logs.

    Outputs: `endpoint_id`, `endpoint_name`, `scoring_uri` (https), `principal_id` (of its identity).
    """

    endpoint_id: pulumi.Output[str]
    endpoint_name: pulumi.Output[str]
    scoring_uri: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(self, name: str, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:serving:Endpoint", name, None, opts)
        self._name, self._args = name, args
        endpoint = self._build_endpoint()
        self.endpoint_id, self.endpoint_name = endpoint.id, endpoint.name
        self.scoring_uri = endpoint.properties.apply(lambda properties: properties.scoring_uri)
        self.principal_id = endpoint.identity.apply(lambda identity: identity.principal_id)
        self._build_logs(endpoint.id)
        self.register_outputs({"endpoint_id": self.endpoint_id, "scoring_uri": self.scoring_uri})

    def _build_endpoint(self) -> Any:
        from pulumi_azure_native import machinelearningservices as ml

        args, place, settings = self._args, self._args.place, self._args.settings
        carrier = Carrier(place.resource_group, args.workspace_name, args.endpoint_name)
        return ml.OnlineEndpoint(
            self._name,
            endpoint_name=args.endpoint_name,
            resource_group_name=place.resource_group,
            workspace_name=args.workspace_name,
            location=place.location,
            kind="Managed",
            identity=ml.ManagedServiceIdentityArgs(type="SystemAssigned"),
            properties=ml.OnlineEndpointPropertiesArgs(
                auth_mode=settings.auth_mode,
                description=f"{args.use_case}, served from model {settings.model}",
                public_network_access="Enabled" if settings.public_network_access else "Disabled",
            ),
            tags={**place.tags, "use-case": args.use_case},
            opts=pulumi.ResourceOptions.merge(child(self, place, precious=True), carrier.options(self._name)),
        )

    def _build_logs(self, endpoint_id: pulumi.Output[str]) -> None:
        from pulumi_azure_native import monitor

        monitor.DiagnosticSetting(
            f"{self._name}-logs",
            name="to-log-analytics",
            resource_uri=endpoint_id,
            workspace_id=self._args.log_analytics_id,
            logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in LOG_CATEGORIES],
            opts=child(self, self._args.place),
        )
