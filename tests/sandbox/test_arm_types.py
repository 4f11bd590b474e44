"""What the services behind Resource Manager make of their resources: endpoints, keys, identities, rules of their own."""

from __future__ import annotations

import pytest

from sandbox.arm.catalogue import TYPES
from sandbox.kernel.context import Sandbox
from tests.sandbox.arm import Arm

ACCOUNT = "/providers/Microsoft.Storage/storageAccounts/books1"
VAULT = "/providers/Microsoft.KeyVault/vaults/books-kv"
INSIGHTS = "/providers/Microsoft.Insights/components/books-ai"
WORKSPACE = "/providers/Microsoft.MachineLearningServices/workspaces/books-ml"
IDENTITY = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/books-id"
TOPIC = "/providers/Microsoft.EventGrid/topics/books-topic"
BUDGET = "/providers/Microsoft.Consumption/budgets/books"


def make_parts(arm: Arm) -> dict[str, str]:
    """What a workspace stands on; their ids."""
    account = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
    vault = {"location": "eastus", "properties": {"tenantId": "t", "sku": {"name": "standard", "family": "A"}}}
    insights = {"location": "eastus", "kind": "web", "properties": {"Application_Type": "web"}}
    return {
        "storageAccount": arm.make(ACCOUNT, account)["id"],
        "keyVault": arm.make(VAULT, vault)["id"],
        "applicationInsights": arm.make(INSIGHTS, insights)["id"],
    }


def workspace(parts: dict[str, str]) -> dict:
    return {"location": "eastus", "identity": {"type": "SystemAssigned"}, "properties": parts}


def test_a_workspace_stands_on_its_parts_and_says_where_it_is(arm: Arm, context: Sandbox) -> None:
    made = arm.make(WORKSPACE, workspace(make_parts(arm)))
    assert made["properties"]["discoveryUrl"] == f"{context.settings.url('ml')}/discovery"
    assert made["properties"]["mlFlowTrackingUri"] == context.settings.url("mlflow")
    assert made["identity"]["tenantId"] == context.settings.tenant_id
    public = arm.service.get("https://management.azure.com" + arm.path(WORKSPACE)).json()
    assert public["properties"]["discoveryUrl"] == "https://eastus.api.azureml.ms/discovery"

    again = arm.make(WORKSPACE, {**workspace(make_parts(arm)), "tags": {"a": "b"}})
    assert again["identity"] == made["identity"]
    assert again["properties"]["workspaceId"] == made["properties"]["workspaceId"]


@pytest.mark.parametrize("part", ["storageAccount", "keyVault", "applicationInsights"])
def test_a_workspace_without_one_of_its_parts_is_refused(arm: Arm, part: str) -> None:
    parts = make_parts(arm)
    wrong = {**parts, part: parts[part] + "x"}
    refused = arm.service.put(arm.path(WORKSPACE), workspace(wrong))
    assert (refused.status, refused.json()["error"]["code"]) == (400, "InvalidResourceReference")
    assert part in refused.json()["error"]["message"]
    del wrong[part]
    refused = arm.service.put(arm.path(WORKSPACE), workspace(wrong))
    assert part in refused.json()["error"]["message"]


def test_a_cluster_scales_between_its_bounds(arm: Arm) -> None:
    arm.make(WORKSPACE, workspace(make_parts(arm)))

    def cluster(low: int, high: int) -> dict:
        scale = {"minNodeCount": low, "maxNodeCount": high, "nodeIdleTimeBeforeScaleDown": "PT2M"}
        inner = {"vmSize": "STANDARD_DS3_V2", "vmPriority": "LowPriority", "scaleSettings": scale}
        return {"location": "eastus", "properties": {"computeType": "AmlCompute", "properties": inner}}

    made = arm.make(WORKSPACE + "/computes/cpu", cluster(0, 4))
    assert made["properties"]["properties"]["currentNodeCount"] == 0
    refused = arm.service.put(arm.path(WORKSPACE + "/computes/cpu"), cluster(5, 4))
    assert (refused.status, refused.json()["error"]["code"]) == (400, "BadArgument")


def test_application_insights_gives_a_connection_string(arm: Arm) -> None:
    make_parts(arm)
    properties = arm.service.get(arm.path(INSIGHTS)).json()["properties"]
    assert properties["ConnectionString"].startswith(f"InstrumentationKey={properties['InstrumentationKey']};")


