"""Alert rules made of the table in `rules.py`: those of one endpoint, or those of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.base import Placement, child
from components.observability.queries import Value, needs, query
from components.observability.rules import RULES, ActivityRule, LogRule, MetricRule, Of, Rule, iso
from components.observability.settings import AlertSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertsArgs:
    place: Placement
    settings: AlertSettings
    #: The ARM id of what is watched. A rule whose target is missing is not made.
    targets: Mapping[Of, pulumi.Input[str]]
    log_analytics_id: pulumi.Input[str]
    #: By severity group (`rules.GROUPS`).
    action_group_ids: Mapping[str, pulumi.Input[str]]
    #: In front of rules' names; with several endpoints they have to differ.
    use_case: str = ""
    endpoint_name: str = ""


@dataclass(slots=True)
class _Common:
    """What every kind of rule is given."""

    place: Placement
    name: str
    rule_name: str
    title: str
    actions: list[pulumi.Input[str]] = field(default_factory=list)

    def of(self, parent: pulumi.Resource) -> dict[str, Any]:
        return {
            "resource_group_name": self.place.resource_group,
            "description": self.title,
            "enabled": True,
            "tags": self.place.tags,
            "opts": child(parent, self.place),
        }


class Alerts(pulumi.ComponentResource):
    """One alert rule for each row of the table that is on and has its target. Output: `alert_ids`, by rule."""

    alert_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        kind = "serving:EndpointAlerts" if args.use_case else "platform:Alerts"
        super().__init__(f"rollouts:{kind}", name, None, opts)
        self._name, self._args = name, args
        chosen = [rule.key for rule in RULES if rule.of in args.targets and args.settings.is_on(rule.key)]
        self.alert_ids = {key: self._build(args.settings.rule(key)) for key in chosen}
        self.register_outputs({"alert_ids": self.alert_ids})

    def _build(self, rule: Rule) -> pulumi.Output[str]:
        args, label = self._args, f"{self._args.use_case}-{rule.key}".strip("-")
        common = _Common(
            place=args.place,
            name=f"{self._name}-{rule.key}",
            rule_name=args.place.names.of("alert rule", label),
            title=f"{args.use_case}: {rule.describe()}" if args.use_case else rule.describe(),
            actions=[args.action_group_ids[rule.group]],
        )
        match rule:
            case LogRule():
                made = self._build_log(rule, common)
            case MetricRule():
                made = self._build_metric(rule, common)
            case ActivityRule():
                made = self._build_activity(rule, common)
            case _:
                raise TypeError(f"{type(rule).__name__} is no kind of alert rule")
        identifier: pulumi.Output[str] = made.id
        return identifier

    def _build_log(self, rule: LogRule, common: _Common) -> Any:
        from pulumi_azure_native import monitor

        return monitor.ScheduledQueryRule(
            common.name,
            rule_name=common.rule_name,
            location=common.place.location,
            kind="LogAlert",
            display_name=common.title,
            severity=rule.severity,
            scopes=[self._args.log_analytics_id],
            evaluation_frequency=iso(rule.every),
            window_size=iso(rule.minutes),
            override_query_time_range=iso(rule.reach) if rule.reach else None,
            auto_mitigate=True,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(
                all_of=[
                    monitor.ConditionArgs(
                        query=query(rule.key, **self._values(rule)),
                        time_aggregation="Maximum",
                        metric_measure_column=rule.column,
                        operator=rule.operator,
                        threshold=rule.threshold,
                        failing_periods=monitor.ConditionFailingPeriodsArgs(
                            min_failing_periods_to_alert=1, number_of_evaluation_periods=1
                        ),
                    )
                ]
            ),
            actions=monitor.ActionsArgs(action_groups=common.actions),
            **common.of(self),
        )

    def _values(self, rule: LogRule) -> dict[str, Value]:
        """What the rule's query is given."""
        known: dict[str, Value] = {
            "endpoint": self._args.endpoint_name,
            "minRequests": self._args.settings.min_requests,
            "windowMinutes": rule.minutes,
        }
        return {name: known[name] for name in needs(rule.key)}

    def _build_metric(self, rule: MetricRule, common: _Common) -> Any:
        from pulumi_azure_native import monitor

        return monitor.MetricAlert(
            common.name,
            rule_name=common.rule_name,
            location="global",
            severity=rule.severity,
            scopes=[self._args.targets[rule.of]],
            evaluation_frequency=iso(rule.every),
            window_size=iso(rule.minutes),
            auto_mitigate=True,
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    monitor.MetricCriteriaArgs(
                        name=rule.key,
                        criterion_type="StaticThresholdCriterion",
                        metric_namespace=rule.namespace,
                        metric_name=rule.metric,
                        time_aggregation=rule.aggregation,
                        operator=rule.operator,
                        threshold=round(rule.threshold * rule.scale, 6),
                    )
                ],
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=each) for each in common.actions],
            **common.of(self),
        )

    def _build_activity(self, rule: ActivityRule, common: _Common) -> Any:
        from pulumi_azure_native import monitor

        wanted = {"category": "Administrative", "operationName": rule.operation, "status": "Succeeded"}
        return monitor.ActivityLogAlert(
            common.name,
            activity_log_alert_name=common.rule_name,
            location="global",
            scopes=[self._args.targets[rule.of]],
            condition=monitor.AlertRuleAllOfConditionArgs(
                all_of=[
                    monitor.AlertRuleAnyOfOrLeafConditionArgs(field=field_, equals=value)
                    for field_, value in wanted.items()
                ]
            ),
            actions={"action_groups": [{"action_group_id": each} for each in common.actions]},
            **common.of(self),
        )
