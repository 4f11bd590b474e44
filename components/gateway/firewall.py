"""Front Door's web application firewall: Microsoft's rule sets, a rate limit by address, and countries if asked for."""

from __future__ import annotations

from typing import Any

import pulumi

from components.base import Placement, child
from components.gateway.settings import FrontDoorSettings

PREMIUM = {"name": "Premium_AzureFrontDoor"}


def build_firewall(
    name: str, parent: pulumi.Resource, place: Placement, settings: FrontDoorSettings
) -> pulumi.Output[str]:
    """The policy; its id."""
    from pulumi_azure_native import frontdoor

    policy = frontdoor.Policy(
        name,
        policy_name=place.names.of("firewall policy", "firewall"),
        resource_group_name=place.resource_group,
        location="global",
        sku=PREMIUM,
        policy_settings=frontdoor.PolicySettingsArgs(
            enabled_state="Enabled",
            mode=settings.waf_mode,
            request_body_check="Enabled",
            custom_block_response_status_code=403,
        ),
        custom_rules=frontdoor.CustomRuleListArgs(rules=_custom_rules(settings)),
        managed_rules=frontdoor.ManagedRuleSetListArgs(managed_rule_sets=_managed_rules(settings)),
        tags=place.tags,
        opts=child(parent, place),
    )
    identifier: pulumi.Output[str] = policy.id
    return identifier


def _managed_rules(settings: FrontDoorSettings) -> list[Any]:
    from pulumi_azure_native import frontdoor

    return [
        frontdoor.ManagedRuleSetArgs(
            rule_set_type="Microsoft_DefaultRuleSet",
            rule_set_version=settings.default_rule_set,
            rule_set_action="Block",
        ),
        # has an action of its own for each kind of bot
        frontdoor.ManagedRuleSetArgs(
            rule_set_type="Microsoft_BotManagerRuleSet", rule_set_version=settings.bot_rule_set
        ),
    ]


def _custom_rules(settings: FrontDoorSettings) -> list[Any]:
    """Looked at in the order of their priorities, before the managed rules."""
    from pulumi_azure_native import frontdoor

    rules = []
    if settings.allowed_countries:
        rules.append(
            frontdoor.CustomRuleArgs(
                name="AllowedCountries",
                priority=10,
                rule_type="MatchRule",
                action="Block",
                enabled_state="Enabled",
                match_conditions=[
                    frontdoor.MatchConditionArgs(
                        match_variable="SocketAddr",
                        operator="GeoMatch",
                        negate_condition=True,
                        match_value=list(settings.allowed_countries),
                    )
                ],
            )
        )
    rules.append(
        frontdoor.CustomRuleArgs(
            name="RequestsPerAddress",
            priority=20,
            rule_type="RateLimitRule",
            action="Block",
            enabled_state="Enabled",
            rate_limit_duration_in_minutes=1,
            rate_limit_threshold=settings.requests_per_minute,
            match_conditions=[
                # every address there is: a rate limit needs a condition
                frontdoor.MatchConditionArgs(
                    match_variable="SocketAddr",
                    operator="IPMatch",
                    negate_condition=False,
                    match_value=["0.0.0.0/0", "::/0"],
                )
            ],
        )
    )
    return rules