def test_log_analytics_keeps_its_customer_id_and_hides_its_keys(arm: Arm) -> None:
    path = "/providers/Microsoft.OperationalInsights/workspaces/books-logs"
    made = arm.make(path, {"location": "eastus", "properties": {"retentionInDays": 30}})
    keys = arm.service.post(arm.path(path + "/sharedKeys")).json()
    assert set(keys) == {"primarySharedKey", "secondarySharedKey"}
    assert keys["primarySharedKey"] not in str(made)
    changed = arm.make(path, {"location": "eastus", "properties": {"retentionInDays": 90}})
    assert changed["properties"]["customerId"] == made["properties"]["customerId"]
    refused = arm.service.put(arm.path(path), {"location": "eastus", "properties": {"retentionInDays": 5000}})
    assert "30 to 730" in refused.json()["error"]["message"]


def test_a_registry_gives_credentials_to_its_admin_only(arm: Arm) -> None:
    path = "/providers/Microsoft.ContainerRegistry/registries/booksregistry"
    body = {"location": "eastus", "sku": {"name": "Basic"}}
    assert arm.make(path, body)["properties"]["loginServer"] == "booksregistry.azurecr.io"
    assert arm.service.post(arm.path(path + "/listCredentials")).status == 400
    arm.make(path, {**body, "properties": {"adminUserEnabled": True}})
    given = arm.service.post(arm.path(path + "/listCredentials")).json()
    assert (given["username"], len(given["passwords"])) == ("booksregistry", 2)


def test_a_user_assigned_identity_lends_its_principal_to_a_workspace(arm: Arm) -> None:
    identity = arm.make(IDENTITY, {"location": "eastus"})
    body = workspace(make_parts(arm)) | {
        "identity": {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {identity["id"]: {}}}
    }
    made = arm.make(WORKSPACE, body)
    lent = made["identity"]["userAssignedIdentities"][identity["id"]]
    assert lent["principalId"] == identity["properties"]["principalId"]
    assert made["identity"]["principalId"] != lent["principalId"]
    body["identity"]["userAssignedIdentities"] = {identity["id"] + "x": {}}
    refused = arm.service.put(arm.path(WORKSPACE), body)
    assert refused.json()["error"]["code"] == "FailedIdentityOperation"


def test_role_assignments_are_listed_at_and_above_their_scope_and_made_once(arm: Arm) -> None:
    parts = make_parts(arm)
    body = {"properties": {"principalId": "p1", "roleDefinitionId": "/x/ba92f5b4-2d11-453d-a403-e96b0029c9fe"}}
    names = [f"{digit * 8}-2222-3333-4444-555555555555" for digit in "123"]
    base = "/providers/Microsoft.Authorization/roleAssignments"
    on_account = f"{parts['storageAccount']}{base}"
    version = "?api-version=2022-04-01"
    assert arm.service.put(f"{on_account}/{names[0]}{version}", body).status == 201
    assert arm.service.put(arm.path(f"{base}/{names[1]}"), body).status == 201
    twin = arm.service.put(f"{on_account}/{names[2]}{version}", body)
    assert (twin.status, twin.json()["error"]["code"]) == (409, "RoleAssignmentExists")

    def listed(url: str) -> list[str]:
        return [each["name"] for each in arm.service.get(url).json()["value"]]

    assert (
        listed(f"{on_account}{version}") == names[1::-1][::-1] or sorted(listed(f"{on_account}{version}")) == names[:2]
    )
    at_group = arm.path(base)
    assert sorted(listed(at_group)) == names[:2]
    assert listed(at_group + "&$filter=atScope()") == [names[1]]
    unknown = {"properties": {**body["properties"], "roleDefinitionId": "/x/00000000-0000-0000-0000-000000000000"}}
    refused = arm.service.put(f"{on_account}/{names[2]}{version}", unknown)
    assert refused.json()["error"]["code"] == "RoleDefinitionDoesNotExist"


def test_built_in_roles_are_found_by_name(arm: Arm) -> None:
    url = f"/subscriptions/{arm.subscription}/providers/Microsoft.Authorization/roleDefinitions?api-version=2022-04-01"
    found = arm.service.get(url + "&$filter=roleName%20eq%20'Storage Blob Data Contributor'").json()["value"]
    assert [role["name"] for role in found] == ["ba92f5b4-2d11-453d-a403-e96b0029c9fe"]


