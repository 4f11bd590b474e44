"""Azure Managed Redis, feature stores, batch endpoints, autoscale and load tests: what Azure refuses, the sandbox refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.arm import Arm
from tests.sandbox.test_arm_types import IDENTITY, WORKSPACE, make_parts, workspace

REDIS = "/providers/Microsoft.Cache/redisEnterprise/books-redis"
DATABASE = f"{REDIS}/databases/default"
ENTRY = f"{DATABASE}/accessPolicyAssignments/reader1"
LOAD_TEST = "/providers/Microsoft.LoadTestService/loadTests/books-load"
SCALE = "/providers/Microsoft.Insights/autoscaleSettings/books-scale"
BATCH = f"{WORKSPACE}/batchEndpoints/books-batch"
VERSIONS = {REDIS: "2025-07-01", LOAD_TEST: "2023-12-01-preview", SCALE: "2022-10-01", WORKSPACE: "2025-12-01"}
CLUSTER = {"location": "eastus", "sku": {"name": "Balanced_B0"}, "properties": {"publicNetworkAccess": "Enabled"}}
PROFILE = {"name": "load", "capacity": {"minimum": "1", "default": "2", "maximum": "3"}, "rules": []}


def url(arm: Arm, below: str) -> str:
    version = next(version for prefix, version in VERSIONS.items() if below.startswith(prefix))
    return arm.path(below, version=version)


def make(arm: Arm, below: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = arm.service.put(url(arm, below), body)
    assert answer.status in (200, 201), answer.text
    if "azure-asyncoperation" in answer.headers:
        assert arm.finish(answer) == "Succeeded"
    found: dict[str, Any] = arm.service.get(url(arm, below)).json()
    return found


def refused(arm: Arm, below: str, body: dict[str, Any], words: str) -> None:
    answer = arm.service.put(url(arm, below), body)
    assert answer.status in (400, 409), answer.text
    assert words in answer.json()["error"]["message"]


def changed(body: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {**body, "properties": {**body.get("properties", {}), **properties}}


def test_redis_has_an_address_and_its_database_hides_its_keys(arm: Arm) -> None:
    cluster = make(arm, REDIS, CLUSTER)
    assert cluster["properties"]["hostName"] == "books-redis.eastus.redis.azure.net"
    assert cluster["properties"]["minimumTlsVersion"] == "1.2"
    database = make(arm, DATABASE, {"properties": {"accessKeysAuthentication": "Enabled"}})
    assert database["properties"]["clusteringPolicy"] == "OSSCluster"
    assert "primaryKey" not in str(database)
    keys = url(arm, DATABASE).replace("?", "/listKeys?")
    assert set(arm.service.post(keys, {}).json()) == {"primaryKey", "secondaryKey"}
    make(arm, DATABASE, {"properties": {"accessKeysAuthentication": "Disabled"}})
    assert arm.service.post(keys, {}).status == 400
    assert make(arm, ENTRY, {"properties": {"accessPolicyName": "default", "user": {"objectId": "me"}}})


@pytest.mark.parametrize(
    ("below", "body", "words"),
    [
        (REDIS, {**CLUSTER, "sku": {"name": "Enterprise_E10"}}, "allowed: a size of Balanced"),
        (REDIS, {**CLUSTER, "properties": {}}, "publicNetworkAccess"),
        (REDIS, changed(CLUSTER, minimumTlsVersion="1.0"), "allowed: 1.2"),
        (REDIS, changed(CLUSTER, highAvailability="Disabled"), "can't be turned off again"),
        (f"{REDIS}/databases/other", {"properties": {}}, "allowed: default"),
        (DATABASE, {"properties": {"clientProtocol": "Http"}}, "Encrypted, Plaintext"),
        (DATABASE, {"properties": {"clusteringPolicy": "EnterpriseCluster"}}, "clusteringPolicy"),
        (ENTRY, {"properties": {"accessPolicyName": "owner", "user": {"objectId": "x"}}}, "allowed: default"),
        (f"{ENTRY}2", {"properties": {"accessPolicyName": "default", "user": {"objectId": "me"}}}, "reader1"),
        (
            f"{DATABASE}/accessPolicyAssignments/a-b",
            {"properties": {"accessPolicyName": "default"}},
            "letters and digits",
        ),
        (LOAD_TEST, {"location": "eastus", "properties": {"description": "x" * 513}}, "512"),
    ],
)
def test_what_azure_refuses_of_redis_and_load_tests(arm: Arm, below: str, body: dict[str, Any], words: str) -> None:
    make(arm, REDIS, CLUSTER)
    make(arm, DATABASE, {"properties": {}})
    make(arm, ENTRY, {"properties": {"accessPolicyName": "default", "user": {"objectId": "me"}}})
    refused(arm, below, body, words)


def test_a_load_test_has_an_address_of_its_own(arm: Arm) -> None:
    made = make(arm, LOAD_TEST, {"location": "eastus", "properties": {"description": "load"}})
    assert made["properties"]["dataPlaneURI"].endswith(".eastus.cnt-prod.loadtesting.azure.com")
    assert "testId" not in made["properties"]
    assert (
        make(arm, LOAD_TEST, {"location": "eastus"})["properties"]["dataPlaneURI"] == made["properties"]["dataPlaneURI"]
    )


def test_a_feature_store_has_somebody_who_materializes(arm: Arm) -> None:
    parts, who = make_parts(arm), arm.make(IDENTITY, {"location": "eastus"})["id"]
    store = {**workspace(parts), "kind": "FeatureStore"}
    refused(arm, WORKSPACE, store, "user-assigned identity that materializes")
    store["identity"] = {"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": {who: {}}}
    made = make(arm, WORKSPACE, changed(store, featureStoreSettings={"offlineStoreConnectionName": "offline"}))
    assert made["kind"] == "FeatureStore"
    connection = {
        "authType": "ManagedIdentity",
        "category": "Redis",
        "credentials": {"clientId": "c", "resourceId": who},
    }
    gone = {**connection, "target": f"{who}/gone"}
    refused(arm, f"{WORKSPACE}/connections/online", {"properties": gone}, "does not exist")
    assert make(arm, f"{WORKSPACE}/connections/online", {"properties": {**connection, "target": who}})


def test_only_a_feature_store_has_feature_store_settings(arm: Arm) -> None:
    refused(
        arm, WORKSPACE, changed(workspace(make_parts(arm)), featureStoreSettings={"x": 1}), "are for kind FeatureStore"
    )


def test_a_batch_endpoint_takes_entra_tokens_and_a_default_that_is_there(arm: Arm) -> None:
    make(arm, WORKSPACE, workspace(make_parts(arm)))
    endpoint: dict[str, Any] = {"location": "eastus", "properties": {"authMode": "AADToken"}}
    refused(arm, BATCH, changed(endpoint, authMode="Key"), "allowed: AADToken")
    refused(arm, BATCH, changed(endpoint, defaults={"deploymentName": "v1"}), "no such deployment")
    assert make(arm, BATCH, endpoint)["properties"]["scoringUri"].endswith("/jobs")
    scale = {"minNodeCount": 0, "maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "PT120S"}
    inner = {"computeType": "AmlCompute", "properties": {"vmSize": "Standard_DS2_v2", "scaleSettings": scale}}
    cluster = make(arm, f"{WORKSPACE}/computes/cpu", {"location": "eastus", "properties": inner})["id"]
    model = {"referenceType": "Id", "assetId": "m"}
    deployment = {"location": "eastus", "properties": {"model": model, "compute": cluster}}
    refused(arm, f"{BATCH}/deployments/v1", changed(deployment, compute="/gone"), "no such compute")
    refused(arm, f"{BATCH}/deployments/v1", changed(deployment, miniBatchSize=0), "miniBatchSize")
    refused(arm, f"{BATCH}/deployments/v1", changed(deployment, environmentId="e"), "a scoring script needs both")
    make(arm, f"{BATCH}/deployments/v1", deployment)
    kept = make(arm, BATCH, changed(endpoint, defaults={"deploymentName": "v1"}))
    assert kept["properties"]["defaults"] == {"deploymentName": "v1"}


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({**PROFILE, "capacity": {"minimum": "3", "default": "2", "maximum": "3"}}, "minimum <= default <= maximum"),
        ({**PROFILE, "capacity": {"minimum": "1"}}, "needs minimum, default and maximum"),
        ({**PROFILE, "rules": [{"metricTrigger": {"metricResourceUri": "/subscriptions/s/x/y"}}]}, "does not exist"),
    ],
)
def test_autoscale_settings_make_sense(arm: Arm, profile: dict[str, Any], words: str) -> None:
    target = arm.make(IDENTITY, {"location": "eastus"})["id"]
    setting = {"location": "eastus", "properties": {"targetResourceUri": target, "profiles": [PROFILE]}}
    make(arm, SCALE, setting)
    refused(arm, f"{SCALE}2", setting, "already has the autoscale setting 'books-scale'")
    refused(arm, SCALE, changed(setting, profiles=[profile]), words)
    refused(arm, SCALE, changed(setting, targetResourceUri=f"{target}x"), "does not exist")
