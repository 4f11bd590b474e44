"""Endpoints and clusters: whose rights they have, what `rollout` is told, and the stack files' further use cases."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from components.config import parse
from components.identity.roles import Role, no_changes_in
from contract import StackOutputs
from sandbox.arm.conditions import Condition
from sandbox.arm.conditions import parse as parse_condition
from sandbox.kernel.errors import AzureError
from tests.components.mocks import PROJECT, ROOT, Run, settings_of, stack_values
from tests.components.test_platform import deploy
from tests.options import every_option
from tests.wrong_settings import refused

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


@pytest.fixture(scope="module")
def prod() -> Run:
    return deploy("prod")


@pytest.fixture(scope="module")
def everything() -> Run:
    return deploy("prod", **every_option("prod"))


def roles_of(run: Run, identity: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Its built-in roles: by role and the resource's own name."""
    found, built_in = {}, {role.value: role.name for role in Role}
    for each in run.of("authorization:RoleAssignment"):
        role = built_in.get(each.inputs["roleDefinitionId"].rsplit("/", 1)[1])
        if role is not None and each.inputs["principalId"] == f"principal-{identity}":
            found[role, each.inputs["scope"].rsplit("/", 1)[1]] = each.inputs
    return found


def test_a_deployment_pulls_reads_and_reports_and_no_more(prod: Run) -> None:
    assert set(roles_of(prod, "endpoint-churn-identity")) == {
        ("ACR_PULL", "workspace-registry"),
        ("BLOB_DATA_READER", "storage"),
        ("AZUREML_METRICS_WRITER", "workspace"),
    }
    endpoint = prod.declared["endpoint-churn"]
    (identity,) = endpoint.inputs["identity"]["userAssignedIdentities"]
    assert identity.endswith("/userAssignedIdentities/rollouts-prod-endpoint-churn")
    assert "endpoint-churn-identity-registry-acr-pull" in endpoint.depends_on, "it would be pulled before it may"


def test_jobs_work_on_data_but_not_on_the_journal(prod: Run) -> None:
    roles = roles_of(prod, "cluster-identity")
    assert set(roles) == {("ACR_PULL", "workspace-registry"), ("BLOB_DATA_CONTRIBUTOR", "storage")}
    storage = roles["BLOB_DATA_CONTRIBUTOR", "storage"]
    assert storage["conditionVersion"] == "2.0"
    condition = parse_condition(storage["condition"], storage["conditionVersion"])
    account = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a"
    containers = f"{account}/blobServices/default/containers"
    for verb in ("write", "delete", "add/action"):
        assert not condition.holds(f"{_BLOBS}/{verb}", f"{containers}/rollout-journal/blobs/churn.log")
        assert condition.holds(f"{_BLOBS}/{verb}", f"{containers}/data")
    assert condition.holds(f"{_BLOBS}/read", f"{containers}/rollout-journal")
    assert condition.holds(f"{_BLOBS}/write", account)


def test_a_condition_of_another_form_is_not_passed_over() -> None:
    assert isinstance(parse_condition(no_changes_in("x"), "2.0"), Condition)
    with pytest.raises(AzureError, match="does not imitate"):
        parse_condition("@Principal[x] StringEquals 'y'", "2.0")
    with pytest.raises(AzureError, match=r"allowed: 2\.0"):
        parse_condition(no_changes_in("x"), None)


def test_the_shared_registry_is_read_by_jobs_and_deployments(everything: Run) -> None:
    for identity in ("cluster-identity", "endpoint-churn-identity"):
        assert ("AZUREML_REGISTRY_USER", "model-registry") in roles_of(everything, identity)


def test_private_stacks_give_nodes_no_public_address(prod: Run) -> None:
    def public(run: Run) -> Any:
        return run.one("machinelearningservices:Compute").inputs["properties"]["properties"].get("enableNodePublicIp")

    assert public(prod) is False
    assert public(deploy("dev", network={"isolation": "AllowInternetOutbound"})) is False
    assert public(deploy("dev")) is True


def test_what_a_cluster_cannot_change_is_asked_for(prod: Run) -> None:
    cluster = prod.one("machinelearningservices:Compute")
    assert cluster.delete_before_replace
    assert set(cluster.replace_on_changes) >= {"properties.properties.vmSize", "properties.properties.vmPriority"}


def test_the_operator_may_hand_an_endpoint_its_identity_and_scale_only_where_one_scales(
    prod: Run, everything: Run
) -> None:
    def operators(run: Run) -> dict[str, str]:
        return {
            each.name.removeprefix("identity-operator-"): each.inputs["scope"].rsplit("/", 1)[1]
            for each in run.of("authorization:RoleAssignment")
            if each.name.startswith("identity-operator-")
        }

    assert operators(prod)["at-identity-churn"] == "endpoint-churn-identity"
    assert "scaling-at-group" not in operators(prod)
    assert operators(everything)["scaling-at-group"].startswith("rollouts-prod")
    assert "batches-at-workspace" in operators(everything), "there is a batch endpoint"
    assert "batches-at-workspace" not in operators(prod)


def test_rollout_is_told_how_deployments_scale(prod: Run, everything: Run) -> None:
    told = StackOutputs.model_validate(everything.outputs["rollout"]).endpoints["churn"].deployment
    assert told.scale is not None
    assert (told.scale.min_instances, told.scale.max_instances, told.scale.latency_ms) == (2, 4, 300)
    assert StackOutputs.model_validate(prod.outputs["rollout"]).endpoints["churn"].deployment.scale is None


