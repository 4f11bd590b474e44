"""The Functions app as declared: one identity, its own storage, no secret, and nobody but Event Grid let in."""

from __future__ import annotations

from typing import Any

import pytest

from components.identity.roles import Role
from tests.components.mocks import Run
from tests.components.test_platform import deploy

WEBHOOK = {"enabled": True, "delivery": "webhook"}


@pytest.fixture(scope="module")
def prod() -> Run:
    return deploy("prod")


@pytest.fixture(scope="module")
def deployed() -> Run:
    return deploy("dev", functions={**WEBHOOK, "deployed": True, "tickMinutes": 5})


def settings(ran: Run) -> dict[str, str]:
    return {each["name"]: each["value"] for each in ran.declared["functions"].inputs["siteConfig"]["appSettings"]}


def test_the_site_speaks_tls_only_and_takes_no_password(prod: Run) -> None:
    site = prod.declared["functions"].inputs
    assert site["httpsOnly"] is True
    config = site["siteConfig"]
    assert (config["minTlsVersion"], config["scmMinTlsVersion"], config["ftpsState"]) == ("1.2", "1.2", "Disabled")
    assert prod.one("web:WebAppScmAllowed").inputs["allow"] is False
    assert prod.one("web:WebAppFtpAllowed").inputs["allow"] is False


def test_where_the_stack_is_private_only_event_grid_gets_in_and_calls_leave_through_the_vnet(prod: Run) -> None:
    site = prod.declared["functions"].inputs
    config = site["siteConfig"]
    assert config["ipSecurityRestrictionsDefaultAction"] == "Deny"
    (rule,) = config["ipSecurityRestrictions"]
    assert (rule["ipAddress"], rule["tag"], rule["action"]) == ("AzureEventGrid", "ServiceTag", "Allow")
    assert (config["scmIpSecurityRestrictionsDefaultAction"], config["scmIpSecurityRestrictions"]) == ("Deny", [])
    assert site["virtualNetworkSubnetId"].endswith("/network-functions")
    (delegation,) = prod.declared["network-functions"].inputs["delegations"]
    assert delegation["serviceName"] == "Microsoft.App/environments"
    assert "ipSecurityRestrictions" not in deploy("dev").declared["functions"].inputs["siteConfig"]


def test_its_storage_has_no_keys_and_a_door_of_its_own(prod: Run) -> None:
    account = prod.declared["functions-storage"].inputs
    assert account["allowSharedKeyAccess"] is False
    assert account["publicNetworkAccess"] == "Disabled"
    door = prod.declared["functions-storage-private-blob"].inputs
    other = prod.declared["private-blob"].inputs
    assert door["privateEndpointName"] != other["privateEndpointName"]
    ready = set(prod.declared["functions"].depends_on)
    assert {"functions-storage-owner", "functions-storage-packages", "functions-storage-handled-events"} <= ready


def test_no_setting_holds_a_secret_or_a_key(prod: Run, deployed: Run) -> None:
    values = settings(prod)
    assert values["AzureWebJobsStorage__credential"] == "managedidentity"
    assert "AzureWebJobsStorage" not in values
    assert values["ROLLOUT_GITHUB_TOKEN"].startswith("@Microsoft.KeyVault(SecretUri=https://")
    assert "ROLLOUT_DELIVERY_URL" not in values, "the secrets of the other way of delivery are not asked for"
    assert settings(deployed)["ROLLOUT_DELIVERY_URL"].startswith("@Microsoft.KeyVault(")
    for secret in prod.of("keyvault:Secret"):
        assert secret.inputs["properties"] == {"value": "not-set"}
        assert "properties.value" in secret.ignore_changes, "people put the value"
        assert "tags" not in secret.inputs, "a change of tags would write the first value over theirs"


def test_its_roles_end_at_single_resources(prod: Run, deployed: Run) -> None:
    def roles(ran: Run) -> set[tuple[str, str]]:
        return {
            (each.inputs["scope"].rsplit("/", 1)[1], each.inputs["roleDefinitionId"].rsplit("/", 1)[1])
            for each in ran.of("authorization:RoleAssignment")
            if each.inputs["principalId"] == "principal-functions-identity"
        }

    own = {
        ("functions-storage", Role.BLOB_DATA_OWNER.value),
        ("observability-insights", Role.MONITORING_METRICS_PUBLISHER.value),
        *(
            (f"functions-secret-functions-{name}", Role.KEY_VAULT_SECRETS_USER.value)
            for name in ("github-token", "alert-url", "signing-key")
        ),
    }
    reader = prod.declared["identity-model-reader"].inputs["roleDefinitionId"]
    # it reads the live weights, and writes them to Application Insights
    assert roles(prod) == own | {("workspace", reader), ("rollout-journal", reader)}
    ticking = {scope for scope, _ in roles(deployed)}
    assert {"workspace", "events-topic", "storage-rollout-journal"} <= {each.rsplit("/", 1)[-1] for each in ticking} | {
        "storage-rollout-journal"
    }
    assert settings(deployed)["ROLLOUT_TICK_SCHEDULE"] == "0 */5 * * * *"
    assert "ROLLOUT_TICK_SCHEDULE" not in settings(prod)


def subscription(ran: Run, name: str) -> dict[str, Any]:
    return ran.declared[f"events-{name}"].inputs


def test_events_wait_until_the_code_is_there_and_then_go_to_it(prod: Run, deployed: Run) -> None:
    waiting = subscription(prod, "model-registered")
    assert waiting["deliveryWithResourceIdentity"]["destination"]["queueName"] == "events-model-registered"
    going = subscription(deployed, "model-registered")
    target = going["destination"]
    assert target["endpointType"] == "AzureFunction"
    assert target["resourceId"].endswith("/functions/functions/model_registered")
    assert going["deadLetterWithResourceIdentity"]["identity"]["type"] == "SystemAssigned"
    assert {each.name for each in deployed.of("storage:Queue")} == {
        "storage-queue-rollout-ended",
        "storage-queue-person-needed",
    }


def test_subscriptions_filter_by_subject_and_by_what_is_in_the_event(prod: Run) -> None:
    wanted = subscription(prod, "model-registered")["filter"]
    assert wanted["subjectBeginsWith"] == "models/churn"
    assert wanted["advancedFilters"] == [{"key": "data.ModelName", "operatorType": "StringIn", "values": ["churn"]}]
    assert "advancedFilters" not in subscription(prod, "job-completed")["filter"]


def test_a_stack_may_go_without() -> None:
    bare = deploy("dev", functions={}, events={}, offHours={})
    assert not [each for each in bare.declared.values() if each.type.startswith("web:")]
    assert bare.outputs["rollout"]["functions"] is None
