"""Front Door and API Management in ARM: what Azure refuses is refused, secrets stay hidden, nothing in use is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from components.gateway import openapi
from components.gateway.policy_xml import PolicyArgs, policy_xml
from components.gateway.settings import ApiManagementSettings, TokenSettings
from tests.sandbox.arm import Arm

CDN, APIM = "/providers/Microsoft.Cdn/profiles/door", "/providers/Microsoft.ApiManagement/service/gate"
FIREWALL = "/providers/Microsoft.Network/frontdoorWebApplicationFirewallPolicies/waf"
VNET = "/providers/Microsoft.Network/virtualNetworks/net"
GROUP = "/providers/Microsoft.Network/networkSecurityGroups/rules"
VAULT = "/providers/Microsoft.KeyVault/vaults/gate-kv"
PREMIUM = {"name": "Premium_AzureFrontDoor"}


def identity(arm: Arm, below: str) -> str:
    return arm.path(below).partition("?")[0]


def refused(arm: Arm, below: str, body: dict[str, Any]) -> str:
    answer = arm.service.put(arm.path(below), body)
    assert answer.status in (400, 409), answer.text
    return str(answer.json()["error"]["message"])


def service(**changes: Any) -> dict[str, Any]:
    properties = {"publisherEmail": "me@example.com", "publisherName": "me", **changes.pop("properties", {})}
    return {
        "location": "eastus",
        "sku": {"name": "StandardV2", "capacity": 1},
        "identity": {"type": "SystemAssigned"},
        **changes,
        "properties": properties,
    }


def waf(**changes: Any) -> dict[str, Any]:
    properties = {
        "policySettings": {"mode": "Prevention"},
        "managedRules": {
            "managedRuleSets": [
                {"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "2.1", "ruleSetAction": "Block"}
            ]
        },
        **changes,
    }
    return {"location": "global", "sku": PREMIUM, "properties": properties}


@pytest.fixture
def gate(arm: Arm) -> Arm:
    """A service with a backend and an API."""
    arm.make(APIM, service())
    arm.make(f"{APIM}/backends/churn", {"properties": {"protocol": "http", "url": "https://churn.example.com"}})
    imported = {"path": "churn", "format": "openapi+json", "value": openapi.text("churn", "churn")}
    arm.make(f"{APIM}/apis/churn", {"properties": imported})
    return arm


# API Management


def test_the_import_makes_operations_and_shows_no_text(gate: Arm) -> None:
    shown = gate.service.get(gate.path(f"{APIM}/apis/churn")).json()["properties"]
    assert not {"value", "format"} & set(shown)
    operations = gate.service.get(gate.path(f"{APIM}/apis/churn/operations")).json()["value"]
    assert {(each["properties"]["method"], each["properties"]["urlTemplate"]) for each in operations} == {
        ("POST", "/score"),
        ("GET", "/swagger.json"),
        ("GET", "/health"),
    }
    assert "already has the path" in refused(gate, f"{APIM}/apis/other", {"properties": {"path": "churn"}})
    broken = {"properties": {"path": "x", "format": "openapi+json", "value": '{"swagger": "2.0"}'}}
    assert "no OpenAPI 3 document" in refused(gate, f"{APIM}/apis/other", broken)


def program_policy(**changes: Any) -> str:
    values: dict[str, Any] = {
        "use_case": "churn",
        "settings": ApiManagementSettings(tokens=TokenSettings(audiences=("api://scoring",))),
        "tenant_id": "tenant",
        "front_door_id": "door",
        "client_id": "client",
        "backend_id": "churn",
        "prediction_cache_seconds": 60,
    }
    return policy_xml(PolicyArgs(**{**values, **changes}))


OTHER_ISSUER = TokenSettings(
    audiences=("a & b",),
    clientIds=("33333333-2222-3333-4444-555555555555",),
    issuer="https://id/",
    openidConfiguration="https://id/keys?a=1&b=2",
)


@pytest.mark.parametrize(
    "text",
    [program_policy(), program_policy(settings=ApiManagementSettings(cacheSeconds=0, tokens=OTHER_ISSUER))],
    ids=["Entra ID", "another issuer"],
)
def test_the_programs_own_policies_are_kept(gate: Arm, text: str) -> None:
    body = {"properties": {"format": "xml", "value": text}}
    kept = gate.make(f"{APIM}/apis/churn/policies/policy", body)["properties"]
    assert kept["value"].splitlines()[0] == "<policies>"
    assert "\r\n" in kept["value"], "the service has a layout of its own"


def within(section: str, statement: str) -> str:
    return f"<policies><{section}>{statement}</{section}></policies>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<policies><inbound></policies>", "not well-formed"),
        ("<policy />", "has to be 'policies'"),
        ("<policies><inbound /><inbound /></policies>", "each once"),
        ("<policies><entry /></policies>", "the sections are entry"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><policies />', "no DTD"),
        (within("outbound", '<check-header name="a" failed-check-httpcode="403" failed-check-error-message="b" ignore-case="true" />'), "not allowed in section 'outbound'"),
        (within("inbound", '<cache-store duration="60" />'), "only in outbound"),
        (within("inbound", "<forward-request />"), "only in backend"),
        (within("inbound", "<rate-limit-by-keys />"), "not a policy that the sandbox knows"),
        (within("inbound", '<rate-limit-by-key calls="1" renewal-period="60" />'), "'counter-key' of 'rate-limit-by-key' is missing"),
        (within("inbound", '<rate-limit-by-key calls="1" renewal-period="3600" counter-key="a" />'), "allowed: 1 to 300"),
        (within("inbound", '<base colour="red" />'), "no attribute 'colour'"),
        (within("inbound", '<set-header name="a" exists-action="drop" />'), "allowed: override, skip, append, delete"),
        (within("inbound", '<validate-azure-ad-token tenant-id="t" header-name="Authorization" />'), "needs client-application-ids or audiences"),
        (within("inbound", '<validate-azure-ad-token tenant-id="t" header-name="A"><audiences /><client-application-ids /></validate-azure-ad-token>'), "come in the order"),
        (within("inbound", '<validate-jwt><audiences /></validate-jwt>'), "needs one of header-name"),
        (within("inbound", '<choose><when condition="@(true)"><cache-store duration="1" /></when></choose>'), "not allowed in section 'inbound'"),
        (within("inbound", '<set-backend-service backend-id="nobody" />'), "backend with id 'nobody' could not be found"),
        (within("inbound", '<set-header name="a" exists-action="override"><value>{{nothing}}</value></set-header>'), "cannot find a property 'nothing'"),
        (within("inbound", '<validate-content unspecified-content-type-action="prevent" max-size="9000000" size-exceeded-action="prevent" />'), "allowed: 1 to 4194304"),
    ],
)  # fmt: skip
def test_a_policy_that_azure_would_not_keep_is_refused(gate: Arm, text: str, said: str) -> None:
    body = {"properties": {"format": "xml", "value": text}}
    assert said in refused(gate, f"{APIM}/apis/churn/policies/policy", body)


def test_what_a_policy_uses_stays(gate: Arm) -> None:
    gate.make(f"{APIM}/namedValues/key", {"properties": {"displayName": "key", "secret": True, "value": "s3cret"}})
    gate.make(
        f"{APIM}/apis/churn/policies/policy", {"properties": {"format": "xml", "value": program_policy(key_name="key")}}
    )
    for below in ("backends/churn", "namedValues/key"):
        answer = gate.service.delete(gate.path(f"{APIM}/{below}"))
        assert (answer.status, "is used by" in answer.text) == (400, True), below


def test_a_secret_value_is_told_to_those_who_ask_for_it_only(gate: Arm) -> None:
    body = {"properties": {"displayName": "key", "secret": True, "value": "s3cret"}}
    assert "s3cret" not in json.dumps(gate.make(f"{APIM}/namedValues/key", body))
    asked = gate.service.post(gate.path(f"{APIM}/namedValues/key/listValue"))
    assert asked.json() == {"value": "s3cret"}
    made = gate.make(
        f"{APIM}/subscriptions/one", {"properties": {"displayName": "one", "scope": "/apis", "primaryKey": "mine"}}
    )
    assert "mine" not in json.dumps(made)
    assert gate.service.post(gate.path(f"{APIM}/subscriptions/one/listSecrets")).json()["primaryKey"] == "mine"


def test_a_named_value_reads_the_vault_as_the_service(gate: Arm) -> None:
    vault = {"location": "eastus", "properties": {"tenantId": "t", "sku": {"name": "standard", "family": "A"}}}
    gate.make(VAULT, vault)
    value = f"{APIM}/namedValues/churn-key"
    body = {
        "properties": {
            "displayName": "churn-key",
            "secret": True,
            "keyVault": {"secretIdentifier": "https://gate-kv.vault.azure.net/secrets/churn"},
        }
    }
    assert "was not found" in refused(gate, value, body)
    gate.make(f"{VAULT}/secrets/churn", {"properties": {"value": "k3y"}})
    assert "is Forbidden for the service's identity" in refused(gate, value, body)
    principal = gate.service.get(gate.path(APIM)).json()["identity"]["principalId"]
    role = f"/subscriptions/{gate.subscription}/providers/Microsoft.Authorization/roleDefinitions/4633458b-17de-408a-b874-0445c86b69e6"
    assignment = (
        f"{VAULT}/secrets/churn/providers/Microsoft.Authorization/roleAssignments/6f0e6f3a-5c1d-5a52-9c5e-2f6a1f2f7b11"
    )
    given = {"principalId": principal, "principalType": "ServicePrincipal", "roleDefinitionId": role}
    url = f"{identity(gate, assignment)}?api-version=2022-04-01"
    assert gate.service.put(url, {"properties": given}).status == 201
    assert "k3y" not in json.dumps(gate.make(value, body))


def test_a_logger_names_what_it_traces_to(gate: Arm) -> None:
    credentials = {"connectionString": "{{insights}}"}
    body = {"properties": {"loggerType": "applicationInsights", "credentials": credentials}}
    assert "cannot find a property 'insights'" in refused(gate, f"{APIM}/loggers/it", body)
    none = {"properties": {"loggerType": "applicationInsights", "credentials": {}}}
    assert "needs a connectionString" in refused(gate, f"{APIM}/loggers/it", none)
    gate.make(f"{APIM}/namedValues/insights", {"properties": {"displayName": "insights", "value": "x"}})
    logger = gate.make(f"{APIM}/loggers/it", body)["id"]
    assert "allowed: applicationinsights" in refused(
        gate, f"{APIM}/diagnostics/other", {"properties": {"loggerId": logger}}
    )
    gate.make(f"{APIM}/diagnostics/applicationinsights", {"properties": {"loggerId": logger}})
    assert "is used by" in gate.service.delete(gate.path(f"{APIM}/loggers/it")).text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (service(sku={"name": "Gold", "capacity": 1}), "allowed: Developer"),
        (service(sku={"name": "Developer", "capacity": 2}), "allowed: 1 to 1"),
        (service(properties={"publicNetworkAccess": "Disabled"}), "can't be Disabled while the service is created"),
        (service(properties={"publisherEmail": ""}), "publisherEmail"),
        (service(sku={"name": "BasicV2", "capacity": 1}, properties={"virtualNetworkType": "External"}), "does not enter a virtual network"),
        (service(properties={"virtualNetworkType": "External"}), "does not exist"),
    ],
)  # fmt: skip
def test_a_service_that_azure_would_not_make_is_refused(arm: Arm, body: dict[str, Any], said: str) -> None:
    assert said in refused(arm, APIM, body)


def test_each_tier_takes_a_subnet_of_its_own_kind_and_holds_it(arm: Arm) -> None:
    arm.make(VNET, {"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}})
    rules = arm.make(GROUP, {"location": "eastus", "properties": {}})["id"]
    subnet = {"addressPrefix": "10.0.1.0/27", "networkSecurityGroup": {"id": rules}}
    arm.make(f"{VNET}/subnets/gate", {"properties": subnet})
    inside = {
        "virtualNetworkType": "External",
        "virtualNetworkConfiguration": {"subnetResourceId": identity(arm, f"{VNET}/subnets/gate")},
    }
    assert "needs Microsoft.Web/serverFarms" in refused(arm, APIM, service(properties=inside))
    delegations = [{"name": "it", "properties": {"serviceName": "Microsoft.Web/serverFarms"}}]
    arm.make(f"{VNET}/subnets/gate", {"properties": {**subnet, "delegations": delegations}})
    classic = service(sku={"name": "Premium", "capacity": 1}, properties=inside)
    assert "needs no delegation" in refused(arm, APIM, classic)
    arm.make(APIM, service(properties=inside))
    assert "InUseSubnetCannotBeDeleted" in arm.service.delete(arm.path(f"{VNET}/subnets/gate")).text


# Front Door


@pytest.fixture
def door(arm: Arm) -> Arm:
    arm.make(CDN, {"location": "global", "sku": PREMIUM, "properties": {}})
    arm.make(f"{CDN}/afdEndpoints/shop", {"location": "global", "properties": {}})
    arm.make(f"{CDN}/originGroups/gate", {"properties": {"loadBalancingSettings": {"sampleSize": 4}}})
    return arm


def route(arm: Arm, **changes: Any) -> dict[str, Any]:
    group = {"id": identity(arm, f"{CDN}/originGroups/gate")}
    wanted = {
        "originGroup": group,
        "supportedProtocols": ["Https"],
        "httpsRedirect": "Disabled",
        "linkToDefaultDomain": "Enabled",
    }
    return {"properties": {**wanted, **changes}}


def test_a_route_leads_to_an_origin_and_holds_its_group(door: Arm) -> None:
    below = f"{CDN}/afdEndpoints/shop/routes/all"
    assert "has no origin" in refused(door, below, route(door))
    door.make(f"{CDN}/originGroups/gate/origins/one", {"properties": {"hostName": "gate.example.com"}})
    assert "must have Http and Https" in refused(door, below, route(door, httpsRedirect="Enabled"))
    assert "has no domain" in refused(door, below, route(door, linkToDefaultDomain="Disabled"))
    assert "customDomains" in refused(door, below, route(door, customDomains=[{"id": "/nowhere"}]))
    door.make(below, route(door))
    assert door.service.delete(door.path(f"{CDN}/originGroups/gate")).status == 409
    shown = door.service.get(door.path(f"{CDN}/afdEndpoints/shop")).json()["properties"]
    assert shown["hostName"].startswith("shop-")
    assert shown["hostName"].endswith(".azurefd.net")


def test_a_private_link_waits_for_an_approval_that_the_service_shows(door: Arm) -> None:
    target = door.make(APIM, service())["id"]
    link = {
        "groupId": "Gateway",
        "privateLink": {"id": target},
        "privateLinkLocation": "eastus",
        "requestMessage": "please",
    }
    origin = {"hostName": "gate.azure-api.net", "enforceCertificateNameCheck": True, "sharedPrivateLinkResource": link}
    below = f"{CDN}/originGroups/gate/origins/one"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"enforceCertificateNameCheck": False}, "must be true"),
        ({"sharedPrivateLinkResource": {**link, "groupId": "blob"}}, "allowed: Gateway"),
        ({"sharedPrivateLinkResource": {**link, "privateLink": {"id": f"{target}x"}}}, "allowed: none"),
    ]
    for change, said in wrong:
        assert said in refused(door, below, {"properties": {**origin, **change}})
    made = door.make(below, {"properties": origin})["properties"]
    assert made["sharedPrivateLinkResource"]["status"] == "Pending"
    (connection,) = door.service.get(door.path(APIM)).json()["properties"]["privateEndpointConnections"]
    assert connection["properties"]["privateLinkServiceConnectionState"] == {
        "status": "Pending",
        "description": "please",
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policySettings": {"mode": "Off"}}, "allowed: Prevention, Detection"),
        ({"managedRules": {"managedRuleSets": [{"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "9"}]}}, "known, with"),
        ({"managedRules": {"managedRuleSets": [{"ruleSetType": "Microsoft_DefaultRuleSet", "ruleSetVersion": "2.1"}]}}, "allowed: Block, Log, Redirect"),
        ({"customRules": {"rules": [{"name": "no-dashes", "priority": 1, "matchConditions": [{}]}]}}, "letters and digits"),
        ({"customRules": {"rules": [{"name": "A", "priority": 1, "matchConditions": []}]}}, "no matchConditions"),
        ({"customRules": {"rules": [{"name": each, "priority": 1, "matchConditions": [{}]} for each in "AB"]}}, "another rule has priority 1"),
        ({"customRules": {"rules": [{"name": "A", "priority": 1, "ruleType": "RateLimitRule", "rateLimitThreshold": 10, "matchConditions": [{}]}]}}, "1 or 5"),
    ],
)  # fmt: skip
def test_a_firewall_that_azure_would_not_make_is_refused(arm: Arm, change: dict[str, Any], said: str) -> None:
    assert said in refused(arm, FIREWALL, waf(**change))


def test_a_firewall_in_use_stays_and_has_the_profiles_tier(door: Arm) -> None:
    firewall = door.make(FIREWALL, waf())["id"]
    domains = [{"id": identity(door, f"{CDN}/afdEndpoints/shop")}]
    body: Callable[[list[dict[str, str]]], dict[str, Any]] = lambda found: {  # noqa: E731
        "properties": {
            "parameters": {
                "type": "WebApplicationFirewall",
                "wafPolicy": {"id": firewall},
                "associations": [{"domains": found, "patternsToMatch": ["/*"]}],
            }
        }
    }
    below = f"{CDN}/securityPolicies/it"
    assert "does not exist" in refused(door, below, body([{"id": f"{domains[0]['id']}x"}]))
    door.make(below, body(domains))
    assert door.service.delete(door.path(FIREWALL)).status == 409
    cheaper = {"location": "global", "sku": {"name": "Standard_AzureFrontDoor"}, "properties": {}}
    assert "can't go back" in refused(door, CDN, cheaper)
