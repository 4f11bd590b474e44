"""Networks in ARM: ranges are checked, private endpoints lead somewhere, nothing in use is deleted."""

from __future__ import annotations

import pytest

from tests.sandbox.arm import Arm

NET = "/providers/Microsoft.Network"
VNET = f"{NET}/virtualNetworks/net"
ACCOUNT = "/providers/Microsoft.Storage/storageAccounts/books1"


def identity(arm: Arm, below: str) -> str:
    return arm.path(below).partition("?")[0]


@pytest.fixture
def net(arm: Arm) -> Arm:
    arm.make(VNET, {"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}})
    arm.make(f"{VNET}/subnets/doors", {"properties": {"addressPrefix": "10.0.1.0/29"}})
    body = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {}}
    arm.make(ACCOUNT, body)
    return arm


def door(arm: Arm, target: str = ACCOUNT, group: str = "blob", subnet: str = "doors") -> dict:
    link = {"privateLinkServiceId": identity(arm, target), "groupIds": [group]}
    return {
        "location": "eastus",
        "properties": {
            "subnet": {"id": identity(arm, f"{VNET}/subnets/{subnet}")},
            "privateLinkServiceConnections": [{"name": "link", "properties": link}],
        },
    }


@pytest.mark.parametrize(
    ("prefix", "code"),
    [
        ("10.1.0.0/24", "NetcfgSubnetRangeOutsideVnet"),
        ("10.0.1.0/24", "NetcfgSubnetRangesOverlap"),
        ("10.0.2.1/24", "InvalidAddressPrefixFormat"),
    ],
)
def test_a_subnet_outside_or_on_top_of_another_is_refused(net: Arm, prefix: str, code: str) -> None:
    answer = net.service.put(net.path(f"{VNET}/subnets/more"), {"properties": {"addressPrefix": prefix}})
    assert (answer.status, answer.json()["error"]["code"]) == (400, code)


def test_a_network_does_not_shrink_below_its_subnets(net: Arm) -> None:
    body = {"location": "eastus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.8.0/24"]}}}
    assert net.service.put(net.path(VNET), body).json()["error"]["code"] == "NetcfgSubnetRangeOutsideVnet"


def test_a_door_gets_an_address_and_its_target_shows_it(net: Arm) -> None:
    made = net.make(f"{NET}/privateEndpoints/blob", door(net))["properties"]
    assert made["customDnsConfigs"] == [{"fqdn": "books1.blob.core.windows.net", "ipAddresses": ["10.0.1.4"]}]
    assert (
        made["privateLinkServiceConnections"][0]["properties"]["privateLinkServiceConnectionState"]["status"]
        == "Approved"
    )
    second = net.make(f"{NET}/privateEndpoints/file", door(net, group="file"))["properties"]
    assert second["customDnsConfigs"][0]["ipAddresses"] == ["10.0.1.5"]
    shown = net.service.get(net.path(ACCOUNT)).json()["properties"]["privateEndpointConnections"]
    assert {each["properties"]["groupIds"][0] for each in shown} == {"blob", "file"}


def test_a_door_keeps_its_address_over_an_update_and_a_full_subnet_is_told(net: Arm) -> None:
    for number, group in enumerate(("blob", "file", "queue")):
        net.make(f"{NET}/privateEndpoints/p{number}", door(net, group=group))
    again = net.make(f"{NET}/privateEndpoints/p1", {**door(net, group="file"), "tags": {"a": "b"}})
    assert again["properties"]["customDnsConfigs"][0]["ipAddresses"] == ["10.0.1.5"]
    answer = net.service.put(net.path(f"{NET}/privateEndpoints/p3"), door(net, group="table"))
    assert answer.json()["error"]["code"] == "SubnetIsFull"


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({"subnet": "none"}, "InvalidResourceReference"),
        ({"target": f"{ACCOUNT}x"}, "PrivateEndpointCreationNotAllowedAsTargetResourceNotFound"),
        ({"group": "vault"}, "InvalidPrivateEndpointGroupId"),
    ],
)
def test_a_door_to_nowhere_is_refused(net: Arm, differs: dict, code: str) -> None:
    answer = net.service.put(net.path(f"{NET}/privateEndpoints/door"), door(net, **differs))
    assert (answer.status, answer.json()["error"]["code"]) == (400, code)


def test_a_registry_below_premium_has_no_door_and_no_firewall(net: Arm) -> None:
    registry = "/providers/Microsoft.ContainerRegistry/registries/images1"
    body = {"location": "eastus", "sku": {"name": "Standard"}, "properties": {}}
    net.make(registry, body)
    answer = net.service.put(net.path(f"{NET}/privateEndpoints/door"), door(net, registry, "registry"))
    assert answer.json()["error"]["code"] == "PrivateEndpointNotSupportedForSku"
    closed = net.service.put(net.path(registry), {**body, "properties": {"publicNetworkAccess": "Disabled"}})
    assert closed.json()["error"]["code"] == "FeatureNotSupported"


def test_nothing_that_is_used_is_deleted(net: Arm) -> None:
    net.make(f"{NET}/privateEndpoints/blob", door(net))
    for path in (f"{VNET}/subnets/doors", VNET):
        assert net.service.delete(net.path(path)).json()["error"]["code"] == "InUseSubnetCannotBeDeleted"
    assert net.finish(net.service.delete(net.path(f"{NET}/privateEndpoints/blob"))) == "Succeeded"
    assert net.finish(net.service.delete(net.path(f"{VNET}/subnets/doors"))) == "Succeeded"
    assert net.service.get(net.path(ACCOUNT)).json()["properties"]["privateEndpointConnections"] == []


def test_a_security_group_stays_while_a_subnet_has_it(net: Arm) -> None:
    group = f"{NET}/networkSecurityGroups/rules"
    body = {"properties": {"addressPrefix": "10.0.2.0/24", "networkSecurityGroup": {"id": identity(net, group)}}}
    missing = net.service.put(net.path(f"{VNET}/subnets/more"), body)
    assert missing.json()["error"]["code"] == "InvalidResourceReference"
    net.make(group, {"location": "eastus", "properties": {}})
    net.make(f"{VNET}/subnets/more", body)
    assert net.service.delete(net.path(group)).json()["error"]["code"] == "InUseNetworkSecurityGroupCannotBeDeleted"
