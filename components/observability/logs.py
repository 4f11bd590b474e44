"""Where logs, traces and alerts go: Log Analytics, Application Insights, the action groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.observability.action_groups import build_groups
from components.observability.settings import AlertSettings, LogSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservabilityArgs:
    place: Placement
    logs: LogSettings
    alerts: AlertSettings


class Observability(pulumi.ComponentResource):
    """Log Analytics, Application Insights on top of it, and whom alerts tell.

    Outputs: `log_analytics_id`, `log_analytics_customer_id` (the id that queries go by), `app_insights_id`, `app_insights_connection` (string),
    `action_group_ids` (by severity: sev1, sev2, sev3), `action_group_id` (sev3: what can wait, and the budget).
    """

    log_analytics_id: pulumi.Output[str]
    log_analytics_customer_id: pulumi.Output[str]
    app_insights_id: pulumi.Output[str]
    app_insights_connection: pulumi.Output[str]
    action_group_id: pulumi.Output[str]
    action_group_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Observability", name, None, opts)
        self._name, self._args = name, args
        logs = self._build_logs()
        self.log_analytics_id, self.log_analytics_customer_id = logs.id, logs.customer_id
        insights = self._build_insights(logs.id)
        self.app_insights_id, self.app_insights_connection = insights.id, insights.connection_string
        groups = build_groups(self._name, args.place, args.alerts, self)
        self.action_group_ids = {group: each.id for group, each in groups.items()}
        self.action_group_id = self.action_group_ids["sev3"]
        self.register_outputs({"log_analytics_id": self.log_analytics_id, "action_group_ids": self.action_group_ids})

    def _build_logs(self) -> Any:
        from pulumi_azure_native import operationalinsights

        place, logs = self._args.place, self._args.logs
        return operationalinsights.Workspace(
            f"{self._name}-logs",
            workspace_name=place.names.of("log analytics workspace", "logs"),
            resource_group_name=place.resource_group,
            location=place.location,
            sku={"name": "PerGB2018"},
            retention_in_days=logs.retention_days,
            workspace_capping={"daily_quota_gb": logs.daily_cap_gb} if logs.daily_cap_gb else None,
            features={"enable_log_access_using_only_resource_permissions": True},
            tags=place.tags,
            opts=child(self, place, precious=True),
        )

    def _build_insights(self, logs_id: pulumi.Output[str]) -> Any:
        from pulumi_azure_native import applicationinsights

        place = self._args.place
        return applicationinsights.Component(
            f"{self._name}-insights",
            resource_name_=place.names.of("application insights", "insights"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="web",
            application_type="web",
            ingestion_mode="LogAnalytics",
            workspace_resource_id=logs_id,
            tags=place.tags,
            opts=child(self, place),
        )
