"""Exports and Automation in ARM: what Azure would refuse is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.arm import Arm

ACCOUNT = "/providers/Microsoft.Automation/automationAccounts/quiet-hours"
STORAGE = "/providers/Microsoft.Storage/storageAccounts/books1"
EXPORT = "/providers/Microsoft.CostManagement/exports/daily"
LINK = {"uri": "https://example.com/x.py", "contentHash": {"algorithm": "sha256", "value": "a" * 64}}
GUID = "11111111-2222-3333-4444-555555555555"


def ahead(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


@pytest.fixture
def automation(arm: Arm) -> Arm:
    arm.make(ACCOUNT, {"location": "eastus", "properties": {"sku": {"name": "Basic"}}})
    return arm


def runbook(**properties: Any) -> dict[str, Any]:
    return {"location": "eastus", "properties": {"runbookType": "Python3", **properties}}


def schedule(**properties: Any) -> dict[str, Any]:
    return {"properties": {"frequency": "Week", "interval": 1, "startTime": ahead(hours=1), **properties}}


def link(name: str = "rest") -> dict[str, Any]:
    return {"properties": {"runbook": {"name": name}, "schedule": {"name": "evening"}}}


def refusal(arm: Arm, below: str, body: dict[str, Any]) -> tuple[int, str]:
    answer = arm.service.put(arm.path(below), body)
    return answer.status, answer.json().get("error", {}).get("message", "")


@pytest.mark.parametrize(
    ("below", "body", "said"),
    [
        ("runbooks/rest", runbook(), "either 'publishContentLink' or 'draft'"),
        ("runbooks/rest", runbook(runbookType="Perl", draft={}), "allowed: Script"),
        ("runbooks/rest", runbook(publishContentLink={"uri": "http://x/y.py"}), "an https:// address"),
        ("runbooks/rest", runbook(publishContentLink={**LINK, "contentHash": {"algorithm": "md5", "value": "a"}}), "must be a SHA256"),
        ("schedules/evening", schedule(startTime=ahead(minutes=1)), "at least 5 minutes"),
        ("schedules/evening", schedule(timeZone="Mars/Base"), "an IANA name"),
        ("schedules/evening", schedule(advancedSchedule={"weekDays": ["Freitag"]}), "allowed: Monday"),
        (f"jobSchedules/{GUID}", link(), "The runbook 'rest' does not exist"),
    ],
)  # fmt: skip
def test_what_azure_would_refuse(automation: Arm, below: str, body: dict[str, Any], said: str) -> None:
    status, message = refusal(automation, f"{ACCOUNT}/{below}", body)
    assert status in (400, 404)
    assert said in message


def test_a_schedule_starts_only_what_is_published_and_stays_as_it_is(automation: Arm) -> None:
    automation.make(f"{ACCOUNT}/runbooks/rest", runbook(draft={}))
    automation.make(f"{ACCOUNT}/schedules/evening", schedule())
    assert "must be published" in refusal(automation, f"{ACCOUNT}/jobSchedules/{GUID}", link())[1]
    assert (
        automation.make(f"{ACCOUNT}/runbooks/rest", runbook(publishContentLink=LINK))["properties"]["state"]
        == "Published"
    )
    assert "is not a GUID" in refusal(automation, f"{ACCOUNT}/jobSchedules/first", link())[1]
    made = automation.make(f"{ACCOUNT}/jobSchedules/{GUID}", link())
    assert made["properties"]["jobScheduleId"] == GUID
    assert refusal(automation, f"{ACCOUNT}/jobSchedules/{GUID}", link())[0] == 409


def export(arm: Arm, **changes: Any) -> dict[str, Any]:
    account = arm.path(STORAGE).partition("?")[0]
    properties = {
        "format": "Csv",
        "definition": {"type": "ActualCost", "timeframe": "MonthToDate"},
        "deliveryInfo": {"destination": {"resourceId": account, "container": "costs"}},
        "schedule": {"recurrence": "Daily", "status": "Active", "recurrencePeriod": {"from": ahead(days=1), "to": ahead(days=9)}},
        **changes,
    }  # fmt: skip
    return {"location": "global", "identity": {"type": "SystemAssigned"}, "properties": properties}


def test_an_export_needs_its_container_and_begins_in_the_future(arm: Arm) -> None:
    body = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {}}
    assert "does not exist" in refusal(arm, EXPORT, export(arm))[1]
    arm.make(STORAGE, body)
    assert "containers/costs' does not exist" in refusal(arm, EXPORT, export(arm))[1]
    arm.make(f"{STORAGE}/blobServices/default/containers/costs", {"properties": {}})
    late = {"recurrence": "Daily", "recurrencePeriod": {"from": ahead(days=-1), "to": ahead(days=1)}}
    assert "begin in the future" in refusal(arm, EXPORT, export(arm, schedule=late))[1]
    assert "allowed: Usage" in refusal(arm, EXPORT, export(arm, definition={"type": "Guess"}))[1]
    made = arm.make(EXPORT, export(arm))
    assert made["identity"]["principalId"]
    assert made["properties"]["nextRunTimeEstimate"]
