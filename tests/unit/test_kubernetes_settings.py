"""Wrong settings of the cluster are told before anything is made; each names key, value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from components.config import SettingsError
from components.cost.prices import estimate, price_book
from components.kubernetes.attachment import configuration
from components.kubernetes.costs import kubernetes_lines
from tests.components.mocks import settings_of, stack_values
from tests.options import merged
from tests.wrong_settings import refused

TLS = {"tlsSecret": "router-tls", "tlsName": "models.example.com"}
ON: dict[str, Any] = {"enabled": True, "extension": TLS}
GPU = {"pools": {"gpu": {"vmSize": "Standard_NC4as_T4_v3"}}}


def cluster(**changes: Any) -> dict[str, Any]:
    return {"kubernetes": merged(ON, changes)}


def endpoint(*, on: bool = True, **changes: Any) -> dict[str, Any]:
    """The stack's endpoint, on the cluster."""
    block = {"model": "churn", "compute": "kubernetes", "instanceType": "standard", **changes}
    return {"endpoints": {"churn": block}, **(cluster() if on else {})}


WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("dev", endpoint(on=False), "endpoints.churn.compute = 'kubernetes'", "needs kubernetes.enabled: true"),
    ("dev", {**endpoint(), **cluster(extension={"inference": False})}, "endpoints.churn.compute", "kubernetes.extension.inference: true"),
    ("dev", endpoint(instanceType="Standard_DS3_v2"), "endpoints.churn.instanceType = 'Standard_DS3_v2'", "one of kubernetes.instanceTypes: standard"),
    ("dev", endpoint(authMode="AADToken"), "endpoints.churn.authMode = 'AADToken'", "Key or AMLToken"),
    ("dev", endpoint(reserved=True), "endpoints.churn.reserved = True", "only with compute: managed"),
    ("dev", endpoint(resources={"cpu": "lots", "memory": "2Gi"}), "endpoints.churn.resources.cpu = 'lots'", "match pattern"),
    ("dev", endpoint(resources={"cpu": "1", "memory": "2Gi", "gpus": 1}), "endpoints.churn.resources.gpus = 1", "needs kubernetes.pools.gpu"),
    ("dev", {**endpoint(resources={"cpu": "1", "memory": "2Gi", "gpus": 1}), **cluster(**GPU)}, "endpoints.churn.resources.cpuLimit", "is missing"),
    ("dev", endpoint(scale={"maxInstances": 3, "latencyMs": 200}), "endpoints.churn.scale.latencyMs = 200", "only with compute: managed"),
    ("dev", endpoint(instanceCount=9, scale={"maxInstances": 3}), "endpoints.churn.instanceCount = 9", "1 to 3"),
    ("dev", {"endpoints": {"churn": {"model": "c", "instanceType": "Standard_DS2_v2", "resources": {"cpu": "1", "memory": "2Gi"}}}}, "endpoints.churn.resources", "only with compute: kubernetes"),
    ("dev", cluster(pools={"user": {"minNodes": 4, "maxNodes": 2}}), "kubernetes.pools.user.maxNodes = 2", "at least minNodes, which is 4"),
    ("dev", cluster(pools={"user": {"minNodes": 0}}), "kubernetes.pools.user.minNodes = 0", "1 or more"),
    ("dev", cluster(pools={"system": {"minNodes": 0}}), "kubernetes.pools.system.minNodes = 0", "1 or more"),
    ("dev", cluster(pools={"user": {"vmSize": "Standard_DS2_v2"}}), "kubernetes.pools.user.vmSize = 'Standard_DS2_v2'", "4 vCPUs and 14 GiB"),
    ("dev", cluster(pools={"user": {"vmSize": "Standard_NC6s_v3"}}), "kubernetes.pools.user.vmSize", "what pools.gpu is for"),
    ("dev", cluster(pools={"gpu": {"vmSize": "Standard_D4s_v3"}}), "kubernetes.pools.gpu.vmSize = 'Standard_D4s_v3'", "Standard_NC4as_T4_v3"),
    ("dev", cluster(pools={"gpu": {"vmSize": "Standard_Huge"}}), "kubernetes.pools.gpu.vmSize = 'Standard_Huge'", "not in the price book"),
    ("dev", cluster(pools={"gpu": {"taints": ["sku=gpu:NoSchedule"]}}), "kubernetes.pools.gpu.taints = 'sku=gpu:NoSchedule'", "the pool would stay empty"),
    ("dev", cluster(pools={"gpu": {"taints": ["sku=gpu"]}}), "kubernetes.pools.gpu.taints.0 = 'sku=gpu'", "match pattern"),
    ("dev", cluster(instanceTypes={"big": {"gpus": 1}}), "kubernetes.instanceTypes.big.gpus = 1", "needs kubernetes.pools.gpu"),
    ("dev", cluster(instanceTypes={"big": {"cpu": "0"}}), "kubernetes.instanceTypes.big.cpu = '0'", "match pattern"),
    ("dev", cluster(authorizedRanges=["10.0.0.0/8"]), "kubernetes.authorizedRanges.0", "public addresses only"),
    ("dev", cluster(authorizedRanges=["20.1.2.3/8"]), "kubernetes.authorizedRanges.0 = '20.1.2.3/8'", "host bits"),
    ("dev", cluster(privateCluster=True), "kubernetes.privateCluster = True", "needs network.enabled: true"),
    ("dev", cluster(podRange="10.20.0.0/16"), "kubernetes.podRange = '10.20.0.0/16'", "overlaps network.addressSpace"),
    ("dev", cluster(serviceRange="192.168.1.0/24"), "kubernetes.serviceRange = '192.168.1.0/24'", "overlaps kubernetes.podRange"),
    ("dev", cluster(version="latest"), "kubernetes.version = 'latest'", "match pattern"),
    ("dev", cluster(upgradeChannel="stable"), "kubernetes.upgradeChannel = 'stable'", "'node-image'"),
    ("dev", cluster(maintenance={"hours": 2}), "kubernetes.maintenance.hours = 2", "greater than or equal to 4"),
    ("dev", cluster(adminGroups=["admins"]), "kubernetes.adminGroups.0 = 'admins'", "match pattern"),
    ("dev", {"kubernetes": {"enabled": True}}, "kubernetes.extension.tlsSecret", "is missing"),
    ("dev", {"network": {"enabled": True}, "registry": {"sku": "Premium"}, **cluster(extension={"internal": False})}, "kubernetes.extension.internal = False", "closed to the internet"),
    ("dev", cluster(extension={"allowInsecure": True}), "kubernetes.extension.allowInsecure = True", "choose one"),
    ("dev", cluster(extension={"inference": False, "training": False}), "kubernetes.extension.inference = False", "serve nothing"),
    ("prod", cluster(tier="Standard"), "kubernetes.privateCluster = False", "prod needs true, or kubernetes.authorizedRanges"),
    ("prod", cluster(privateCluster=True), "kubernetes.tier = 'Free'", "no SLA"),
    ("prod", {"kubernetes": {"enabled": True, "extension": {"allowInsecure": True}}}, "kubernetes.extension.allowInsecure = True", "prod needs false"),
]  # fmt: skip


