"""The feature store as declared: both stores by identity, TLS only, nobody with more than it needs; load testing."""

from __future__ import annotations

from typing import Any

import pytest

from components.cost.prices import estimate, price_book
from components.feature_store.load_testing import LOAD_TESTER
from components.feature_store.online_store import FEATURE_USER
from components.network.vnet import FEATURE_ZONES
from contract import StackOutputs
from tests.components.mocks import Run, settings_of, stack_values
from tests.components.test_platform import deploy
from tests.components.test_serving import roles_of
from tests.options import every_option
from tests.wrong_settings import refused

ON = {"enabled": True}


@pytest.fixture(scope="module")
def everything() -> Run:
    return deploy("prod", **every_option("prod"))


@pytest.fixture(scope="module")
def dev() -> Run:
    return deploy("dev", featureStore=ON)


def test_it_is_off_until_somebody_wants_it() -> None:
    plain = deploy("prod")
    assert not [
        each for each in plain.declared if each.startswith(("online-store", "offline-store", "feature", "load-test"))
    ]
    assert StackOutputs.model_validate(plain.outputs["rollout"]).feature_store is None


def test_redis_takes_tls_and_entra_tokens(everything: Run, dev: Run) -> None:
    cluster = everything.one("redisenterprise:RedisEnterprise")
    assert (cluster.inputs["minimumTlsVersion"], cluster.inputs["publicNetworkAccess"]) == ("1.2", "Disabled")
    assert cluster.inputs["highAvailability"] == "Enabled"
    assert cluster.protect
    assert cluster.inputs["encryption"]["customerManagedKeyEncryption"]["keyEncryptionKeyUrl"].startswith("https://")
    database = everything.one("redisenterprise:Database").inputs
    assert (database["clientProtocol"], database["clusteringPolicy"]) == ("Encrypted", "OSSCluster")
    entries = everything.of("redisenterprise:AccessPolicyAssignment")
    endpoints = {f"principal-{each.name}-identity" for each in everything.of("machinelearningservices:OnlineEndpoint")}
    assert {each.inputs["user"]["objectId"] for each in entries} == {"principal-feature-identity", *endpoints}
    assert "encryption" not in dev.one("redisenterprise:RedisEnterprise").inputs


def test_keys_are_for_those_who_connect_and_can_be_off(dev: Run) -> None:
    def holders(run: Run) -> set[str]:
        return {
            each.inputs["principalId"]
            for each in run.of("authorization:RoleAssignment")
            if each.name.startswith("online-store-key-for-")
        }

    assert dev.one("redisenterprise:Database").inputs["accessKeysAuthentication"] == "Enabled"
    assert holders(dev) == {"principal-feature-identity", "principal-endpoint-churn-identity"}
    assert not [action for action in FEATURE_USER.actions if "write" in action or "*" in action]
    by_token = deploy("dev", featureStore={**ON, "redis": {"accessKeys": False}})
    assert by_token.one("redisenterprise:Database").inputs["accessKeysAuthentication"] == "Disabled"
    assert holders(by_token) == set()
    assert len(by_token.of("redisenterprise:AccessPolicyAssignment")) == 2


def test_the_offline_store_is_a_data_lake_without_keys(everything: Run) -> None:
    account = everything.declared["offline-store"]
    assert account.inputs["isHnsEnabled"] is True
    assert account.inputs["allowSharedKeyAccess"] is False
    assert account.inputs["networkRuleSet"]["defaultAction"] == "Deny"
    assert account.inputs["encryption"]["keySource"] == "Microsoft.Keyvault"
    assert account.protect
    assert everything.declared["lock-offline-store"].inputs["scope"].endswith("/offline-store")
    assert {"features", "features-redis", "feature-private-dfs"} <= set(
        everything.declared["lock-offline-store"].depends_on
    )


def test_the_store_leads_to_both_by_managed_identity(dev: Run) -> None:
    workspace = dev.declared["features"].inputs
    assert workspace["kind"] == "FeatureStore"
    names = workspace["featureStoreSettings"]
    connections = {
        each.inputs["connectionName"]: each.inputs["properties"]
        for each in dev.of("machinelearningservices:WorkspaceConnection")
    }
    assert set(connections) == {names["offlineStoreConnectionName"], names["onlineStoreConnectionName"]}
    assert {each["authType"] for each in connections.values()} == {"ManagedIdentity"}
    categories = {each["category"]: each for each in connections.values()}
    assert categories["ADLSGen2"]["target"].endswith("/blobServices/default/containers/offline-store")
    assert categories["Redis"]["target"].endswith("/online-store-database")
    assert {each["credentials"]["clientId"] for each in connections.values()} == {"client-feature-identity"}


