"""Query packs, workbooks, availability tests, Azure Monitor workspaces and Grafana, as Azure takes and refuses them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.arm import Arm

INSIGHTS = "/providers/Microsoft.Insights/components/books-ai"
PACK = "/providers/Microsoft.OperationalInsights/queryPacks/books"
WORKBOOK = "/providers/Microsoft.Insights/workbooks/7a1d2f0e-0f5a-4f0b-9a52-1c1f6a0f0c11"
TEST = "/providers/Microsoft.Insights/webtests/books"
ACCOUNT = "/providers/Microsoft.Monitor/accounts/books-prometheus"
GRAFANA = "/providers/Microsoft.Dashboard/grafana/books-grafana"
ACTIVITY = "/providers/Microsoft.Insights/activityLogAlerts/books"
VERSIONS = {
    PACK: "2023-09-01", WORKBOOK: "2023-06-01", TEST: "2022-06-15", ACCOUNT: "2023-04-03", GRAFANA: "2024-10-01",
    ACTIVITY: "2020-10-01",
}  # fmt: skip


def put(arm: Arm, path: str, body: dict[str, Any], version: str = "") -> Any:
    return arm.service.put(arm.path(path, version=version or VERSIONS[path]), body)


def refused(answer: Any, words: str) -> None:
    assert answer.status == 400, answer.json()
    assert words in answer.json()["error"]["message"]


def insights(arm: Arm) -> str:
    made = arm.make(INSIGHTS, {"location": "eastus", "kind": "web", "properties": {"Application_Type": "web"}})
    return str(made["id"])


def test_a_query_goes_by_a_guid_and_needs_a_text(arm: Arm) -> None:
    assert put(arm, PACK, {"location": "eastus", "properties": {}}).status in (200, 201)
    good = {"properties": {"displayName": "Failed jobs", "body": "AmlRunStatusChangedEvent | take 1"}}
    path = f"{PACK}/queries/7a1d2f0e-0f5a-4f0b-9a52-1c1f6a0f0c11"
    made = put(arm, path, good, VERSIONS[PACK])
    assert made.status == 201, made.json()
    assert made.json()["properties"]["id"] == "7a1d2f0e-0f5a-4f0b-9a52-1c1f6a0f0c11"
    refused(put(arm, f"{PACK}/queries/failed-jobs", good, VERSIONS[PACK]), "must be a GUID")
    refused(put(arm, path, {"properties": {"displayName": "x"}}, VERSIONS[PACK]), "properties.body")


def test_a_workbook_is_a_json_text_under_a_guid(arm: Arm) -> None:
    def body(**changes: Any) -> dict[str, Any]:
        text = json.dumps({"version": "Notebook/1.0", "items": []})
        given = {"displayName": "Books", "category": "workbook", "serializedData": text, **changes}
        return {"location": "eastus", "kind": "shared", "properties": given}

    made = put(arm, WORKBOOK, body(sourceId=insights(arm)))
    assert made.status == 201, made.json()
    assert made.json()["properties"]["revision"]
    refused(put(arm, WORKBOOK, body(serializedData="{")), "no JSON")
    refused(put(arm, WORKBOOK, body(serializedData="[]")), "an object with 'items'")
    refused(put(arm, WORKBOOK, body(sourceId=made.json()["id"] + "x")), "does not exist")
    refused(put(arm, "/providers/Microsoft.Insights/workbooks/books", body(), VERSIONS[WORKBOOK]), "must be a GUID")


def standard_test(component: str, **changes: Any) -> dict[str, Any]:
    properties = {
        "SyntheticMonitorId": "books", "Kind": "standard", "Frequency": 300, "Timeout": 30,
        "Locations": [{"Id": "us-va-ash-azr"}], "Request": {"RequestUrl": "https://books.example.com"}, **changes,
    }  # fmt: skip
    return {
        "location": "eastus",
        "kind": "standard",
        "tags": {f"hidden-link:{component}": "Resource"},
        "properties": properties,
    }


def test_an_availability_test_belongs_to_a_component_and_calls_an_address(arm: Arm) -> None:
    component = insights(arm)
    assert put(arm, TEST, standard_test(component)).status in (200, 201)
    refused(put(arm, TEST, {**standard_test(component), "tags": {}}), "hidden-link")
    refused(put(arm, TEST, standard_test(component + "x")), "does not exist")
    refused(put(arm, TEST, standard_test(component, Frequency=60)), "300, 600, 900")
    refused(put(arm, TEST, standard_test(component, Request={"RequestUrl": "books"})), "no address")
    refused(put(arm, TEST, standard_test(component, Kind="ping")), "standard")


def test_an_alert_on_locations_names_a_test_that_exists(arm: Arm) -> None:
    component = insights(arm)
    test = put(arm, TEST, standard_test(component)).json()["id"]
    group = arm.service.put(
        arm.path("/providers/Microsoft.Insights/actionGroups/books", version="2023-01-01"),
        {"location": "global", "properties": {"groupShortName": "books", "enabled": True}},
    ).json()["id"]

    def alert(**changes: Any) -> dict[str, Any]:
        criteria = {
            "odata.type": "Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria",
            "webTestId": test, "componentId": component, "failedLocationCount": 3,
        }  # fmt: skip
        properties = {
            "severity": 1, "enabled": True, "scopes": [test, component], "evaluationFrequency": "PT1M", "windowSize": "PT5M",
            "criteria": {**criteria, **changes.pop("criteria", {})}, "actions": [{"actionGroupId": group}], **changes,
        }  # fmt: skip
        return {"location": "global", "properties": properties}

    path = "/providers/Microsoft.Insights/metricAlerts/books"
    assert put(arm, path, alert(), "2018-03-01").status in (200, 201)
    refused(put(arm, path, alert(criteria={"webTestId": test + "x"}), "2018-03-01"), "does not exist")
    refused(put(arm, path, alert(windowSize="PT10M"), "2018-03-01"), "PT15M")


def test_grafana_reads_a_monitor_workspace_that_exists(arm: Arm) -> None:
    account = put(arm, ACCOUNT, {"location": "eastus"})
    assert account.status in (200, 201), account.json()
    assert account.json()["properties"]["metrics"]["prometheusQueryEndpoint"].startswith("https://")

    def body(workspace: str, **changes: Any) -> dict[str, Any]:
        integrations = {"azureMonitorWorkspaceIntegrations": [{"azureMonitorWorkspaceResourceId": workspace}]}
        return {
            "location": "eastus", "sku": {"name": "Standard"}, "identity": {"type": "SystemAssigned"},
            "properties": {"grafanaIntegrations": integrations, **changes},
        }  # fmt: skip

    refused(put(arm, GRAFANA, body(account.json()["id"] + "x")), "does not exist")
    refused(put(arm, GRAFANA, body(account.json()["id"], apiKey="On")), "Enabled, Disabled")
    refused(put(arm, GRAFANA, {**body(account.json()["id"]), "sku": {"name": "Free"}}), "Standard, Essential")
    assert arm.finish(put(arm, GRAFANA, body(account.json()["id"]))) == "Succeeded"
    made = arm.service.get(arm.path(GRAFANA, version=VERSIONS[GRAFANA])).json()
    assert made["properties"]["endpoint"].endswith(".grafana.azure.com")
    assert made["identity"]["principalId"]
    changed = put(arm, GRAFANA, body(account.json()["id"], zoneRedundancy="Enabled"))
    assert (changed.status, changed.json()["error"]["code"]) == (409, "PropertyChangeNotAllowed")


@pytest.mark.parametrize(
    ("leaves", "words"),
    [
        ([{"field": "operationName", "equals": "Microsoft.Authorization/locks/delete"}], "'category'"),
        ([], "'category'"),
    ],
)
def test_an_activity_alert_has_a_category(arm: Arm, leaves: list[dict[str, str]], words: str) -> None:
    scope = arm.path("", version="").split("?")[0].rstrip("/")

    def body(leaves: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "location": "global",
            "properties": {"scopes": [scope], "condition": {"allOf": leaves}, "actions": {"actionGroups": []}},
        }

    refused(put(arm, ACTIVITY, body(leaves)), words)
    made = put(arm, ACTIVITY, body([{"field": "category", "equals": "Administrative"}, *leaves]))
    assert made.status in (200, 201), made.json()
