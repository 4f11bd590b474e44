"""What alerts, tests and dashboards need of each other and of the network. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic.alias_generators import to_camel

from components.config_errors import Problem, missing
from components.gateway.problems import exposed
from components.observability.reachable import kept_inside, managed, tested
from components.observability.regions import TEST_LOCATIONS
from components.observability.rules import GROUPS, METRIC_WINDOWS, RULES, LogRule, MetricRule, Rule
from components.settings import Settings


def problems_of_observability(settings: Settings) -> Iterator[Problem]:
    """Every problem of these blocks that needs more than one value to be seen."""
    for rule in RULES:
        yield from _rule(settings, rule.key)
    yield from _webhooks(settings)
    yield from _availability_test(settings)
    if settings.environment == "prod":
        yield from _prod(settings)


def _rule(settings: Settings, key: str) -> Iterator[Problem]:
    if not settings.alerts.is_on(key):
        return
    rule: Rule = settings.alerts.rule(key)
    where = f"alerts.{to_camel(key.replace('-', '_'))}"
    if rule.unit == "share" and not 0 < rule.threshold < 1:
        yield Problem(f"{where}.threshold", rule.threshold, "a share below 1, e.g. 0.05")
    if rule.unit == "points" and rule.threshold > 100:
        yield Problem(f"{where}.threshold", rule.threshold, "points of a percentage: at most 100")
    if isinstance(rule, MetricRule) and rule.minutes not in METRIC_WINDOWS:
        yield Problem(f"{where}.minutes", rule.minutes, "metric alerts look at 5, 15, 30 or 60 minutes, 360 or 1440")
    if isinstance(rule, LogRule) and rule.every > rule.minutes:
        key = "alerts.everyMinutes" if rule.every <= 15 else f"{where}.minutes"
        value = rule.every if rule.every <= 15 else rule.minutes
        allowed = (
            f"at most {where}.minutes ({rule.minutes}), or requests go unseen"
            if rule.every <= 15
            else f"at least {rule.every}: the query runs every {rule.every} minutes"
        )
        yield Problem(key, value, allowed)


def _webhooks(settings: Settings) -> Iterator[Problem]:
    alerts = settings.alerts
    urls = {"alerts.webhookUrl": alerts.webhook_url}
    urls |= {f"alerts.{group}.webhookUrl": getattr(alerts, group).webhook_url for group in GROUPS}
    for key, url in urls.items():
        if url is not None and not url.get_secret_value().startswith("https://"):
            yield Problem(key, url, "an https:// address is needed")


def _availability_test(settings: Settings) -> Iterator[Problem]:
    test = settings.availability_test
    if not test.enabled:
        return
    if test.failing_locations > len(test.locations):
        allowed = f"at most the number of availabilityTest.locations, which is {len(test.locations)}"
        yield Problem("availabilityTest.failingLocations", test.failing_locations, allowed)
    reached = tested(settings)
    for use_case in managed(settings):
        if use_case not in reached and not (reached and kept_inside(settings, use_case)):
            yield _unreached(settings, use_case)
    countries = settings.gateway.front_door.allowed_countries if exposed(settings) else ()
    for location in test.locations if countries else ():
        if TEST_LOCATIONS[location] not in countries:
            allowed = (
                f"gateway.frontDoor.allowedCountries blocks its calls, which come from {TEST_LOCATIONS[location]}; "
                f"allowed: locations in {', '.join(countries)}"
            )
            yield Problem("availabilityTest.locations", location, allowed)


def _unreached(settings: Settings, use_case: str) -> Problem:
    key = f"endpoints.{use_case}.publicNetworkAccess" if settings.network.public_access else "network.publicAccess"
    allowed = f"needs {key}: true, or endpoint {use_case} behind a gateway: Azure's tests call from the internet"
    return Problem("availabilityTest.enabled", True, allowed)


def _prod(settings: Settings) -> Iterator[Problem]:
    alerts = settings.alerts
    if not alerts.enabled:
        yield Problem("alerts.enabled", False, "prod needs alerts")
    elif not any((alerts.emails, alerts.webhook_url, alerts.sev1.emails, alerts.sev1.webhook_url)):
        yield missing("alerts.emails", "prod needs somebody to tell: one address or more, or alerts.webhookUrl")
    if not settings.logs.audit:
        yield Problem("logs.audit", False, "prod needs true: who read which data, and who used the vault")
