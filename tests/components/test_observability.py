"""What watches the platform, as the program declares it: the table's figures, who is told, options, wrong settings."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from components.base import Placement
from components.config import SettingsError, parse
from components.cost.prices import estimate, price_book
from components.naming import Names
from components.observability.action_groups import _webhooks
from components.observability.alerts import Alerts, AlertsArgs
from components.observability.regions import TEST_LOCATIONS
from components.observability.rules import GROUPS, RULES, LogRule, MetricRule, Of, group_of, iso
from tests.components.mocks import Declared, Run, run, settings_of, stack_values
from tests.components.test_platform import deploy
from tests.options import every_option, merged


@pytest.fixture(scope="module")
def prod() -> Run:
    return deploy("prod")


@pytest.fixture(scope="module")
def full() -> Run:
    """staging with every option, and open to the internet in place of a gateway."""
    open_ = {
        "network": {"publicAccess": True, "allowedIps": []},
        "gateway": {"enabled": False},
        "endpoints": {"churn": {"publicNetworkAccess": True}},
        "availabilityTest": {"locations": list(TEST_LOCATIONS)[:5]},
    }
    return deploy("staging", **merged(every_option("staging"), open_))


#: The figures that operators know: rule, severity, operator, threshold as it is sent, window.
FIGURES = {
    "alerts-churn-availability": (1, "LessThan", 0.99, "PT15M"),
    "alerts-churn-error-rate": (1, "GreaterThan", 0.05, "PT10M"),
    "alerts-churn-zero-traffic": (1, "LessThan", 1, "PT15M"),
    "alerts-churn-accuracy-drop": (2, "GreaterThan", 0.05, "P1D"),
    "alerts-churn-latency": (3, "GreaterThan", 2000, "PT15M"),
    "alerts-churn-drift": (3, "GreaterThan", 0.15, "P1D"),
    "alerts-churn-traffic-split": (3, "GreaterThan", 10, "PT15M"),
    "platform-alerts-failed-jobs": (3, "GreaterThan", 0, "PT5M"),
    "platform-alerts-storage-availability": (2, "LessThan", 99, "PT15M"),
}


def figures(rule: Declared) -> tuple[Any, ...]:
    (condition,) = rule.inputs["criteria"]["allOf"]
    given = rule.inputs
    return given["severity"], condition["operator"], condition["threshold"], given["windowSize"]


def told(rule: Declared) -> str:
    """The severity group that the rule calls."""
    actions = rule.inputs["actions"]
    if rule.type == "monitor:ScheduledQueryRule":
        (group,) = actions["actionGroups"]
    elif rule.type == "monitor:ActivityLogAlert":
        (action,) = actions["actionGroups"]
        group = action["actionGroupId"]
    else:
        (action,) = actions
        group = action["actionGroupId"]
    return str(group).rsplit("-", 1)[1]


def rules(ran: Run) -> dict[str, Declared]:
    kinds = ("monitor:ScheduledQueryRule", "monitor:MetricAlert", "monitor:ActivityLogAlert")
    return {each.name: each for kind in kinds for each in ran.of(kind)}


def test_a_stack_has_the_tables_figures_unless_it_says_otherwise() -> None:
    dev = deploy("dev")
    assert {name: figures(rule) for name, rule in rules(dev).items() if name in FIGURES} == FIGURES
    assert set(rules(dev)) == {*FIGURES, "platform-alerts-lock-removed"}, "no Kubernetes, no rules about it"


def test_every_rule_calls_the_group_of_its_severity(prod: Run) -> None:
    for name, rule in rules(prod).items():
        severity = rule.inputs.get("severity", 1)  # the activity log has none
        assert told(rule) == group_of(severity), name


def test_each_rule_can_be_tuned_and_switched_off() -> None:
    tuned = deploy(
        "dev",
        alerts={"emails": ["a@example.com"], "drift": {"threshold": 0.3, "severity": 2}, "latency": {"enabled": False}},
    )
    found = rules(tuned)
    assert figures(found["alerts-churn-drift"]) == (2, "GreaterThan", 0.3, "P1D")
    assert told(found["alerts-churn-drift"]) == "sev2"
    assert "alerts-churn-latency" not in found
    for rule in RULES:
        key = "".join(part.capitalize() for part in rule.key.split("-"))
        off = settings_of("dev", alerts={key[0].lower() + key[1:]: {"enabled": False}})
        assert not off.alerts.is_on(rule.key)


def test_a_cluster_is_watched_where_there_is_one() -> None:
    place = Placement(
        resource_group="group",
        location="eastus",
        subscription_id="s",
        tenant_id="t",
        names=Names("rollouts", "dev", "s", "eastus"),
        tags={},
        protect_data=False,
    )
    args = AlertsArgs(
        place=place,
        settings=settings_of("dev").alerts,
        targets={Of.KUBERNETES: "/aks"},
        log_analytics_id="/logs",
        action_group_ids={group: f"/groups/x-{group}" for group in GROUPS},
    )

    def main() -> None:
        Alerts("platform-alerts", args)

    found = rules(run("dev", main))
    wanted = (3, "GreaterThan", 80, "PT5M")
    assert {name: figures(rule) for name, rule in found.items()} == {
        "platform-alerts-kubernetes-cpu": wanted,
        "platform-alerts-kubernetes-memory": wanted,
    }
    assert {tuple(rule.inputs["scopes"]) for rule in found.values()} == {("/aks",)}


def test_groups_hear_of_everything_and_of_their_own(full: Run) -> None:
    groups = {each.name.rsplit("-", 1)[1]: each.inputs for each in full.of("monitor:ActionGroup")}
    assert set(groups) == set(GROUPS)
    emails = {name: [each["emailAddress"] for each in group["emailReceivers"]] for name, group in groups.items()}
    everybody = stack_values("staging")["alerts"]["emails"]
    assert emails == {"sev1": [*everybody, "pager@example.com"], "sev2": everybody, "sev3": everybody}
    assert [each["serviceUri"] for each in groups["sev2"]["webhookReceivers"]] == ["https://hooks.example.com/quality"]
    assert all(len(group["groupShortName"]) <= 12 for group in groups.values())
    assert "hooks.example.com" not in json.dumps(full.outputs)


def test_a_webhook_stays_secret_in_the_state() -> None:
    alerts = settings_of("dev", alerts={"webhookUrl": "https://hooks.example.com/x"}).alerts
    secret: list[bool] = []
    tasks: list[asyncio.Future[None]] = []

    def main() -> None:
        (hook,) = _webhooks(alerts, alerts.sev1)
        tasks.append(asyncio.ensure_future(note(hook["service_uri"])))

    async def note(uri: Any) -> None:
        secret.append(await uri.is_secret())

    run("dev", main)
    assert secret == [True]


def test_what_holds_data_writes_down_its_use_and_locks_come_later(prod: Run) -> None:
    settings = {each.name: each.inputs for each in prod.of("monitor:DiagnosticSetting")}
    gateway = {"front-door-logs", "api-management-logs"}
    assert set(settings) - gateway == {"endpoint-churn-logs", *(f"diagnostics-{each}" for each in ("workspace", "blobs", "vault", "registry", "topic"))}  # fmt: skip
    assert settings["diagnostics-blobs"]["resourceUri"].endswith("/blobServices/default")
    assert [each["category"] for each in settings["diagnostics-vault"]["logs"]] == ["AuditEvent"]
    assert not [
        each for each in deploy("dev", logs={"audit": False}).of("monitor:DiagnosticSetting") if "diagn" in each.name
    ]
    for lock in prod.of("authorization:ManagementLockByScope"):
        assert {name for name in settings if name.startswith("diagnostics-")} <= set(lock.depends_on), lock.name


def test_endpoints_are_called_from_outside_and_three_silent_locations_are_an_alert(full: Run) -> None:
    test = full.one("applicationinsights:WebTest").inputs
    assert test["request"]["requestUrl"] == full.outputs["scoring_uris"]["churn"]
    assert (test["frequency"], test["validationRules"]["expectedHttpStatusCode"], len(test["locations"])) == (
        300,
        401,
        5,
    )
    (link,) = [tag for tag in test["tags"] if tag.startswith("hidden-link:")]
    assert link.endswith("observability-insights")
    alert = full.declared["availability-churn-alert"]
    assert alert.inputs["criteria"]["failedLocationCount"] == 3
    assert told(alert) == "sev1"


def test_behind_a_gateway_its_health_is_asked_and_no_secret_is_needed() -> None:
    everything = deploy("prod", **every_option("prod"))
    test = everything.one("applicationinsights:WebTest").inputs
    assert test["request"]["requestUrl"] == "https://scoring.example.com/churn/health"
    assert not {"headers", "requestBody"} & set(test["request"]), "nothing that would have to be kept secret"
    assert test["validationRules"]["expectedHttpStatusCode"] == 200
    assert "availability-churn-alert" in everything.declared


def test_grafana_reads_its_sources_and_nothing_else(full: Run) -> None:
    properties = full.one("dashboard:Grafana").inputs["properties"]
    assert properties["apiKey"] == "Disabled"
    roles = [each.inputs for each in full.of("authorization:RoleAssignment") if each.name.startswith("grafana-")]
    assert sorted(each["principalType"] for each in roles) == ["Group", *["ServicePrincipal"] * 4]
    for each in roles:
        assert "/mock/" in each["scope"], "each ends at one resource"
    assert not deploy("dev").of("dashboard:Grafana")


def test_the_outputs_name_what_watches(full: Run) -> None:
    seen = full.outputs["rollout"]["observability"]
    assert set(seen["action_group_ids"]) == set(GROUPS)
    assert seen["action_group_id"] == seen["action_group_ids"]["sev3"]
    assert {"churn-drift", "churn-unreachable", "failed-jobs"} <= set(seen["alert_ids"])
    assert seen["saved_queries"][0] == "Failed ML jobs"
    assert seen["grafana_endpoint"].startswith("https://")
    assert all(seen[name] for name in ("workbook_id", "query_pack_id", "monitor_workspace_id", "availability_test_ids"))


def test_dashboards_can_be_left_out() -> None:
    bare = deploy("dev", dashboards={"savedQueries": False, "workbook": False})
    assert not bare.of("operationalinsights:QueryPack")
    assert not bare.of("applicationinsights:Workbook")
    assert bare.outputs["rollout"]["observability"]["workbook_id"] is None


def test_a_workbook_says_the_same_on_every_run(prod: Run) -> None:
    again = deploy("prod").one("applicationinsights:Workbook").inputs
    assert prod.one("applicationinsights:Workbook").inputs["serializedData"] == again["serializedData"]


def test_the_table_is_sound() -> None:
    for rule in RULES:
        assert 0 <= rule.severity <= 4
        assert rule.describe()
        if isinstance(rule, LogRule):
            assert rule.every <= rule.minutes
        if isinstance(rule, MetricRule):
            assert rule.minutes != 10
    assert [iso(minutes) for minutes in (5, 60, 90, 360, 1440)] == ["PT5M", "PT1H", "PT90M", "PT6H", "P1D"]


def lines(**changes: Any) -> dict[str, float]:
    return {each.component: each.monthly_usd for each in estimate(settings_of("dev", **changes)).lines}


def test_alerts_cost_by_count_and_kind() -> None:
    prices = price_book().alerts
    one = 4 * prices.log_query_month[5] + 2 * prices.log_query_month[15] + prices.metric_series_month
    assert lines()["alerts"] == pytest.approx(one + 2 * prices.metric_series_month)
    slower = lines(alerts={"everyMinutes": 10})["alerts"]
    assert slower == pytest.approx(lines()["alerts"] - 4 * (prices.log_query_month[5] - prices.log_query_month[10]))
    churn = stack_values("dev")["endpoints"]["churn"]
    two = lines(endpoints={"churn": churn, "intent": {**churn, "model": "intent"}})["alerts"]
    assert two == pytest.approx(2 * one + 2 * prices.metric_series_month)
    assert lines(alerts={"enabled": False})["alerts"] == 0


def test_options_have_cost_lines_of_their_own() -> None:
    assert not {"availability tests", "grafana"} & set(lines())
    tests = lines(availabilityTest={"enabled": True, "locations": ["us-va-ash-azr"], "failingLocations": 1})
    assert tests["availability tests"] == pytest.approx(730 * 12 * price_book().alerts.availability_call, abs=0.01)
    assert lines(dashboards={"grafana": {"enabled": True, "zoneRedundant": True}})["grafana"] > 100


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("dev", {"alerts": {"availability": {"threshold": 99}}}, "alerts.availability.threshold = 99.0", "a share below 1"),
    ("dev", {"alerts": {"drift": {"threshold": 0}}}, "alerts.drift.threshold = 0.0", "a share below 1"),
    ("dev", {"alerts": {"drift": {"minutes": 30}}}, "alerts.drift.minutes = 30", "at least 60"),
    ("dev", {"alerts": {"drift": {"minutes": 7}}}, "alerts.drift.minutes = 7", "5, 10, 15, 30, 60, 360 or 1440"),
    ("dev", {"alerts": {"failedJobs": {"severity": 5}}}, "alerts.failedJobs.severity = 5", "less than or equal to 4"),
    ("dev", {"alerts": {"trafficSplit": {"threshold": 150}}}, "alerts.trafficSplit.threshold = 150", "at most 100"),
    ("dev", {"alerts": {"storageAvailability": {"minutes": 10}}}, "alerts.storageAvailability.minutes = 10", "5, 15, 30 or 60"),
    ("dev", {"alerts": {"everyMinutes": 15, "availability": {"minutes": 5}, "errorRate": {"minutes": 15}}}, "alerts.everyMinutes = 15", "alerts.availability.minutes (5)"),
    ("dev", {"alerts": {"erorRate": {}}}, "alerts.erorRate", "did you mean 'errorRate'?"),
    ("dev", {"alerts": {"sev1": {"webhookUrl": "http://x"}}}, "alerts.sev1.webhookUrl", "https:// address"),
    ("dev", {"alerts": {"sev4": {}}}, "alerts.sev4", "unknown key"),
    ("dev", {"availabilityTest": {"enabled": True, "locations": ["us-va-ash-azr"]}}, "availabilityTest.failingLocations = 3", "which is 1"),
    ("dev", {"availabilityTest": {"enabled": True, "locations": ["us-va-ash-azr", "mars"], "failingLocations": 1}}, "availabilityTest.locations.1 = 'mars'", "unknown test location"),
    ("prod", {"availabilityTest": {"enabled": True}, "gateway": {"enabled": False}}, "availabilityTest.enabled = True", "needs network.publicAccess: true, or endpoint churn behind a gateway"),
    ("prod", {"availabilityTest": {"enabled": True, "locations": ["us-va-ash-azr", "emea-gb-db3-azr"], "failingLocations": 2}, "gateway": {"frontDoor": {"allowedCountries": ["US"]}}}, "availabilityTest.locations = 'emea-gb-db3-azr'", "come from IE; allowed: locations in US"),
    ("dev", {"availabilityTest": {"enabled": True}, "endpoints": {"churn": {"publicNetworkAccess": False}}}, "availabilityTest.enabled = True", "endpoints.churn.publicNetworkAccess: true"),
    ("dev", {"dashboards": {"grafana": {"enabled": True, "admins": ["me"]}}}, "dashboards.grafana.admins.0 = 'me'", "match pattern"),
    ("prod", {"logs": {"audit": False}}, "logs.audit = False", "prod needs true"),
]  # fmt: skip


@pytest.mark.parametrize(("stack", "changes", "key", "said"), WRONG, ids=[row[2][:50] for row in WRONG])
def test_a_wrong_setting_is_named_with_what_is_allowed(
    stack: str, changes: dict[str, Any], key: str, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(stack, merged(stack_values(stack), changes))
    text = str(caught.value)
    assert f"azureml-rollouts:{key}" in text
    assert said in text
    assert "1 wrong setting" in text, text
