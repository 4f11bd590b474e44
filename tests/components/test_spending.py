"""Spending as declared: what is spent is exported, idle nodes go in the evening, and neither may do more than that."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from components.config import SettingsError, parse
from components.cost.export import first_run
from components.cost.off_hours import SOURCE, first_start
from components.cost.prices import estimate
from contract.reader import parse_outputs
from tests.components.mocks import Run, settings_of, stack_values
from tests.components.test_platform import deploy


@pytest.fixture(scope="module")
def dev() -> Run:
    return deploy("dev")


def test_costs_are_exported_every_day_by_an_identity_that_writes_nowhere_else(dev: Run) -> None:
    export = dev.one("costmanagement:Export")
    assert export.inputs["definition"] == {
        "type": "ActualCost",
        "timeframe": "MonthToDate",
        "dataSet": {"granularity": "Daily"},
    }
    assert export.inputs["schedule"]["recurrence"] == "Daily"
    assert export.inputs["schedule"]["recurrencePeriod"]["from"].endswith("T00:00:00Z")
    assert export.inputs["deliveryInfo"]["destination"]["container"] == "cost-exports"
    assert export.ignore_changes == ("schedule.recurrencePeriod",)
    writes = dev.declared["cost-export-writes"].inputs
    assert writes["principalId"] == "principal-cost-export"
    assert writes["scope"].endswith("/storage-cost-exports")


def test_idle_nodes_go_on_weekday_evenings(dev: Run) -> None:
    schedules = {each.name: each.inputs for each in dev.of("automation:Schedule")}
    off, on = schedules["off-hours-off"], schedules["off-hours-on"]
    assert (off["scheduleName"], on["scheduleName"]) == ("off-1800-America-New_York", "on-0600-America-New_York")
    for each in (off, on):
        assert each["advancedSchedule"]["weekDays"] == ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
        assert (each["frequency"], each["timeZone"]) == ("Week", "America/New_York")
    parameters = dev.declared["off-hours-off-job"].inputs["parameters"]["parameter1"].split()
    assert parameters[0] == "off"
    assert parameters[1].endswith("/workspace")
    assert dev.declared["cluster-cpu"].inputs["tags"]["min-nodes"] == "0", "what the runbook puts back"


def test_another_time_is_another_schedule(dev: Run) -> None:
    later = deploy("dev", offHours={"enabled": True, "stopAt": "20:00", "timeZone": "America/New_York"})
    assert later.declared["off-hours-off"].inputs["scheduleName"] == "off-2000-America-New_York"
    ids = [each.declared["off-hours-on-job"].inputs["jobScheduleId"] for each in (dev, later)]
    assert ids[0] == ids[1]


def test_the_runbook_is_the_file_of_this_repository(dev: Run) -> None:
    link = dev.one("automation:Runbook").inputs["publishContentLink"]
    assert link["contentHash"] == {"algorithm": "sha256", "value": hashlib.sha256(SOURCE.read_bytes()).hexdigest()}
    assert link["uri"].endswith("/example/azureml-rollouts/main/components/cost/runbooks/off_hours.py")


def test_the_runbook_may_set_clusters_and_nothing_else(dev: Run) -> None:
    account = dev.one("automation:AutomationAccount").inputs
    assert (account["disableLocalAuth"], account["publicNetworkAccess"]) == (True, False)
    permissions = dev.declared["off-hours-role"].inputs["permissions"]
    assert [each["actions"] for each in permissions] == [
        [
            "Microsoft.MachineLearningServices/workspaces/computes/read",
            "Microsoft.MachineLearningServices/workspaces/computes/write",
        ]
    ]
    assert not permissions[0]["dataActions"]
    given = [each for each in dev.of("authorization:RoleAssignment") if "principal-off-hours" in str(each.inputs)]
    assert [each.inputs["scope"].rsplit("/", 1)[1] for each in given] == ["workspace"]


def test_outputs_say_where_to_look(dev: Run) -> None:
    spending = parse_outputs(dev.outputs["rollout"], "test").spending
    assert spending.export_container == "cost-exports"
    assert spending.runbook == "off-hours"
    assert spending.schedules["off"] == "off-1800-America-New_York"
    assert not parse_outputs(deploy("dev", offHours={}, costExport={}).outputs["rollout"], "test").spending.export_name


def test_first_runs_lie_ahead() -> None:
    now = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
    assert first_run(now) == "2026-11-22T00:00:00Z"
    assert first_start("18:00", "Europe/Berlin", now) == "2026-11-23T18:00:00+01:00"
    assert first_start("06:00", "America/New_York", datetime(2026, 7, 1, 12, tzinfo=UTC)).endswith("T06:00:00-04:00")


@pytest.mark.parametrize(
    ("change", "key", "allowed"),
    [
        ({"offHours": {"enabled": True, "stopAt": "6pm"}}, "offHours.stopAt = '6pm'", "match pattern"),
        ({"offHours": {"enabled": True, "timeZone": "Mars/Base"}}, "offHours.timeZone = 'Mars/Base'", "IANA"),
        ({"offHours": {"enabled": True, "stopAt": "06:00"}}, "offHours.startAt = '06:00'", "must differ"),
        ({"offHours": {"enabled": True}, "identity": {}}, "offHours.runbookUri", "is missing"),
        ({"offHours": {"enabled": True, "runbookUri": "http://x/y.py"}}, "offHours.runbookUri", "match pattern"),
        ({"offHours": {"enabled": True}, "clusters": {}}, "offHours.enabled = True", "no cluster"),
        ({"costExport": {"enabled": True, "folder": "a/b"}}, "costExport.folder = 'a/b'", "match pattern"),
        ({"budget": {"monthlyUsd": 1, "notifyAt": [80, 80]}}, "budget.notifyAt", "each once"),
        ({"datastores": {"x1": {"container": "cost-exports"}}}, "datastores.x1.container", "the platform's own"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_what_is_allowed(change: dict[str, Any], key: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse("dev", {**stack_values("dev"), **change})
    assert key in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("stack", "plan", "real", "saves"), [("dev", 28.62, 143.08, 91.98), ("staging", 57.23, 286.16, 183.96), ("prod", 572.32, 572.32, 367.92)]
)  # fmt: skip
def test_the_cost_review_shows_the_plan_and_what_it_really_is(
    stack: str, plan: float, real: float, saves: float
) -> None:
    line = next(each for each in estimate(settings_of(stack)).lines if each.component == "endpoint churn")
    assert line.plan_usd == plan
    assert line.monthly_usd == real
    assert line.parking_saves_usd == saves
    assert estimate(settings_of(stack)).parked_hours == pytest.approx(730 * 108 / 168, abs=0.1)


def test_parking_saves_nothing_of_a_reservation() -> None:
    endpoint = {**stack_values("prod")["endpoints"]["churn"], "reserved": True}
    line = estimate(settings_of("prod", endpoints={"churn": endpoint})).lines[0]
    assert (line.plan_usd, line.monthly_usd, line.parking_saves_usd) == (360.62, 360.62, 0.0)