def test_who_materializes_works_on_the_stores_and_on_no_journal(dev: Run) -> None:
    roles = roles_of(dev, "feature-identity")
    assert set(roles) == {
        ("BLOB_DATA_CONTRIBUTOR", "offline-store"),
        ("BLOB_DATA_CONTRIBUTOR", "storage"),
        ("AZUREML_DATA_SCIENTIST", "features"),
    }
    assert "rollout-journal" in roles["BLOB_DATA_CONTRIBUTOR", "storage"]["condition"]
    assert ("READER", "features") in roles_of(dev, "endpoint-churn-identity")
    assert ("BLOB_DATA_READER", "offline-store") in roles_of(dev, "cluster-identity")


def test_private_stacks_reach_it_through_doors_of_its_own(everything: Run, dev: Run) -> None:
    doors = {
        each.name: each.inputs for each in everything.of("network:PrivateEndpoint") if each.parent == "feature-private"
    }
    assert set(doors) == {f"feature-private-{each}" for each in ("blob", "dfs", "redisEnterprise", "amlworkspace")}
    names = [each.inputs["privateEndpointName"] for each in everything.of("network:PrivateEndpoint")]
    assert len(set(names)) == len(names)
    zones = {each.inputs["privateZoneName"] for each in everything.of("privatedns:PrivateZone")}
    assert {zone for each in FEATURE_ZONES.values() for zone in each} <= zones
    rules = everything.declared["features"].inputs["managedNetwork"]["outboundRules"]
    inside = {each["destination"]["subresourceTarget"] for each in rules.values() if each["type"] == "PrivateEndpoint"}
    assert inside == {"dfs", "blob", "redisEnterprise"}
    assert not dev.of("network:PrivateEndpoint")


def test_load_tests_call_endpoints_and_nothing_else(everything: Run) -> None:
    test = everything.one("loadtestservice:LoadTest")
    assert test.inputs["identity"]["type"] == "UserAssigned"
    given = {
        each.inputs["scope"].rsplit("/", 1)[1]
        for each in everything.of("authorization:RoleAssignment")
        if each.inputs["principalId"] == "principal-load-test-identity"
    }
    assert given == {each.name for each in everything.of("machinelearningservices:OnlineEndpoint")}
    assert not [action for action in LOAD_TESTER.actions if action.endswith(("write", "delete"))]


def test_the_contract_says_where_features_are(everything: Run) -> None:
    told = StackOutputs.model_validate(everything.outputs["rollout"])
    assert told.feature_store is not None
    assert told.feature_store.online_port == 10000
    assert told.feature_store.online_host.endswith(".redis.azure.net")
    assert told.load_testing is not None


def test_it_is_in_the_estimate() -> None:
    def lines(**store: Any) -> dict[str, float]:
        cost = estimate(settings_of("dev", featureStore={**ON, **store}, loadTesting=ON))
        return {each.component: each.monthly_usd for each in cost.lines}

    book = price_book()
    both = lines()
    assert both["online store"] == pytest.approx(2 * 730 * book.redis_hour["Balanced_B0"], abs=0.01)
    assert lines(redis={"highAvailability": False})["online store"] == pytest.approx(both["online store"] / 2, abs=0.01)
    assert both["load testing"] == book.load_testing.resource_month
    assert not {"online store", "load testing"} & {each.component for each in estimate(settings_of("dev")).lines}


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("dev", {"featureStore": {**ON, "redis": {"sku": "Standard_C1"}}}, "featureStore.redis.sku = 'Standard_C1'", "Balanced_B0"),
    ("dev", {"featureStore": {**ON, "offlineSku": "Premium_LRS"}}, "featureStore.offlineSku = 'Premium_LRS'", "Standard_LRS"),
    ("dev", {"featureStore": {**ON, "sparkVersion": "2.4"}}, "featureStore.sparkVersion = '2.4'", "3.4"),
    ("dev", {"loadTesting": {"enable": True}}, "loadTesting.enable", "did you mean 'enabled'?"),
    ("prod", {"featureStore": {**ON, "redis": {"highAvailability": False}}}, "featureStore.redis.highAvailability = False", "prod needs true"),
]  # fmt: skip


@pytest.mark.parametrize(("stack", "change", "key", "allowed"), WRONG, ids=[key for _, _, key, _ in WRONG])
def test_a_wrong_setting_is_named_with_what_is_allowed(
    stack: str, change: dict[str, Any], key: str, allowed: str
) -> None:
    refused(stack, {**stack_values(stack), **change}, key, allowed)
