"""API Management: one gateway service for all endpoints, its identity, its traces and logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.gateway.settings import ApiManagementSettings
from components.gateway.tiers import TIERS
from components.identity.managed import Grant, managed_identity
from components.identity.roles import Principal, Role

#: Custom properties that switch old protocols and a weak cipher off, towards callers and towards endpoints.
_SECURITY = "Microsoft.WindowsAzure.ApiManagement.Gateway.Security"
OLD_PROTOCOLS = {
    **{
        f"{_SECURITY}{side}.Protocols.{protocol}": "False"
        for side in ("", ".Backend")
        for protocol in ("Ssl30", "Tls10", "Tls11")
    },
    f"{_SECURITY}.Ciphers.TripleDes168": "False",
}
_CONNECTION = "insights-connection"


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiManagementArgs:
    place: Placement
    settings: ApiManagementSettings
    #: Where it calls the endpoints from; None: over the internet.
    subnet_id: pulumi.Input[str] | None
    app_insights_id: pulumi.Input[str]
    connection_string: pulumi.Input[str]
    log_analytics_id: pulumi.Input[str]
    #: It reads keys in a vault: Azure lets a service past a vault's firewall by its system-assigned identity only.
    reads_vault: bool


class ApiManagement(pulumi.ComponentResource):
    """The service, and the identity that it calls endpoints as.

    Outputs: `service_id`, `service_name`, `gateway_url` (https), `host_name`, `principal` and `client_id` (of that
    identity), `vault_principal` (the one that reads the vault; None if it reads none).
    """

    service_id: pulumi.Output[str]
    service_name: pulumi.Output[str]
    gateway_url: pulumi.Output[str]
    host_name: str
    principal: Principal
    client_id: pulumi.Output[str]
    vault_principal: Principal | None

    def __init__(self, name: str, args: ApiManagementArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:gateway:ApiManagement", name, None, opts)
        self._name, self._args = name, args
        # one of its own: what depends on it is not in doubt whenever the service itself changes
        self._identity = managed_identity(
            f"{name}-identity",
            whose="gateway",
            parent=self,
            place=args.place,
            grants=[Grant("insights", Role.MONITORING_METRICS_PUBLISHER, args.app_insights_id)],
        )
        self.principal, self.client_id = self._identity.principal, self._identity.client_id
        service = self._build_service()
        self.service_id, self.service_name, self.gateway_url = service.id, service.name, service.gateway_url
        self.host_name = f"{args.place.names.of('api management')}.azure-api.net"
        itself = Principal(service.identity.apply(lambda identity: identity.principal_id), service)
        self.vault_principal = itself if args.reads_vault else None
        self._build_traces()
        self._build_logs()
        self.register_outputs({"service_id": self.service_id, "gateway_url": self.gateway_url})

    def _build_service(self) -> Any:
        from pulumi_azure_native import apimanagement

        place, settings = self._args.place, self._args.settings
        in_vnet = self._args.subnet_id is not None
        return apimanagement.ApiManagementService(
            self._name,
            service_name=place.names.of("api management"),
            resource_group_name=place.resource_group,
            location=place.location,
            sku=apimanagement.ApiManagementServiceSkuPropertiesArgs(name=settings.sku, capacity=settings.units),
            publisher_email=settings.publisher_email or "",
            publisher_name=settings.publisher_name,
            identity=apimanagement.ApiManagementServiceIdentityArgs(
                type="SystemAssigned, UserAssigned" if self._args.reads_vault else "UserAssigned",
                user_assigned_identities={self._identity.plain_id: apimanagement.UserIdentityPropertiesArgs()},
            ),
            # External: its own gateway stays reachable by Front Door, calls go out through the subnet
            virtual_network_type="External" if in_vnet else "None",
            virtual_network_configuration=(
                apimanagement.VirtualNetworkConfigurationArgs(subnet_resource_id=self._args.subnet_id)
                if in_vnet
                else None
            ),
            public_network_access="Enabled" if settings.public_access else "Disabled",
            custom_properties=OLD_PROTOCOLS if TIERS[settings.sku].classic else None,
            tags=place.tags,
            # Front Door's connection appears here when it asks for one: the next update must not take it away
            opts=child(self, place, precious=True, after=self._identity.ready, ignore=("privateEndpointConnections",)),
        )

    def _build_traces(self) -> None:
        """To Application Insights by identity. The connection string says where, and is kept as a secret all the same."""
        from pulumi_azure_native import apimanagement

        args, place = self._args, self._args.place
        common = {"service_name": self.service_name, "resource_group_name": place.resource_group}
        connection = apimanagement.NamedValue(
            f"{self._name}-{_CONNECTION}",
            named_value_id=_CONNECTION,
            display_name=_CONNECTION,
            secret=True,
            value=pulumi.Output.secret(args.connection_string),
            **common,
            opts=child(self, place),
        )
        logger = apimanagement.Logger(
            f"{self._name}-logger",
            logger_id="insights",
            logger_type="applicationInsights",
            resource_id=args.app_insights_id,
            credentials={"connectionString": f"{{{{{_CONNECTION}}}}}", "identityClientId": self.client_id},
            is_buffered=True,
            **common,
            opts=child(self, place, after=[connection]),
        )
        # headers and bodies stay out of the traces: they are customers' data
        silent = apimanagement.PipelineDiagnosticSettingsArgs(request=_no_body(), response=_no_body())
        apimanagement.Diagnostic(
            f"{self._name}-traces",
            diagnostic_id="applicationinsights",
            logger_id=logger.id,
            always_log="allErrors",
            sampling=apimanagement.SamplingSettingsArgs(sampling_type="fixed", percentage=args.settings.log_share),
            http_correlation_protocol="W3C",
            log_client_ip=False,
            verbosity="error",
            frontend=silent,
            backend=silent,
            **common,
            opts=child(self, place),
        )

    def _build_logs(self) -> None:
        from pulumi_azure_native import monitor

        monitor.DiagnosticSetting(
            f"{self._name}-logs",
            name="to-log-analytics",
            resource_uri=self.service_id,
            workspace_id=self._args.log_analytics_id,
            logs=[monitor.DiagnosticsLogSettingsArgs(category="GatewayLogs", enabled=True)],
            opts=child(self, self._args.place),
        )


def _no_body() -> Any:
    from pulumi_azure_native import apimanagement

    return apimanagement.HttpMessageDiagnosticArgs(headers=[], body=apimanagement.BodyDiagnosticSettingsArgs(bytes=0))
