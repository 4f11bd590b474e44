"""Wrong gateway settings are told before anything is made; each names key, value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from components.config import SettingsError, parse
from components.cost.prices import estimate
from components.gateway.tiers import TIERS
from tests.components.mocks import settings_of, stack_values
from tests.options import every_option, merged
from tests.wrong_settings import refused

_APIM, _DOOR = "gateway.apiManagement", "gateway.frontDoor"


def apim(**changes: Any) -> dict[str, Any]:
    return {"gateway": {"apiManagement": changes}}


def churn(**changes: Any) -> dict[str, Any]:
    return {"endpoints": {"churn": changes}}


def exposed(**changes: Any) -> dict[str, Any]:
    return {"gateway": {"endpoints": {"churn": changes}}}


#: change to a stack with every option on, key that is named, what is said
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("prod", apim(sku="Gold"), f"{_APIM}.sku = 'Gold'", "unknown tier of API Management; allowed: Developer, BasicV2"),
    ("prod", apim(requestsPerMinute=0), f"{_APIM}.requestsPerMinute = 0", "greater than or equal to 1"),
    ("prod", apim(maxBodyBytes=5_000_000), f"{_APIM}.maxBodyBytes = 5000000", "less than or equal to 4194304"),
    ("prod", apim(cacheSeconds=-1), f"{_APIM}.cacheSeconds = -1", "greater than or equal to 0"),
    ("prod", apim(publisherEmail=None), f"{_APIM}.publisherEmail", "is missing"),
    ("prod", apim(publisherEmail="me"), f"{_APIM}.publisherEmail = 'me'", "match pattern"),
    ("prod", apim(units=11), f"{_APIM}.units = 11", "StandardV2 has 10 at most"),
    ("prod", apim(tokens={"audiences": []}), f"{_APIM}.tokens.audiences", "any token of the tenant would do"),
    ("prod", apim(tokens={"issuer": "https://id.example.com/"}), f"{_APIM}.tokens.openidConfiguration", "needs the keys"),
    ("prod", apim(tokens={"openidConfiguration": "https://x/keys"}), f"{_APIM}.tokens.openidConfiguration", "only with an issuer"),
    ("prod", apim(tokens={"issuer": "http://id"}), f"{_APIM}.tokens.issuer = 'http://id'", "match pattern"),
    ("prod", apim(sku="Premium", publicAccess=False), f"{_APIM}.publicAccess = False", "no private link here"),
    ("prod", apim(sku="Developer"), f"{_APIM}.sku = 'Developer'", "has no SLA"),
    ("prod", merged(apim(sku="BasicV2"), churn(publicNetworkAccess=True)), f"{_APIM}.sku = 'BasicV2'", "prod needs a tier that enters the VNet"),
    ("staging", apim(sku="BasicV2"), f"{_APIM}.sku = 'BasicV2'", "endpoints.churn.publicNetworkAccess is false"),
    ("prod", {"gateway": {"frontDoor": {"wafMode": "Detection"}}}, f"{_DOOR}.wafMode = 'Detection'", "prod needs Prevention"),
    ("prod", {"gateway": {"frontDoor": {"wafMode": "Off"}}}, f"{_DOOR}.wafMode = 'Off'", "'Prevention' or 'Detection'"),
    ("prod", {"gateway": {"frontDoor": {"allowedCountries": ["Germany"]}}}, f"{_DOOR}.allowedCountries.0", "match pattern"),
    ("prod", {"gateway": {"frontDoor": {"hostName": "https://x.y"}}}, f"{_DOOR}.hostName", "match pattern"),
    ("prod", {"gateway": {"frontDoor": {"responseTimeoutSeconds": 16}}, **churn(requestTimeoutMs=20_000)}, f"{_DOOR}.responseTimeoutSeconds = 16", "above endpoints.churn.requestTimeoutMs, which is 20000"),
    ("prod", {"network": {"subnets": {"gateway": None}}}, "network.subnets.gateway", "StandardV2 calls the endpoints from it"),
    ("prod", {"network": {"subnets": {"gateway": "10.20.34.0/28"}}}, "network.subnets.gateway = '10.20.34.0/28'", "a /27 or larger"),
    ("prod", {"network": {"subnets": {"gateway": "10.20.32.0/26"}}}, "network.subnets.gateway", "overlaps network.subnets.endpoints"),
    ("prod", churn(publicNetworkAccess=True), "endpoints.churn.publicNetworkAccess = True", "callers walk around it"),
    ("prod", churn(authMode="Key"), "endpoints.churn.authMode = 'Key'", "gateway.endpoints.churn.keySecret"),
    ("prod", churn(authMode="AMLToken"), "endpoints.churn.authMode = 'AMLToken'", "ends within the hour"),
    ("prod", exposed(keySecret="churn-key"), "gateway.endpoints.churn.keySecret", "only for authMode Key"),
    ("prod", exposed(keySecret="churn_key"), "gateway.endpoints.churn.keySecret", "match pattern"),
    ("prod", exposed(path="/score?x"), "gateway.endpoints.churn.path", "match pattern"),
    ("prod", exposed(predictionCacheSeconds=600), "gateway.endpoints.churn.predictionCacheSeconds = 600", "below a step's bake of 600 s"),
    ("prod", {"gateway": {"endpoints": {"chrun": {}}}}, "gateway.endpoints.chrun", "no such endpoint; known: churn"),
    ("prod", exposed(exposed=False), "gateway.enabled = True", "a gateway to nothing"),
    ("prod", {"identity": {"enabled": False}}, "gateway.enabled = True", "needs identity.enabled"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stack", "change", "key", "allowed"), WRONG, ids=[f"{key}-{n}" for n, (_, _, key, _) in enumerate(WRONG)]
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    stack: str, change: dict[str, Any], key: str, allowed: str
) -> None:
    refused(stack, merged(every_option(stack), change), key, allowed)


def test_two_endpoints_do_not_share_a_path() -> None:
    values = every_option("prod")
    values["endpoints"]["intent"] = {**values["endpoints"]["churn"], "model": "intent"}
    values["gateway"]["endpoints"] = {"churn": {"path": "predict"}, "intent": {"path": "predict"}}
    with pytest.raises(SettingsError, match="another endpoint has this path"):
        parse("prod", values)


def test_a_closed_endpoint_needs_a_network_to_be_reached() -> None:
    values = merged(
        stack_values("dev"),
        {"gateway": every_option("dev")["gateway"], **churn(authMode="AADToken", publicNetworkAccess=False)},
    )
    with pytest.raises(SettingsError, match="through the VNet only"):
        parse("dev", values)


def test_an_open_dev_stack_may_have_a_cheap_gateway() -> None:
    gateway = merged(every_option("dev")["gateway"], {"apiManagement": {"sku": "BasicV2"}, "endpoints": {"churn": {}}})
    values = merged(stack_values("dev"), {"gateway": gateway, **churn(authMode="AADToken")})
    cost = {each.component: each.monthly_usd for each in estimate(parse("dev", values)).lines}
    assert cost["api management"] < cost["front door"]


def test_the_gateway_costs_more_than_prods_budget_leaves_and_says_so() -> None:
    cost = estimate(settings_of("prod"))
    lines = {each.component: each for each in cost.lines}
    assert lines["front door"].monthly_usd == pytest.approx(330 + 1.5)
    assert lines["api management"].monthly_usd == 700
    assert all("list, unverified" in lines[name].basis for name in ("front door", "api management"))
    assert cost.monthly_usd > cost.budget_usd


@pytest.mark.parametrize("sku", TIERS)
def test_every_tier_has_a_price(sku: str) -> None:
    gateway = merged(every_option("staging")["gateway"], {"apiManagement": {"sku": sku}})
    values = merged(every_option("staging"), {"gateway": gateway, **churn(publicNetworkAccess=True)})
    assert any(
        each.component == "api management" and sku in each.basis for each in estimate(parse("staging", values)).lines
    )
