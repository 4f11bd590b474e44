"""What the stand-in providers send and show: shapes, names, checks and differences."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.plugins.azure_native import naming, shape, validation
from sandbox.plugins.azure_native.catalogue import CATALOGUE
from sandbox.plugins.diffing import carry_over, difference
from sandbox.plugins.protocol import provider_pb2
from sandbox.plugins.values import UNKNOWN, Secret, contains_unknown, from_struct, to_struct

ACCOUNT = CATALOGUE["storage:StorageAccount"]
ENDPOINT = CATALOGUE["machinelearningservices:OnlineEndpoint"]
Options = provider_pb2.CheckRequest.AutonamingOptions
PropertyDiff = provider_pb2.PropertyDiff

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "storage:StorageAccount": (
        {
            "resourceGroupName": "rg",
            "accountName": "acct",
            "kind": "StorageV2",
            "sku": {"name": "Standard_LRS"},
            "enableHttpsTrafficOnly": True,
            "networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"iPAddressOrRange": "1.2.3.4"}]},
            "encryption": {"keySource": "Microsoft.Keyvault", "keyVaultProperties": {"keyName": "k"}},
            "azureApiVersion": "2024-01-01",
            "__createBeforeDelete": True,
        },
        {
            "kind": "StorageV2",
            "sku": {"name": "Standard_LRS"},
            "properties": {
                "supportsHttpsTrafficOnly": True,
                "networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "1.2.3.4"}]},
                "encryption": {"keySource": "Microsoft.Keyvault", "keyvaultproperties": {"keyname": "k"}},
            },
        },
    ),
    "operationalinsights:Workspace": (
        {"resourceGroupName": "rg", "workspaceName": "w", "location": "eastus", "sku": {"name": "PerGB2018"}},
        {"location": "eastus", "properties": {"sku": {"name": "PerGB2018"}}},
    ),
    "applicationinsights:Component": (
        {"resourceGroupName": "rg", "kind": "web", "applicationType": "web", "workspaceResourceId": "/w"},
        {"kind": "web", "properties": {"Application_Type": "web", "WorkspaceResourceId": "/w"}},
    ),
    "keyvault:Vault": (
        {"resourceGroupName": "rg", "properties": {"tenantId": "t", "sku": {"family": "A", "name": "standard"}}},
        {"properties": {"tenantId": "t", "sku": {"family": "A", "name": "standard"}}},
    ),
    "eventgrid:EventSubscription": (
        {
            "scope": "/s",
            "destination": {
                "endpointType": "WebHook",
                "endpointUrl": "https://there",
                "deliveryAttributeMappings": [{"type": "Static", "name": "h", "value": "v"}],
            },
            "deadLetterWithResourceIdentity": {
                "identity": {"type": "SystemAssigned"},
                "deadLetterDestination": {"endpointType": "StorageBlob", "resourceId": "/a", "blobContainerName": "c"},
            },
        },
        {
            "properties": {
                "destination": {
                    "endpointType": "WebHook",
                    "properties": {
                        "endpointUrl": "https://there",
                        "deliveryAttributeMappings": [{"type": "Static", "name": "h", "properties": {"value": "v"}}],
                    },
                },
                "deadLetterWithResourceIdentity": {
                    "identity": {"type": "SystemAssigned"},
                    "deadLetterDestination": {
                        "endpointType": "StorageBlob",
                        "properties": {"resourceId": "/a", "blobContainerName": "c"},
                    },
                },
            }
        },
    ),
    "monitor:MetricAlert": (
        {
            "resourceGroupName": "rg",
            "criteria": {
                "odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                "allOf": [{"criterionType": "StaticThresholdCriterion", "name": "c", "threshold": 3}],
            },
        },
        {
            "properties": {
                "criteria": {
                    "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                    "allOf": [{"criterionType": "StaticThresholdCriterion", "name": "c", "threshold": 3}],
                }
            }
        },
    ),
    "machinelearningservices:OnlineEndpoint": (
        {
            "resourceGroupName": "rg",
            "workspaceName": "w",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": ["/id"]},
            "properties": {"authMode": "Key", "traffic": {"blue": 100}},
        },
        {
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {"/id": {}}},
            "properties": {"authMode": "Key", "traffic": {"blue": 100}},
        },
    ),
    "network:VirtualNetwork": (
        {
            "resourceGroupName": "rg",
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": "a", "addressPrefix": "10.0.0.0/24", "networkSecurityGroup": {"id": "/nsg"}}],
        },
        {
            "properties": {
                "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                "subnets": [
                    {
                        "name": "a",
                        "properties": {"addressPrefix": "10.0.0.0/24", "networkSecurityGroup": {"id": "/nsg"}},
                    }
                ],
            }
        },
    ),
    "authorization:RoleDefinition": (
        {"scope": "/s", "roleName": "r", "roleType": "CustomRole"},
        {"properties": {"roleName": "r", "type": "CustomRole"}},
    ),
}


@pytest.mark.parametrize("token", CASES)
def test_inputs_become_arm_s_body_and_come_back(token: str) -> None:
    row = CATALOGUE[token]
    inputs, body = CASES[token]
    assert shape.request_body(row, inputs) == body
    seen = shape.project(row, shape.outputs(row, body, "v"))
    assert seen == {name: value for name, value in inputs.items() if name in row.body_inputs}


def test_outputs_are_what_the_sdk_has_and_nothing_else() -> None:
    document = {
        "id": "/x",
        "name": "acct",
        "properties": {"provisioningState": "Succeeded", "supportsHttpsTrafficOnly": True, "notInTheSdk": 1},
    }
    assert shape.outputs(ACCOUNT, document, "2024-01-01") == {
        "name": "acct",
        "provisioningState": "Succeeded",
        "enableHttpsTrafficOnly": True,
        "azureApiVersion": "2024-01-01",
    }


def test_what_azure_computes_is_never_taken_for_an_input() -> None:
    document = {"properties": {"authMode": "Key", "scoringUri": "https://x", "provisioningState": "Updating"}}
    assert shape.project(ENDPOINT, shape.outputs(ENDPOINT, document, "v")) == {"properties": {"authMode": "Key"}}


def test_a_preview_knows_the_inputs_and_nothing_more() -> None:
    expected = shape.preview(ENDPOINT, {"workspaceName": "w", "properties": {"authMode": "Key"}, "tags": {"a": "b"}})
    assert expected["tags"] == {"a": "b"}
    assert expected["properties"]["authMode"] == "Key"
    assert expected["properties"]["scoringUri"] is UNKNOWN
    assert expected["name"] is UNKNOWN
    identity = {"type": "UserAssigned", "userAssignedIdentities": [UNKNOWN]}
    assert shape.preview(ENDPOINT, {"identity": identity})["identity"]["userAssignedIdentities"] is UNKNOWN


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"sku": {"name": "x"}, "kind": "y"}, "missing required property 'resourceGroupName'"),
        ({"sku": {}}, "missing required property 'sku.name'"),
        ({"tags": "x"}, "'tags' should be of type 'map' but got a string"),
        ({"tags": {"a": 1}}, "'tags.a' should be of type 'string' but got a number"),
        ({"isHnsEnabled": "yes"}, "'isHnsEnabled' should be of type 'boolean' but got a string"),
        ({"networkRuleSet": {"ipRules": {}}}, "'networkRuleSet.ipRules' should be of type 'array' but got an object"),
        ({"keyPolicy": {"keyExpirationPeriodInDays": 1.5}}, "'keyPolicy.keyExpirationPeriodInDays' must be an integer"),
    ],
)
def test_wrong_inputs_are_named(inputs: dict[str, Any], said: str) -> None:
    assert any(said in reason for reason in validation.failures(ACCOUNT, inputs))


def test_what_is_not_known_yet_is_not_wrong() -> None:
    inputs = {"resourceGroupName": UNKNOWN, "accountName": "a", "kind": UNKNOWN, "sku": UNKNOWN, "tags": UNKNOWN}
    assert validation.failures(ACCOUNT, inputs) == []


def test_names_are_made_as_azure_native_makes_them() -> None:
    seed = b"seed"
    made = naming.default_name(ACCOUNT, "data", seed, None, {})
    assert made["accountName"].startswith("data")
    assert len(made["accountName"]) == len("data") + 8
    assert made == naming.default_name(ACCOUNT, "data", seed, None, {}), "a preview and its update agree"
    assert made[naming.CREATE_BEFORE_DELETE] is True
    kept = naming.default_name(ACCOUNT, "data", b"other", None, {"accountName": "old"})
    assert kept["accountName"] == "old", "an update keeps the name"
    container = CATALOGUE["storage:BlobContainer"]
    assert naming.default_name(container, "logs", seed, None, {}) == {"containerName": "logs"}, "children copy it"
    assignment = naming.default_name(CATALOGUE["authorization:RoleAssignment"], "x", seed, None, {})
    assert len(assignment["roleAssignmentName"]) == 36


def test_the_project_s_autonaming_settings_are_obeyed() -> None:
    propose = Options(proposed_name="mine", mode=Options.PROPOSE)
    assert naming.default_name(ACCOUNT, "x", b"s", propose, {})["accountName"] == "mine"
    assert naming.default_name(ACCOUNT, "x", b"s", Options(mode=Options.DISABLE), {}) == {}


def same(_: str, old: Any, new: Any) -> bool:
    return bool(old == new)


def test_a_difference_is_told_to_the_last_property() -> None:
    old = {"tags": {"a": "1"}, "rules": [{"n": 1}, {"n": 2}], "gone": 1, "location": "eastus"}
    new = {"tags": {"a": "2", "b": "3"}, "rules": [{"n": 1}], "location": "westus"}
    found = difference(old, new, {"location", "rules"}, same)
    assert found.detailed == {
        "tags.a": PropertyDiff.UPDATE,
        "tags.b": PropertyDiff.ADD,
        "rules[1]": PropertyDiff.DELETE_REPLACE,
        "gone": PropertyDiff.DELETE,
        "location": PropertyDiff.UPDATE_REPLACE,
    }
    assert found.replaces == ["location", "rules[1]"]
    assert found.changed == ["gone", "location", "rules", "tags"]


values = st.recursive(
    st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=8,
)
maps = st.dictionaries(st.text("abc", min_size=1, max_size=2), values, max_size=4)


@given(maps)
def test_values_survive_the_wire(value: dict[str, Any]) -> None:
    assert from_struct(to_struct(value)) == value


def test_unknowns_and_secrets_on_the_wire() -> None:
    back = from_struct(to_struct({"later": [UNKNOWN], "hidden": Secret({"k": "v"}), "nothing": None}))
    assert back == {"later": [UNKNOWN], "hidden": {"k": "v"}}
    assert contains_unknown(back)
    assert "1b47061264138c4ac30d75fd1eb44270" in str(to_struct({"hidden": Secret("v")})), "the engine hides it"


@given(maps)
def test_no_difference_to_itself(value: dict[str, Any]) -> None:
    assert difference(value, copy.deepcopy(value), set(), same).detailed == {}


@given(maps, maps)
def test_there_is_a_difference_exactly_when_they_differ(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert bool(difference(old, new, set(), same).detailed) == (old != new)


@given(maps, maps)
def test_what_did_not_drift_stays_as_the_program_has_it(inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
    assert carry_over(inputs, outputs, copy.deepcopy(outputs)) == inputs


@given(maps, maps)
def test_drift_is_carried_over_in_full_where_inputs_and_outputs_agreed(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert carry_over(old, old, new) == new


def test_defaults_of_azure_do_not_become_inputs() -> None:
    inputs = {"sku": {"name": "a"}}
    before = {"sku": {"name": "a", "tier": "default"}, "extra": 1}
    after = {"sku": {"name": "b", "tier": "default"}, "extra": 1}
    assert carry_over(inputs, before, after) == {"sku": {"name": "b"}}
