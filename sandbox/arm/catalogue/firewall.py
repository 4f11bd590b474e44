"""The firewall policies of Front Door, which are Microsoft.Network's: rule sets and rules are checked, nothing is filtered."""

from __future__ import annotations

import re
from collections import Counter

from sandbox.arm.catalogue.common import made_once, one_of, versions
from sandbox.arm.checks import value_at
from sandbox.arm.model import Change, Json, ResourceType
from sandbox.kernel.errors import AzureError

FIREWALL = "Microsoft.Network/frontdoorWebApplicationFirewallPolicies"
SECURITY = "Microsoft.Cdn/profiles/securityPolicies"
FIREWALL_VERSIONS = versions("2022-05-01 2024-02-01 2025-03-01 2025-05-01 2025-10-01 2025-11-01")
PREMIUM = "Premium_AzureFrontDoor"
#: Managed rule sets and their versions; they come with Premium.
RULE_SETS = {
    "DefaultRuleSet": ("1.0", "preview-0.1"),
    "Microsoft_DefaultRuleSet": ("1.1", "2.0", "2.1"),
    "Microsoft_BotManagerRuleSet": ("1.0", "1.1"),
}


def refuse(message: str) -> AzureError:
    """Azure's 400."""
    return AzureError(400, "BadRequest", message)


def _validate_firewall(change: Change) -> None:
    properties, premium = change.resource.properties, (change.resource.sku or {}).get("name") == PREMIUM
    one_of(
        change,
        "properties.policySettings.mode",
        value_at(properties, "policySettings.mode"),
        ("Prevention", "Detection"),
    )
    for each in value_at(properties, "managedRules.managedRuleSets") or []:
        kind, version = each.get("ruleSetType"), each.get("ruleSetVersion")
        if not premium or version not in RULE_SETS.get(str(kind), ()):
            known = ", ".join(f"{name} {'|'.join(found)}" for name, found in RULE_SETS.items())
            raise refuse(f"Managed rule set '{kind}' {version}: known, with {PREMIUM}: {known}.")
        if (
            kind == "Microsoft_DefaultRuleSet"
            and version >= "2.0"
            and each.get("ruleSetAction") not in ("Block", "Log", "Redirect")
        ):
            raise refuse(
                f"'ruleSetAction' of {kind} {version} is '{each.get('ruleSetAction')}'; allowed: Block, Log, Redirect."
            )
    _validate_custom_rules(value_at(properties, "customRules.rules") or [])


def _validate_custom_rules(rules: list[Json]) -> None:
    priorities = Counter(rule.get("priority") for rule in rules)
    for rule in rules:
        name = rule.get("name")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,127}", str(name)):
            raise refuse(f"Custom rule name '{name}': letters and digits are allowed, starting with a letter.")
        if priorities[rule.get("priority")] > 1:
            raise refuse(f"Custom rule '{name}': another rule has priority {rule.get('priority')}.")
        if not rule.get("matchConditions"):
            raise refuse(f"Custom rule '{name}' has no matchConditions.")
        limited = rule.get("ruleType") == "RateLimitRule"
        if limited and (rule.get("rateLimitDurationInMinutes") not in (1, 5) or not rule.get("rateLimitThreshold")):
            raise refuse(f"Custom rule '{name}' needs a rateLimitThreshold, and 1 or 5 as rateLimitDurationInMinutes.")


def _free_firewall(change: Change) -> None:
    for each in change.arm.of_type(SECURITY):
        if str(value_at(each.properties, "parameters.wafPolicy.id")).lower() == change.resource.key:
            raise AzureError(409, "Conflict", f"Firewall policy '{change.resource.name}' is used by '{each.id}'.")


def _before_firewall(change: Change) -> None:
    made_once(change, resourceState=lambda: "Enabled")


TYPES = (
    ResourceType(
        name=FIREWALL,
        versions=FIREWALL_VERSIONS,
        location="global",
        long=True,
        name_rule=(r"[A-Za-z][A-Za-z0-9]{0,127}", "1-128 letters and digits, starting with a letter"),
        required=("policySettings.mode",),
        validate=_validate_firewall,
        before_put=_before_firewall,
        may_delete=_free_firewall,
    ),
)