def test_a_budget_tells_somebody_and_starts_with_a_month(arm: Arm) -> None:
    notice = {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": ["a@example.com"]}
    properties = {
        "amount": 100,
        "category": "Cost",
        "timeGrain": "Monthly",
        "timePeriod": {"startDate": "2026-11-01T00:00:00Z"},
        "notifications": {"eighty": notice},
    }
    made = arm.make(BUDGET, {"properties": properties})
    assert made["properties"]["currentSpend"] == {"amount": 0, "unit": "USD"}
    assert "eTag" in made
    wrong = (
        ({"amount": -1}, "over 0"),
        ({"timePeriod": {"startDate": "2026-11-05"}}, "first of a month"),
        ({"notifications": {"n": {**notice, "contactEmails": []}}}, "tells nobody"),
        ({"notifications": {"n": {**notice, "threshold": 2000}}}, "2000"),
    )
    for change, words in wrong:
        refused = arm.service.put(arm.path(BUDGET), {"properties": properties | change})
        assert refused.status == 400
        assert words in refused.json()["error"]["message"]


def test_event_subscriptions_listen_to_a_topic_and_hide_the_secret_in_their_url(arm: Arm, context: Sandbox) -> None:
    topic = arm.make(TOPIC, {"location": "eastus"})
    assert topic["properties"]["endpoint"] == f"{context.settings.url('eventgrid')}/books-topic/api/events"
    assert set(arm.service.post(arm.path(TOPIC + "/listKeys")).json()) == {"key1", "key2"}

    url = "https://127.0.0.1:9/hook?code=hush"
    body = {"properties": {"destination": {"endpointType": "WebHook", "properties": {"endpointUrl": url}}}}
    path = f"{topic['id']}/providers/Microsoft.EventGrid/eventSubscriptions/to-hook"
    version = "?api-version=2025-02-15"
    created = arm.service.put(path + version, body)
    assert arm.finish(created) == "Succeeded"
    shown = arm.service.get(path + version).json()
    assert shown["properties"]["topic"] == topic["id"]
    assert "hush" not in str(shown)
    assert arm.service.post(f"{path}/getFullUrl{version}").json() == {"endpointUrl": url}
    body["properties"]["retryPolicy"] = {"maxDeliveryAttempts": 99}
    assert "1 to 30" in arm.service.put(path + version, body).json()["error"]["message"]


def test_an_alert_watches_what_exists_and_tells_a_group_that_exists(arm: Arm) -> None:
    parts = make_parts(arm)
    groups = "/providers/Microsoft.Insights/actionGroups/books-ag"
    body = {"location": "global", "properties": {"groupShortName": "books", "enabled": True}}
    group = arm.service.put(arm.path(groups, version="2023-01-01"), body)
    assert group.status == 201
    properties = {
        "severity": 1,
        "enabled": True,
        "scopes": [parts["storageAccount"]],
        "evaluationFrequency": "PT1M",
        "windowSize": "PT5M",
        "criteria": {"odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria", "allOf": []},
        "actions": [{"actionGroupId": group.json()["id"]}],
    }
    path = arm.path("/providers/Microsoft.Insights/metricAlerts/books-errors", version="2018-03-01")
    assert arm.service.put(path, {"location": "global", "properties": properties}).status == 201
    wrong = (
        ({"scopes": [parts["storageAccount"] + "x"]}, "does not exist"),
        ({"actions": [{"actionGroupId": group.json()["id"] + "x"}]}, "does not exist"),
        ({"windowSize": "five minutes"}, "PT1M to P2D"),
        ({"severity": 9}, "0 to 4"),
    )
    for change, words in wrong:
        refused = arm.service.put(path, {"location": "global", "properties": properties | change})
        assert words in refused.json()["error"]["message"]


def test_diagnostic_settings_hang_on_a_resource_and_need_a_sink(arm: Arm) -> None:
    parts = make_parts(arm)
    path = f"{parts['keyVault']}/providers/Microsoft.Insights/diagnosticSettings/logs?api-version=2021-05-01-preview"
    refused = arm.service.put(path, {"properties": {"logs": []}})
    assert "data sink" in refused.json()["error"]["message"]
    body = {"properties": {"storageAccountId": parts["storageAccount"], "logs": []}}
    assert arm.service.put(path, body).status == 201
    assert arm.service.get(path).json()["properties"]["storageAccountId"] == parts["storageAccount"]
    body["properties"]["logs"] = [{"category": "AuditEvents", "enabled": True}]
    assert "supported: AuditEvent" in arm.service.put(path, body).json()["error"]["message"]


def test_every_type_of_the_catalogue_names_its_versions_once() -> None:
    names = [kind.name.lower() for kind in TYPES]
    assert len(names) == len(set(names))
    for kind in TYPES:
        assert kind.versions, kind.name
        assert all(len(version) >= 10 and version[4] == "-" for version in kind.versions), kind.name