def test_a_batch_endpoint_asks_for_entra_tokens_and_tells_how_it_is_deployed(everything: Run) -> None:
    endpoint = everything.one("machinelearningservices:BatchEndpoint")
    assert endpoint.inputs["properties"]["authMode"] == "AADToken"
    assert endpoint.protect
    told = StackOutputs.model_validate(everything.outputs["rollout"]).batch_endpoints["churn"]
    assert told.name == endpoint.inputs["endpointName"]
    assert (told.deployment.cluster, told.deployment.retries, told.deployment.error_threshold) == ("cpu", 3, -1)


def test_the_contract_names_network_registries_and_key(prod: Run, everything: Run) -> None:
    told = StackOutputs.model_validate(everything.outputs["rollout"])
    assert set(told.network.subnet_ids) == {"compute", "aks", "endpoints", "functions", "gateway"}
    assert {"blob", "vault", "amlworkspace"} <= set(told.network.private_endpoints)
    assert told.model_registry is not None
    assert told.model_registry.owned
    assert told.encryption is not None
    assert told.container_registry is not None
    plain = StackOutputs.model_validate(prod.outputs["rollout"])
    assert plain.model_registry is None
    assert plain.encryption is None


def uncommented(stack: str) -> dict[str, Any]:
    """The stack file with the lines that it offers."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text("utf-8")
    offered = re.sub(r"^( +)# (?=(azureml-rollouts:\w+|\w+): \{)", r"\1", text, flags=re.MULTILINE)
    assert offered != text
    config = yaml.safe_load(offered)["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_what_a_stack_file_offers_is_right(stack: str) -> None:
    offered = parse(stack, uncommented(stack))
    assert offered.model_registry.used
    assert not settings_of(stack).model_registry.used, "costs nothing until somebody wants it"


def test_four_use_cases_and_a_batch_endpoint_are_lines_of_the_stack_file() -> None:
    many = deploy("prod", **uncommented("prod"))
    told = StackOutputs.model_validate(many.outputs["rollout"])
    assert set(told.endpoints) == {"churn", "viability", "diabetes", "intent"}
    assert set(told.batch_endpoints) == {"churn"}
    intent = told.endpoints["intent"]
    assert intent.policy.windows.max_p95_ms == 500
    assert intent.policy.approvers_required == 2, "the rest of its policy is the stack's"
    names = [each.name for each in (*told.endpoints.values(), *told.batch_endpoints.values())]
    assert len(set(names)) == 5
    assert told.model_registry is not None
    assert not told.model_registry.owned
    assert len(many.of("machinelearningservices:OnlineEndpoint")) == 4
    identities = {each.inputs["resourceName"] for each in many.of("managedidentity:UserAssignedIdentity")}
    assert {f"rollouts-prod-endpoint-{use_case}" for use_case in told.endpoints} <= identities


CHURN = {"model": "churn", "instanceType": "Standard_DS2_v2"}
BATCH = {"model": "churn", "cluster": "cpu"}
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("dev", {"endpoints": {"churn": {**CHURN, "scale": {"minInstances": 3, "maxInstances": 3}}}}, "endpoints.churn.scale.maxInstances = 3", "above minInstances, which is 3"),
    ("dev", {"endpoints": {"churn": {**CHURN, "scale": {"minInstances": 2, "maxInstances": 4}}}}, "endpoints.churn.instanceCount = 1", "2 to 4"),
    ("dev", {"endpoints": {"churn": {**CHURN, "scale": {"maxInstances": 4, "cpuPercent": 100}}}}, "endpoints.churn.scale.cpuPercent = 100", "95"),
    ("prod", {"endpoints": {"churn": {**CHURN, "instanceCount": 2, "scale": {"maxInstances": 4}}}}, "endpoints.churn.scale.minInstances = 1", "prod needs 2"),
    ("dev", {"endpoints": {"churn": {**CHURN, "name": "shop"}}, "batchEndpoints": {"churn": {**BATCH, "name": "shop"}}}, "endpoints.*.name = 'shop'", "2 endpoints have this name"),
    ("dev", {"batchEndpoints": {"churn": {**BATCH, "cluster": "gpu"}}}, "batchEndpoints.churn.cluster = 'gpu'", "a cluster of this stack: cpu"),
    ("dev", {"batchEndpoints": {"churn": {**BATCH, "instances": 9}}}, "batchEndpoints.churn.instances = 9", "clusters.cpu.maxNodes (2)"),
    ("dev", {"batchEndpoints": {"churn": {**BATCH, "name": "x"}}}, "batchEndpoints.churn.name = 'x'", "3 to 32"),
    ("dev", {"batchEndpoints": {"churn": {**BATCH, "miniBatchSize": 0}}}, "batchEndpoints.churn.miniBatchSize = 0", "1"),
    ("dev", {"batchEndpoints": {"churn": {**BATCH, "outputFile": "a/b.csv"}}}, "batchEndpoints.churn.outputFile", "pattern"),
]  # fmt: skip


@pytest.mark.parametrize(("stack", "change", "key", "allowed"), WRONG, ids=[key for _, _, key, _ in WRONG])
def test_a_wrong_setting_is_named_with_what_is_allowed(
    stack: str, change: dict[str, Any], key: str, allowed: str
) -> None:
    refused(stack, {**stack_values(stack), **change}, key, allowed)
