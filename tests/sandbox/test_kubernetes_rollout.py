"""Blue and green on a Kubernetes endpoint, by the same commands: rolled out, sent back, and what Azure refuses there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.operator import Company, company
from tests.sandbox.test_engine_kubernetes import CLUSTER, change
from tests.sandbox.test_roles import BRANCH

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]

VERSION = "2025-12-01"
ENDPOINT = {
    "instanceCount": 1,
    "resources": {"cpu": "500m", "memory": "1Gi", "cpuLimit": "1", "memoryLimit": "2Gi"},
    "scale": {"minInstances": 2, "maxInstances": 3},
}
QUICK = ("--steps", "50,100", "--bake-minutes", "2")


def on_a_cluster(engine: Any) -> None:
    change(engine, {**CLUSTER, "kubernetes": {**CLUSTER["kubernetes"], "privateCluster": False}})
    change(engine, {"endpoints": {"churn": {**ENDPOINT, "instanceCount": 2}}})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """With this process signed in as CI's app, which has the stack's own role and no more."""
    with company(tmp_path_factory.mktemp("cluster"), on_a_cluster) as made, pytest.MonkeyPatch.context() as patch:
        made.sandbox.use(patch)
        made.sign_in(patch, "operator", BRANCH)
        yield made


def deployment(shop: Company, name: str) -> dict[str, Any]:
    path = f"{shop.outputs.endpoints['churn'].id}/deployments/{name}"
    return dict(shop.arm("GET", path, VERSION).json())


def refusal(shop: Company, body: dict[str, Any], path: str = "") -> str:
    answer = shop.arm("PUT", f"{shop.outputs.endpoints['churn'].id}{path}", VERSION, body)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["message"])


def test_blue_is_made_of_pods_of_the_cluster(shop: Company) -> None:
    ran = shop.start("blue", "--watch")
    assert ran.code == 0, ran.said
    assert shop.weights() == {"blue": 100}
    made = deployment(shop, "blue")
    properties = made["properties"]
    assert (made["kind"], properties["endpointComputeType"]) == ("Kubernetes", "Kubernetes")
    assert properties["instanceType"] == "standard"
    assert properties["scaleSettings"]["scaleType"] == "TargetUtilization"
    assert (properties["scaleSettings"]["minInstances"], properties["scaleSettings"]["maxInstances"]) == (2, 3)
    requirements = properties["containerResourceRequirements"]
    assert requirements["containerResourceRequests"] == {"cpu": "500m", "memory": "1Gi"}
    assert requirements["containerResourceLimits"] == {"cpu": "1", "memory": "2Gi"}
    assert properties["appInsightsEnabled"] is True, "the request log is the only evidence"


def test_traffic_goes_to_green_and_is_sent_back(shop: Company) -> None:
    with shop.customers():
        time.sleep(5.0)  # a request log is told three policy minutes late
        ran = shop.start("green", "--watch", *QUICK)
        assert ran.code == 0, ran.said
        assert shop.weights() == {"green": 100}
        assert shop.start("third", "--steps", "50,100", "--bake-minutes", "5").code == 0
        assert shop.weights() == {"green": 50, "third": 50}
        assert "RolledBack" in shop.rollout("rollback", "--reason", "customers complain")
    assert shop.weights() == {"green": 100}


def test_a_sick_deployment_goes_back_by_what_its_pods_say(shop: Company) -> None:
    with shop.customers():
        time.sleep(5.0)
        assert shop.start("sick", "--steps", "50,100", "--bake-minutes", "10").code == 0
        shop.sandbox.admin.add_fault(kind="scorer-errors", target=f"{shop.live()['name']}/sick", share=1.0)
        ran = shop.run("watch")
        shop.sandbox.admin.clear_faults()
    assert "RolledBack" in ran.said, ran.said
    assert shop.weights() == {"green": 100}


def test_what_azure_refuses_of_such_an_endpoint(shop: Company) -> None:
    endpoint = shop.live()
    base = {"location": endpoint["location"], "identity": {"type": "SystemAssigned"}}
    properties = {key: endpoint["properties"][key] for key in ("authMode", "compute", "traffic")}

    mirrored = {**base, "properties": {**properties, "mirrorTraffic": {"third": 10}}}
    assert "Mirror traffic is not supported on Kubernetes" in refusal(shop, mirrored)
    assert "can't be changed" in refusal(shop, {**base, "properties": {**properties, "compute": None}})
    assert "not AADToken" in refusal(shop, {**base, "properties": {**properties, "authMode": "AADToken"}})
    other = {**base, "properties": {"authMode": "Key", "compute": f"{shop.outputs.workspace.id}/computes/cpu"}}
    path = f"{shop.outputs.workspace.id}/onlineEndpoints/elsewhere"
    assert "of type AmlCompute" in shop.arm("PUT", path, VERSION, other).text
    gone = {**base, "properties": {"authMode": "Key", "compute": f"{shop.outputs.workspace.id}/computes/gone"}}
    assert "no compute of a workspace" in shop.arm("PUT", path, VERSION, gone).text


def test_what_azure_refuses_of_its_deployments(shop: Company) -> None:
    made = deployment(shop, "green")
    base = {"location": made["location"], "sku": {"name": "Default", "capacity": 1}}
    properties = {key: made["properties"][key] for key in ("model", "codeConfiguration", "environmentId")}

    def put(**more: Any) -> str:
        kubernetes = {"endpointComputeType": "Kubernetes", "instanceType": "standard"}
        return refusal(shop, {**base, "properties": {**properties, **kubernetes, **more}}, "/deployments/red")

    assert "deployments of this endpoint are Kubernetes" in put(endpointComputeType="Managed")
    assert "'huge' does not exist" in put(instanceType="huge")
    limits = {"containerResourceLimits": {"cpu": "64", "memory": "1Gi"}}
    assert "the instance type 'standard' allows 2" in put(containerResourceRequirements=limits)
    scale = {"scaleType": "TargetUtilization", "minInstances": 3, "maxInstances": 2}
    assert "1 <= min <= max" in put(scaleSettings=scale)


def test_pods_need_their_namespace_and_the_extension(shop: Company) -> None:
    assert shop.outputs.kubernetes is not None
    cluster = shop.outputs.kubernetes.cluster_id
    space = f"{cluster}/managedNamespaces/{shop.outputs.kubernetes.namespace}"
    kept = shop.arm("GET", space, "2025-09-01").json()
    assert shop.arm("DELETE", space, "2025-09-01").ok
    time.sleep(2.0)
    ran = shop.start("lost", "--watch", "--allow-blind", *QUICK)
    assert ran.code != 0
    assert "namespace 'azureml-models'" in ran.said
    assert shop.weights() == {"green": 100}, "no traffic was moved"
    body = {"location": kept["location"], "properties": {}}
    assert shop.arm("PUT", space, "2025-09-01", body).ok

    extension = f"{cluster}/providers/Microsoft.KubernetesConfiguration/extensions/azureml"
    assert shop.arm("DELETE", extension, "2023-05-01").ok
    time.sleep(2.0)
    endpoint = shop.live()
    properties = {key: endpoint["properties"][key] for key in ("authMode", "compute", "traffic")}
    body = {"location": endpoint["location"], "identity": {"type": "SystemAssigned"}, "properties": properties}
    assert "no Azure ML extension" in refusal(shop, body)
