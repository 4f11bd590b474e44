"""Calls from outside: an availability test for each endpoint, and an alert when several locations get no answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.observability.settings import AvailabilityTestSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """Where an endpoint is asked from outside: an https address, and what it answers to a caller without a credential."""

    address: pulumi.Input[str]
    status: int


@dataclass(frozen=True, kw_only=True, slots=True)
class AvailabilityArgs:
    place: Placement
    settings: AvailabilityTestSettings
    app_insights_id: pulumi.Input[str]
    action_group_id: pulumi.Input[str]
    #: What is called, by use case.
    doors: Mapping[str, Door]


class Availability(pulumi.ComponentResource):
    """Standard tests of Application Insights. Outputs: `test_ids` and `alert_ids`, by use case."""

    test_ids: dict[str, pulumi.Output[str]]
    alert_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: AvailabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Availability", name, None, opts)
        self._name, self._args = name, args
        self.test_ids, self.alert_ids = {}, {}
        for use_case, door in args.doors.items():
            self.test_ids[use_case] = self._build_test(use_case, door)
            self.alert_ids[use_case] = self._build_alert(use_case, self.test_ids[use_case])
        self.register_outputs({"test_ids": self.test_ids})

    def _build_test(self, use_case: str, door: Door) -> pulumi.Output[str]:
        from pulumi_azure_native import applicationinsights as insights

        args, place, settings = self._args, self._args.place, self._args.settings
        test_name = place.names.of("availability test", use_case)
        test = insights.WebTest(
            f"{self._name}-{use_case}",
            web_test_name=test_name,
            synthetic_monitor_id=test_name,
            resource_group_name=place.resource_group,
            location=place.location,
            kind=insights.WebTestKind.STANDARD,
            web_test_kind=insights.WebTestKind.STANDARD,
            description=f"{use_case}: a call without a credential, every {settings.every_minutes} minutes",
            enabled=True,
            frequency=settings.every_minutes * 60,
            timeout=settings.timeout_seconds,
            retry_enabled=True,
            locations=[insights.WebTestGeolocationArgs(location=each) for each in settings.locations],
            request=insights.WebTestPropertiesRequestArgs(
                request_url=door.address, http_verb="GET", follow_redirects=False, parse_dependent_requests=False
            ),
            validation_rules=insights.WebTestPropertiesValidationRulesArgs(
                expected_http_status_code=settings.expected_status or door.status,
                s_sl_check=True,
                s_sl_cert_remaining_lifetime_check=7,
            ),
            # Application Insights shows the tests that are tagged with its id
            tags=pulumi.Output.from_input(args.app_insights_id).apply(
                lambda component: {**place.tags, f"hidden-link:{component}": "Resource"}
            ),
            opts=child(self, place),
        )
        identifier: pulumi.Output[str] = test.id
        return identifier

    def _build_alert(self, use_case: str, test_id: pulumi.Output[str]) -> pulumi.Output[str]:
        from pulumi_azure_native import monitor

        args, place, count = self._args, self._args.place, self._args.settings.failing_locations
        alert = monitor.MetricAlert(
            f"{self._name}-{use_case}-alert",
            rule_name=place.names.of("alert rule", f"{use_case}-unreachable"),
            resource_group_name=place.resource_group,
            location="global",
            description=f"{use_case}: {count} locations or more can't reach it",
            severity=1,
            enabled=True,
            scopes=[test_id, args.app_insights_id],
            evaluation_frequency="PT1M",
            window_size="PT5M",
            auto_mitigate=True,
            criteria=monitor.WebtestLocationAvailabilityCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria",
                component_id=args.app_insights_id,
                web_test_id=test_id,
                failed_location_count=count,
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=args.action_group_id)],
            tags=place.tags,
            opts=child(self, place),
        )
        identifier: pulumi.Output[str] = alert.id
        return identifier
