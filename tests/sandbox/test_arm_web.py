"""Functions apps in ARM: what Azure would refuse is refused, functions come from code, settings are not shown."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.sandbox.arm import Arm

WEB = "/providers/Microsoft.Web"
PLAN, SITE = f"{WEB}/serverfarms/plan", f"{WEB}/sites/app"
IDENTITY = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app-identity"
VNET = "/providers/Microsoft.Network/virtualNetworks/net"


def identity(arm: Arm, below: str) -> str:
    return arm.path(below).partition("?")[0]


@pytest.fixture
def web(arm: Arm) -> Arm:
    arm.make(IDENTITY, {"location": "eastus"})
    arm.make(
        PLAN,
        {"location": "eastus", "sku": {"name": "FC1", "tier": "FlexConsumption"}, "properties": {"reserved": True}},
    )
    return arm


def site(arm: Arm, **changes: Any) -> dict[str, Any]:
    storage = {"type": "blobContainer", "value": "https://x/y", "authentication": {"type": "SystemAssignedIdentity"}}
    app = {"deployment": {"storage": storage}, "runtime": {"name": "python", "version": "3.11"}}
    settings = [{"name": "COLOUR", "value": "s3cret"}]
    properties = {
        "serverFarmId": identity(arm, PLAN),
        "functionAppConfig": app,
        "siteConfig": {"appSettings": settings, "ftpsState": "Disabled"},
        "keyVaultReferenceIdentity": identity(arm, IDENTITY),
        **changes,
    }
    own = {"type": "UserAssigned", "userAssignedIdentities": {identity(arm, IDENTITY): {}}}
    return copy.deepcopy({"location": "eastus", "kind": "functionapp,linux", "identity": own, "properties": properties})


def test_a_site_has_a_public_name_and_hides_its_settings(web: Arm) -> None:
    made = web.make(SITE, site(web))["properties"]
    assert made["defaultHostName"] == "app.azurewebsites.net"
    assert "appSettings" not in made["siteConfig"]
    assert made["siteConfig"]["ftpsState"] == "Disabled"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"functionAppConfig": {}}, "functionAppConfig.deployment.storage.value' of 'app' is missing"),
        ({"keyVaultReferenceIdentity": "/subscriptions/s/x"}, "is not among its identities"),
        ({"siteConfig": {"ftpsState": "Open"}}, "allowed: AllAllowed, FtpsOnly, Disabled"),
        ({"siteConfig": {"minTlsVersion": "0.9"}}, "allowed: 1.0, 1.1, 1.2, 1.3"),
        ({"siteConfig": {"appSettings": [{"name": "FUNCTIONS_WORKER_RUNTIME", "value": "python"}]}}, "not allowed for Flex"),
        ({"serverFarmId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/serverfarms/none"}, "none"),
    ],
)  # fmt: skip
def test_a_wrong_site_is_refused(web: Arm, changes: dict[str, Any], said: str) -> None:
    answer = web.service.put(web.path(SITE), site(web, **changes))
    assert answer.status in (400, 404)
    assert said in answer.json()["error"]["message"]


def test_its_subnet_has_to_be_lent_to_it_and_is_not_deleted_under_it(web: Arm) -> None:
    web.make(VNET, {"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}})
    subnet = f"{VNET}/subnets/fn"
    web.make(subnet, {"properties": {"addressPrefix": "10.0.1.0/24"}})
    wanted = site(web, virtualNetworkSubnetId=identity(web, subnet))
    answer = web.service.put(web.path(SITE), wanted)
    assert answer.json()["error"]["code"] == "SubnetNotDelegated"
    delegation = [{"name": "service", "properties": {"serviceName": "Microsoft.App/environments"}}]
    web.make(subnet, {"properties": {"addressPrefix": "10.0.1.0/24", "delegations": delegation}})
    web.make(SITE, wanted)
    assert web.service.delete(web.path(subnet)).json()["error"]["code"] == "InUseSubnetCannotBeDeleted"


def test_a_plan_with_a_site_stays(web: Arm) -> None:
    web.make(SITE, site(web))
    answer = web.service.delete(web.path(PLAN))
    assert (answer.status, answer.json()["error"]["code"]) == (409, "Conflict")


def test_functions_come_from_code_and_event_grid_refuses_what_is_not_there(web: Arm) -> None:
    web.make(SITE, site(web))
    refused = web.service.put(web.path(f"{SITE}/functions/handler"), {"properties": {}})
    assert "come from the code" in refused.json()["error"]["message"]
    topic = "/providers/Microsoft.EventGrid/topics/t-1"
    web.make(topic, {"location": "eastus", "properties": {}})
    target = {"endpointType": "AzureFunction", "properties": {"resourceId": identity(web, f"{SITE}/functions/handler")}}
    answer = web.service.put(web.path(f"{topic}/eventSubscriptions/sub"), {"properties": {"destination": target}})
    assert "Resource should pre-exist" in answer.json()["error"]["message"]
