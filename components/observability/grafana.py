"""Managed Grafana over logs, metrics and an Azure Monitor workspace, which keeps Prometheus metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.roles import Role, assign, assign_group
from components.observability.settings import GrafanaSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class GrafanaArgs:
    place: Placement
    settings: GrafanaSettings
    #: What Grafana reads besides Prometheus: name to ARM id.
    sources: Mapping[str, pulumi.Input[str]]


class Grafana(pulumi.ComponentResource):
    """Grafana signs in as itself and reads what it shows, nothing more. Outputs: `endpoint` (https), `monitor_workspace_id`."""

    endpoint: pulumi.Output[str]
    monitor_workspace_id: pulumi.Output[str]

    def __init__(self, name: str, args: GrafanaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Grafana", name, None, opts)
        self._name, self._args = name, args
        self.monitor_workspace_id = self._build_prometheus()
        grafana = self._build_grafana()
        self.endpoint = grafana.properties.apply(lambda properties: properties.endpoint)
        self._grant(grafana)
        self.register_outputs({"endpoint": self.endpoint})

    def _build_prometheus(self) -> pulumi.Output[str]:
        from pulumi_azure_native import monitor

        place = self._args.place
        workspace = monitor.AzureMonitorWorkspace(
            f"{self._name}-prometheus",
            azure_monitor_workspace_name=place.names.of("monitor workspace", "prometheus"),
            resource_group_name=place.resource_group,
            location=place.location,
            tags=place.tags,
            opts=child(self, place, precious=True),
        )
        identifier: pulumi.Output[str] = workspace.id
        return identifier

    def _build_grafana(self) -> Any:
        from pulumi_azure_native import dashboard

        place, settings = self._args.place, self._args.settings
        return dashboard.Grafana(
            self._name,
            workspace_name=place.names.of("grafana"),
            resource_group_name=place.resource_group,
            location=place.location,
            sku=dashboard.ResourceSkuArgs(name="Standard"),
            identity=dashboard.ManagedServiceIdentityArgs(type="SystemAssigned"),
            properties=dashboard.ManagedGrafanaPropertiesArgs(
                api_key="Disabled",
                deterministic_outbound_ip="Disabled",
                public_network_access="Enabled" if settings.public_access else "Disabled",
                zone_redundancy="Enabled" if settings.zone_redundant else "Disabled",
                grafana_integrations=dashboard.GrafanaIntegrationsArgs(
                    azure_monitor_workspace_integrations=[
                        dashboard.AzureMonitorWorkspaceIntegrationArgs(
                            azure_monitor_workspace_resource_id=self.monitor_workspace_id
                        )
                    ]
                ),
            ),
            tags=place.tags,
            opts=child(self, place),
        )

    def _grant(self, grafana: Any) -> None:
        args = self._args
        itself = grafana.identity.apply(lambda identity: identity.principal_id)
        for what, source in args.sources.items():
            assign(
                f"{self._name}-{what}",
                Role.MONITORING_READER,
                to=itself,
                scope=source,
                parent=self,
                place=args.place,
                holder=grafana,
            )
        assign(
            f"{self._name}-metrics",
            Role.MONITORING_DATA_READER,
            to=itself,
            scope=self.monitor_workspace_id,
            parent=self,
            place=args.place,
            holder=grafana,
        )
        people = {Role.GRAFANA_ADMIN: args.settings.admins, Role.GRAFANA_VIEWER: args.settings.viewers}
        for role, groups in people.items():
            for group in groups:
                name = f"{self._name}-{role.name.lower().replace('_', '-')}-{group[:8]}"
                assign_group(name, role, to=group, scope=grafana.id, parent=self, place=args.place)
