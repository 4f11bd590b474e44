"""The gateway as declared: one public door that blocks, one private way behind it, no key and no pinned deployment."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest

from components.gateway.front_door import PROBE_PATH
from contract.reader import parse_outputs
from tests.components.mocks import Run
from tests.components.test_platform import deploy
from tests.options import every_option, merged

KEYED: dict[str, Any] = {
    "gateway": {"endpoints": {"churn": {"keySecret": "churn-key", "path": "predict/churn"}}},
    "endpoints": {"churn": {"authMode": "Key"}},
}


@pytest.fixture(scope="module")
def prod() -> Run:
    return deploy("prod")


@pytest.fixture(scope="module")
def everything() -> Run:
    return deploy("prod", **every_option("prod"))


def policy_of(run: Run, use_case: str = "churn") -> Element:
    return fromstring(run.declared[f"gateway-{use_case}-policy"].inputs["value"])


def inbound(run: Run) -> Sequence[Element]:
    found = policy_of(run).find("inbound")
    assert found is not None
    return list(found)


def place_of(run: Run, tag: str) -> int:
    return [each.tag for each in inbound(run)].index(tag)


def test_dev_and_staging_have_no_gateway() -> None:
    for stack in ("dev", "staging"):
        made = deploy(stack)
        assert not {"cdn", "frontdoor", "apimanagement"} & {each.type.split(":")[0] for each in made.declared.values()}
        assert parse_outputs(made.outputs, stack).gateway is None


def test_the_firewall_blocks_and_stands_before_every_name(everything: Run) -> None:
    firewall = everything.one("frontdoor:Policy").inputs
    assert firewall["policySettings"]["mode"] == "Prevention"
    assert {(each["ruleSetType"], each["ruleSetVersion"]) for each in firewall["managedRules"]["managedRuleSets"]} == {
        ("Microsoft_DefaultRuleSet", "2.1"),
        ("Microsoft_BotManagerRuleSet", "1.1"),
    }
    rules = {each["name"]: each for each in firewall["customRules"]["rules"]}
    assert (rules["RequestsPerAddress"]["rateLimitThreshold"], rules["RequestsPerAddress"]["action"]) == (1000, "Block")
    (country,) = rules["AllowedCountries"]["matchConditions"]
    assert (country["negateCondition"], country["matchValue"]) == (True, ["DE", "US"])
    assert rules["AllowedCountries"]["priority"] < rules["RequestsPerAddress"]["priority"]
    (association,) = everything.one("cdn:SecurityPolicy").inputs["parameters"]["associations"]
    assert {each["id"].rsplit("/", 1)[1] for each in association["domains"]} == {
        "front-door-endpoint",
        "front-door-domain",
    }
    assert association["patternsToMatch"] == ["/*"]


def test_the_way_in_is_https_and_private_behind_the_door(prod: Run) -> None:
    route = prod.one("cdn:Route")
    assert (route.inputs["supportedProtocols"], route.inputs["forwardingProtocol"]) == (["Https"], "HttpsOnly")
    assert "front-door-origin" in route.depends_on, "Azure refuses a route without an origin"
    origin = prod.one("cdn:AFDOrigin").inputs
    assert origin["sharedPrivateLinkResource"]["groupId"] == "Gateway"
    assert origin["sharedPrivateLinkResource"]["privateLink"]["id"].endswith("/api-management")
    assert origin["enforceCertificateNameCheck"] is True
    assert origin["hostName"] == origin["originHostHeader"]
    assert origin["hostName"].endswith(".azure-api.net"), "a host, not an address"
    assert prod.one("cdn:AFDOriginGroup").inputs["healthProbeSettings"]["probePath"] == PROBE_PATH


def test_a_domain_of_ones_own_closes_azures(everything: Run) -> None:
    domain = everything.one("cdn:AFDCustomDomain").inputs
    assert domain["tlsSettings"] == {"certificateType": "ManagedCertificate", "minimumTlsVersion": "TLS12"}
    assert everything.one("cdn:Route").inputs["linkToDefaultDomain"] == "Disabled"
    gateway = everything.outputs["rollout"]["gateway"]
    assert gateway["scoring_urls"] == {"churn": "https://scoring.example.com/churn/score"}
    assert gateway["domain_token"] == "token"


def test_calls_go_out_through_a_subnet_of_their_own(prod: Run) -> None:
    service = prod.one("apimanagement:ApiManagementService")
    assert service.inputs["virtualNetworkConfiguration"]["subnetResourceId"].endswith("/network-gateway")
    assert service.inputs["virtualNetworkType"] == "External"
    subnet = prod.declared["network-gateway"].inputs
    assert [each["serviceName"] for each in subnet["delegations"]] == ["Microsoft.Web/serverFarms"]
    assert service.ignore_changes == ("privateEndpointConnections",), "Front Door's approved connection stays"
    assert service.protect
    assert prod.one("machinelearningservices:OnlineEndpoint").inputs["properties"]["publicNetworkAccess"] == "Disabled"


def test_an_injected_tier_lets_in_front_door_and_azure_only() -> None:
    gateway = merged(every_option("prod")["gateway"], {"apiManagement": {"sku": "Premium"}})
    made = deploy("prod", **{**every_option("prod"), "gateway": gateway})
    rules = {each["name"]: each for each in made.declared["network-gateway-rules"].inputs["securityRules"]}
    allowed = {
        (each["sourceAddressPrefix"], each["destinationPortRange"])
        for each in rules.values()
        if each["access"] == "Allow"
    }
    assert allowed == {("AzureFrontDoor.Backend", "443"), ("ApiManagement", "3443"), ("AzureLoadBalancer", "6390")}
    assert max(rules.values(), key=lambda rule: rule["priority"])["access"] == "Deny"
    assert "delegations" not in made.declared["network-gateway"].inputs
    assert (
        "sharedPrivateLinkResource" not in made.one("cdn:AFDOrigin").inputs
    ), "an injected service has no private link"
    old = made.one("apimanagement:ApiManagementService").inputs["customProperties"]
    assert set(old.values()) == {"False"}
    assert any(name.endswith("Backend.Protocols.Tls10") for name in old)


def test_only_this_front_door_may_call_and_only_with_a_token(prod: Run) -> None:
    first = [each.tag for each in inbound(prod)][:4]
    assert first == ["base", "check-header", "set-header", "validate-azure-ad-token"], "cheapest refusals first"
    door = inbound(prod)[1]
    assert (door.get("name"), door.findtext("value")) == ("X-Azure-FDID", "99999999-8888-7777-6666-555555555555")
    token = inbound(prod)[3]
    assert token.get("tenant-id") == "tenant"
    assert [each.text for each in token.iter("audience")] == ["api://rollouts-prod-scoring"]


def test_nobody_pins_a_deployment_from_outside(prod: Run) -> None:
    headers = {each.get("name"): each.get("exists-action") for each in inbound(prod) if each.tag == "set-header"}
    assert headers == {"azureml-model-deployment": "delete"}


def test_the_callers_token_never_reaches_the_endpoint(prod: Run) -> None:
    assert place_of(prod, "validate-azure-ad-token") < place_of(prod, "authentication-managed-identity")
    assert inbound(prod)[-1].get("resource") == "https://ml.azure.com"
    role = prod.declared["gateway-churn-scorer"]
    assert role.inputs["scope"].endswith("/endpoint-churn"), "it may score here, and nowhere else"
    assert role.inputs["principalId"] == "principal-api-management-identity"
    assert inbound(prod)[-1].get("client-id") == "client-api-management-identity"
    assert "identity-model-scorer" in role.depends_on
    assert "identity-operator-scoring-at-workspace" in prod.declared, "smoke tests need the role too"


def test_a_key_stays_in_the_vault() -> None:
    made = deploy("prod", **merged(every_option("prod"), KEYED))
    value = made.declared["gateway-churn-key"]
    assert "value" not in value.inputs
    assert value.inputs["keyVault"]["secretIdentifier"].endswith(".vault.azure.net/secrets/churn-key")
    assert "gateway-churn-secret-user" in value.depends_on
    assert made.declared["gateway-churn-secret-user"].inputs["scope"].endswith("/workspace-vault/secrets/churn-key")
    assert "gateway-churn-scorer" not in made.declared
    service = made.one("apimanagement:ApiManagementService").inputs["identity"]
    assert service["type"] == "SystemAssigned, UserAssigned", "Azure lets that one past a vault's firewall"
    assert made.declared["gateway-churn-secret-user"].inputs["principalId"] == "principal-api-management"
    (sent,) = [each for each in inbound(made) if each.get("name") == "Authorization"]
    assert (sent.get("exists-action"), sent.findtext("value")) == ("override", "Bearer {{churn-key}}")
    assert made.outputs["gateway_urls"]["churn"].endswith("/predict/churn/score")


def test_limits_and_caches_are_the_stack_files(everything: Run) -> None:
    limit = inbound(everything)[place_of(everything, "rate-limit-by-key")]
    assert (limit.get("calls"), limit.get("renewal-period")) == ("300", "60")
    root = policy_of(everything)
    (content,) = root.iter("validate-content")
    assert (content.get("max-size"), content.get("size-exceeded-action")) == ("102400", "prevent")
    (store,) = root.iter("cache-store")
    assert store.get("duration") == "300"
    (kept,) = root.iter("cache-store-value")
    assert kept.get("duration") == "60"


def test_nothing_is_cached_unless_asked_for() -> None:
    wanted = merged(
        every_option("prod")["gateway"],
        {"apiManagement": {"cacheSeconds": 0}, "endpoints": {"churn": {"predictionCacheSeconds": 0}}},
    )
    made = deploy("prod", **{**every_option("prod"), "gateway": wanted})
    assert not [each.tag for each in policy_of(made).iter() if each.tag.startswith("cache")]


def test_another_issuer_is_asked_for_its_keys() -> None:
    tokens = {
        "issuer": "https://id.example.com/",
        "openidConfiguration": "https://id.example.com/.well-known/openid-configuration",
    }
    wanted = merged(every_option("prod")["gateway"], {"apiManagement": {"tokens": tokens}})
    made = deploy("prod", **{**every_option("prod"), "gateway": wanted})
    check = inbound(made)[place_of(made, "validate-jwt")]
    assert [each.tag for each in check] == ["openid-config", "audiences", "issuers", "required-claims"], "Azure's order"
    assert check.findtext("issuers/issuer") == "https://id.example.com/"


def test_traces_go_by_identity_without_bodies(prod: Run) -> None:
    logger = prod.one("apimanagement:Logger").inputs
    assert logger["credentials"] == {
        "connectionString": "{{insights-connection}}",
        "identityClientId": "client-api-management-identity",
    }
    traces = prod.one("apimanagement:Diagnostic").inputs
    sides = [traces[side][message] for side in ("frontend", "backend") for message in ("request", "response")]
    assert all(each["body"]["bytes"] == 0 and each["headers"] == [] for each in sides)
    assert (traces["logClientIp"], traces["alwaysLog"]) == (False, "allErrors")
    assert "InstrumentationKey" not in json.dumps(prod.outputs)
    logged = {
        each.name: [log["category"] for log in each.inputs["logs"]] for each in prod.of("monitor:DiagnosticSetting")
    }
    assert "FrontDoorWebApplicationFirewallLog" in logged["front-door-logs"]
    assert logged["api-management-logs"] == ["GatewayLogs"]


def test_health_is_asked_without_a_token_and_gets_nothing_to_run(prod: Run) -> None:
    declared = prod.declared["gateway-churn-health"]
    document = json.loads(prod.declared["gateway-churn-api"].inputs["value"])
    assert declared.inputs["operationId"] == document["paths"]["/health"]["get"]["operationId"]
    root = fromstring(declared.inputs["value"])
    inbound = root.find("inbound")
    assert inbound is not None
    tags = [each.tag for each in inbound]
    assert tags[:2] == ["check-header", "rate-limit-by-key"], "through the front door, and not too often"
    assert "base" not in tags, "the token check of the API is for the others"
    assert not {"authentication-managed-identity", "validate-azure-ad-token"} & set(tags)
    taken_off = {each.get("name") for each in inbound.findall("set-header") if each.get("exists-action") == "delete"}
    assert taken_off == {"Authorization", "azureml-model-deployment"}, "the endpoint is asked without a credential"
    turned_away, otherwise = root.findall("outbound/choose/*")
    assert "StatusCode == 401" in (turned_away.get("condition") or "")
    codes = [each.find("return-response/set-status").get("code") for each in (turned_away, otherwise)]  # type: ignore[union-attr]
    assert codes == ["200", "503"], "the endpoint's sign-in answers; anything else is no health"


def test_an_endpoint_can_stay_inside() -> None:
    values = every_option("prod")
    values["endpoints"] = {**values["endpoints"], "intent": {**values["endpoints"]["churn"], "model": "intent"}}
    values["gateway"]["endpoints"]["intent"] = {"exposed": False}
    made = deploy("prod", **values)
    assert [each.inputs["apiId"] for each in made.of("apimanagement:Api")] == ["churn"]
    assert set(made.outputs["gateway_urls"]) == {"churn"}
    asked = [each.inputs["request"]["requestUrl"] for each in made.of("applicationinsights:WebTest")]
    assert asked == ["https://scoring.example.com/churn/health"], "what is inside is not asked from outside"


def test_locks_wait_for_what_the_gateway_has_on_the_vault() -> None:
    made = deploy("prod", **merged(every_option("prod"), KEYED))
    for lock in made.of("authorization:ManagementLockByScope"):
        assert "gateway-churn-secret-user" in lock.depends_on