@pytest.mark.parametrize(("stack", "change", "key", "allowed"), WRONG, ids=[key for _, _, key, _ in WRONG])
def test_a_wrong_setting_is_named_with_what_is_allowed(
    stack: str, change: dict[str, Any], key: str, allowed: str
) -> None:
    refused(stack, {**stack_values(stack), **change}, key, allowed)


def test_an_authorized_range_is_not_for_a_private_cluster() -> None:
    network = {"network": {"enabled": True}, "registry": {"sku": "Premium"}}
    with pytest.raises(SettingsError, match="which no public address reaches"):
        settings_of("dev", **network, **cluster(privateCluster=True, authorizedRanges=["20.1.2.0/24"]))


def test_the_cluster_is_off_everywhere_until_somebody_wants_it() -> None:
    for stack in ("dev", "staging", "prod"):
        settings = settings_of(stack)
        assert not settings.kubernetes.enabled
        assert list(kubernetes_lines(settings, price_book())) == []


def test_the_cluster_costs_its_nodes_and_its_tier_and_its_endpoints_nothing_more() -> None:
    settings = settings_of(
        "dev", **{**endpoint(), **cluster(tier="Standard", pools={"gpu": {"nodeHoursPerMonth": 10}})}
    )
    lines = {line.component: line for line in estimate(settings).lines}
    hour = price_book().virtual_machines["Standard_D4s_v3"].hourly
    assert lines["kubernetes"].monthly_usd == pytest.approx(0.10 * 730)
    assert lines["kubernetes pool user"].monthly_usd == pytest.approx(hour * 730)
    assert lines["kubernetes pool gpu"].monthly_usd == pytest.approx(10 * 0.526)
    assert lines["endpoint churn"].monthly_usd == 0
    assert "cluster's nodes" in lines["endpoint churn"].basis


def test_the_extension_is_told_what_the_settings_say() -> None:
    told = configuration(settings_of("dev", **cluster(pools={"user": {"minNodes": 3}, "gpu": {}})).kubernetes)
    assert told == {
        "enableTraining": "True",
        "enableInference": "True",
        "installNvidiaDevicePlugin": "True",
        "inferenceRouterServiceType": "loadBalancer",
        "inferenceRouterHA": "True",
        "allowInsecureConnections": "False",
        "internalLoadBalancerProvider": "azure",
        "sslSecret": "router-tls",
        "sslCname": "models.example.com",
    }
    jobs = configuration(settings_of("dev", kubernetes={"enabled": True, "extension": {"inference": False}}).kubernetes)
    assert jobs == {"enableTraining": "True", "enableInference": "False", "installNvidiaDevicePlugin": "False"}
