"""Alerts of one endpoint: its error rate, from the request log, and its P95 latency, from the platform's metric."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.observability.settings import AlertSettings

METRIC_NAMESPACE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
#: As the rollout counts: the scorer's errors (424), time-outs (408), too busy (429) and the platform's 5xx.
_FAILED = "toint(ResponseCode) >= 500 or toint(ResponseCode) in (408, 424, 429)"


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertsArgs:
    place: Placement
    settings: AlertSettings
    use_case: str
    endpoint_name: str
    endpoint_id: pulumi.Input[str]
    log_analytics_id: pulumi.Input[str]
    action_group_id: pulumi.Input[str]


class EndpointAlerts(pulumi.ComponentResource):
    """Two alert rules that call the action group. Output: `alert_ids`, by rule (`error-rate`, `latency`)."""

    alert_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:serving:EndpointAlerts", name, None, opts)
        self._name, self._args = name, args
        self.alert_ids = {"error-rate": self._build_error_rate(), "latency": self._build_latency()}
        self.register_outputs({"alert_ids": self.alert_ids})

    def _build_error_rate(self) -> pulumi.Output[str]:
        from pulumi_azure_native import monitor

        args, place, rule = self._args, self._args.place, self._args.settings.error_rate
        alert = monitor.ScheduledQueryRule(
            f"{self._name}-error-rate",
            rule_name=place.names.of("alert rule", f"{args.use_case}-error-rate"),
            resource_group_name=place.resource_group,
            location=place.location,
            kind="LogAlert",
            display_name=f"{args.use_case}: over {rule.threshold:.0%} of requests fail",
            description=f"Failed requests of {args.endpoint_name} over {rule.minutes} minutes",
            severity=rule.severity,
            enabled=True,
            scopes=[args.log_analytics_id],
            evaluation_frequency=f"PT{args.settings.every_minutes}M",
            window_size=f"PT{rule.minutes}M",
            auto_mitigate=True,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(
                all_of=[
                    monitor.ConditionArgs(
                        query=error_rate_query(args.endpoint_name, args.settings.min_requests),
                        time_aggregation="Maximum",
                        metric_measure_column="ErrorRate",
                        operator="GreaterThan",
                        threshold=rule.threshold,
                        failing_periods=monitor.ConditionFailingPeriodsArgs(
                            min_failing_periods_to_alert=1, number_of_evaluation_periods=1
                        ),
                    )
                ]
            ),
            actions=monitor.ActionsArgs(action_groups=[args.action_group_id]),
            tags=place.tags,
            opts=child(self, place),
        )
        identifier: pulumi.Output[str] = alert.id
        return identifier

    def _build_latency(self) -> pulumi.Output[str]:
        from pulumi_azure_native import monitor

        args, place, rule = self._args, self._args.place, self._args.settings.latency
        alert = monitor.MetricAlert(
            f"{self._name}-latency",
            rule_name=place.names.of("alert rule", f"{args.use_case}-latency"),
            resource_group_name=place.resource_group,
            location="global",
            description=f"P95 latency of {args.endpoint_name} over {rule.threshold:g} ms for {rule.minutes} minutes",
            severity=rule.severity,
            enabled=True,
            scopes=[args.endpoint_id],
            evaluation_frequency="PT1M",
            window_size="PT1H" if rule.minutes == 60 else f"PT{rule.minutes}M",
            auto_mitigate=True,
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    monitor.MetricCriteriaArgs(
                        name="p95",
                        criterion_type="StaticThresholdCriterion",
                        metric_namespace=METRIC_NAMESPACE,
                        metric_name="RequestLatency_P95",
                        time_aggregation="Average",
                        operator="GreaterThan",
                        threshold=rule.threshold,
                    )
                ],
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=args.action_group_id)],
            tags=place.tags,
            opts=child(self, place),
        )
        identifier: pulumi.Output[str] = alert.id
        return identifier


def error_rate_query(endpoint_name: str, min_requests: int) -> str:
    """KQL: the share of failed requests in the window; no row, hence no alert, below `min_requests`."""
    return "\n".join(
        (
            "AmlOnlineEndpointTrafficLog",
            f"| where EndpointName == '{endpoint_name}'",
            f"| summarize Requests = count(), Failed = countif({_FAILED})",
            f"| where Requests >= {min_requests}",
            "| extend ErrorRate = todouble(Failed) / Requests",
            "| project ErrorRate",
        )
    )
