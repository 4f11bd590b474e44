"""What the program declares: safe by default, all of it in its place, outputs as the contract has them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components import outputs
from components.aliases import without_api_versions
from components.platform import build
from contract.reader import parse_outputs
from tests.components.mocks import COMPUTED, PROJECT, Run, run, settings_of, stack_values

PRECIOUS = {
    "group", "storage", "storage-rollout-journal", "storage-cost-exports", "workspace-vault", "workspace-registry", "workspace", "observability-logs",
    "endpoint-churn", "functions-storage", "front-door-endpoint", "api-management",
}  # fmt: skip


def program(stack: str, changes: dict[str, Any]) -> Callable[[], None]:
    settings = settings_of(stack, **changes)

    def main() -> None:
        platform = build(settings, PROJECT)
        outputs.export(outputs.document(settings, platform, PROJECT))

    return main


def deploy(stack: str, **changes: Any) -> Run:
    return run(stack, program(stack, changes))


@pytest.fixture(scope="module")
def prod() -> Run:
    return deploy("prod")


@pytest.fixture(scope="module")
def dev() -> Run:
    return deploy("dev")


def test_storage_is_private_and_encrypted_on_the_way(prod: Run) -> None:
    account = prod.declared["storage"].inputs
    assert account["minimumTlsVersion"] == "TLS1_2"
    assert account["allowBlobPublicAccess"] is False
    assert account["enableHttpsTrafficOnly"] is True
    assert {each.inputs["publicAccess"] for each in prod.of("storage:BlobContainer")} == {"None"}


def test_keys_of_the_storage_account_are_a_setting() -> None:
    by_identity = deploy("dev", storage={"allowSharedKeyAccess": False})
    assert by_identity.declared["storage"].inputs["allowSharedKeyAccess"] is False
    workspace = by_identity.declared["workspace"]
    assert workspace.inputs["systemDatastoresAuthMode"] == "identity"


def test_the_vault_goes_by_roles_and_cannot_be_purged_in_prod(dev: Run, prod: Run) -> None:
    vault = prod.one("keyvault:Vault").inputs["properties"]
    assert vault["enableRbacAuthorization"] is True
    assert vault["enablePurgeProtection"] is True
    # Azure refuses an explicit false
    assert "enablePurgeProtection" not in dev.one("keyvault:Vault").inputs["properties"]


def test_no_shared_passwords(prod: Run) -> None:
    assert prod.one("containerregistry:Registry").inputs["adminUserEnabled"] is False
    assert prod.one("eventgrid:Topic").inputs["disableLocalAuth"] is True
    for cluster in prod.of("machinelearningservices:Compute"):
        assert cluster.inputs["properties"]["disableLocalAuth"] is True
        assert cluster.inputs["properties"]["properties"]["remoteLoginPortPublicAccess"] == "Disabled"


def test_clusters_sleep_when_idle(dev: Run) -> None:
    properties = dev.one("machinelearningservices:Compute").inputs["properties"]["properties"]
    assert properties["vmPriority"] == "LowPriority"
    assert properties["scaleSettings"] == {
        "minNodeCount": 0,
        "maxNodeCount": 2,
        "nodeIdleTimeBeforeScaleDown": "PT300S",
    }


def test_a_second_cluster_is_one_more_block() -> None:
    clusters = stack_values("dev")["clusters"]
    gpu = {"vmSize": "Standard_NC4as_T4_v3", "tier": "LowPriority", "maxNodes": 1}
    both = deploy("dev", clusters={**clusters, "gpu": gpu})
    assert {each.inputs["computeName"] for each in both.of("machinelearningservices:Compute")} == {"cpu", "gpu"}


def test_what_is_precious_is_protected_where_the_stack_says_so(dev: Run, prod: Run) -> None:
    assert {name for name, each in prod.declared.items() if each.protect} == PRECIOUS
    assert not [name for name, each in dev.declared.items() if each.protect]
    released = deploy("prod", protectData=False)
    assert not [name for name, each in released.declared.items() if each.protect]


def test_every_resource_sits_in_its_component(prod: Run) -> None:
    assert set(prod.components) == {
        "storage", "observability", "workspace", "budget", "cluster", "events", "endpoint-churn", "alerts-churn",
        "identity", "network", "private", "lock", "functions", "functions-storage", "functions-storage-private",
        "platform-alerts", "dashboards", "diagnostics", "availability",
        "cost-export", "front-door", "api-management", "gateway-churn",
    }  # fmt: skip
    loose = {each.name for each in prod.declared.values() if each.parent not in prod.components}
    assert loose == {"group"}


def test_everything_waits_for_the_group_and_carries_the_tags(prod: Run) -> None:
    untagged = {
        "authorization:RoleAssignment", "storage:BlobContainer", "storage:BlobServiceProperties", "storage:Queue",
        "storage:FileServiceProperties", "network:Subnet", "network:PrivateDnsZoneGroup",
        "authorization:ManagementLockByScope",
        "keyvault:Secret", "storage:ManagementPolicy", "web:WebAppFtpAllowed", "web:WebAppScmAllowed",
        "operationalinsights:Query", "monitor:DiagnosticSetting", "consumption:Budget", "eventgrid:TopicEventSubscription",
        "cdn:AFDOriginGroup", "cdn:AFDOrigin", "cdn:Route", "cdn:SecurityPolicy",
        *(kind for kind in COMPUTED if kind.startswith("apimanagement:") and not kind.endswith("Service")),
        "eventgrid:SystemTopicEventSubscription", "authorization:RoleDefinition", "costmanagement:Export",
        "automation:Schedule", "automation:JobSchedule",
        *(kind for kind in COMPUTED if kind.startswith("azuread:")),
    }  # fmt: skip
    for each in prod.declared.values():
        if each.name == "group":
            continue
        assert "group" in each.depends_on, each.name
        if each.type not in untagged:
            assert (
                each.inputs["tags"].items()
                >= {"environment": "prod", "managed-by": "pulumi", "owner": "ml-platform"}.items()
            )


def test_roles_end_at_single_resources(prod: Run) -> None:
    assignments = prod.of("authorization:RoleAssignment")
    assert len({each.inputs["roleAssignmentName"] for each in assignments}) == len(assignments)
    for each in assignments:
        assert each.inputs["principalType"] == "ServicePrincipal"
        if each.name != "identity-previewer-at-group":  # reads the whole group, and nothing but reads
            assert "/mock/" in each.inputs["scope"], f"{each.name} reaches beyond one resource"


def test_the_workspace_waits_for_its_roles(prod: Run) -> None:
    workspace = prod.declared["workspace"]
    assert workspace.type == "machinelearningservices:Workspace"
    assert "workspace-vault-key-vault-administrator" in workspace.depends_on


def test_the_budget_gives_notice_three_times(prod: Run) -> None:
    budget = prod.one("consumption:Budget")
    assert budget.inputs["amount"] == 875
    assert {each["threshold"] for each in budget.inputs["notifications"].values()} == {80, 90, 100}
    # the clock must not change a budget that is there
    assert budget.ignore_changes == ("timePeriod",)


def test_alerts_fire_on_error_rate_and_latency(prod: Run) -> None:
    endpoint = prod.one("machinelearningservices:OnlineEndpoint").inputs["endpointName"]
    (condition,) = prod.declared["alerts-churn-error-rate"].inputs["criteria"]["allOf"]
    assert f'let endpoint = "{endpoint}";' in condition["query"]
    assert (condition["metricMeasureColumn"], condition["operator"], condition["threshold"]) == (
        "ErrorRate",
        "GreaterThan",
        0.05,
    )
    (metric,) = prod.declared["alerts-churn-latency"].inputs["criteria"]["allOf"]
    assert (metric["metricName"], metric["threshold"]) == ("RequestLatency_P95", 2000)


def test_logs_are_kept_as_long_as_the_stack_says(dev: Run, prod: Run) -> None:
    assert [each.one("operationalinsights:Workspace").inputs["retentionInDays"] for each in (dev, prod)] == [30, 90]


def test_subscriptions_have_retries_dead_letters_and_a_queue(prod: Run) -> None:
    subscriptions = [*prod.of("eventgrid:TopicEventSubscription"), *prod.of("eventgrid:SystemTopicEventSubscription")]
    assert {each.inputs["eventSubscriptionName"] for each in subscriptions} == {
        "model-registered",
        "job-completed",
        "deployment-failed",
        "rollout-ended",
        "person-needed",
    }
    for each in subscriptions:
        assert each.inputs["retryPolicy"]["maxDeliveryAttempts"] == 30
        assert (
            each.inputs["deadLetterWithResourceIdentity"]["deadLetterDestination"]["blobContainerName"]
            == "dead-letters"
        )
        queue = each.inputs["deliveryWithResourceIdentity"]["destination"]["queueName"]
        assert queue == f"events-{each.inputs['eventSubscriptionName']}"


def test_a_webhook_replaces_the_queue_and_stays_secret() -> None:
    hook = {"source": "topic", "eventTypes": ["Rollouts.RolledBack"], "webhookUrl": "https://hooks.example.com/s3cret"}
    ran = deploy("dev", events={"subscriptions": {"pager": hook}})
    assert not ran.of("storage:Queue")
    assert "s3cret" not in json.dumps(ran.outputs)


def test_the_endpoint_declares_no_traffic(prod: Run) -> None:
    properties = prod.one("machinelearningservices:OnlineEndpoint").inputs["properties"]
    assert "traffic" not in properties
    assert "mirrorTraffic" not in properties


def test_the_outputs_are_what_rollout_reads(prod: Run) -> None:
    read = parse_outputs(json.loads(json.dumps(prod.outputs)), "prod")
    assert read.endpoints["churn"].name == prod.outputs["endpoint_names"]["churn"]
    assert read.endpoints["churn"].policy.approvers_required == 2
    assert read.storage.blob_endpoint.startswith("https://")
    assert not read.storage.blob_endpoint.endswith("/")
    assert read.cost.monthly_usd == prod.outputs["monthly_cost_usd"]


def test_alerts_and_budget_can_be_left_out_of_dev() -> None:
    bare = deploy("dev", alerts={"enabled": False}, budget={"enabled": False, "monthlyUsd": 100})
    assert not bare.of("monitor:MetricAlert")
    assert not bare.of("consumption:Budget")
    assert parse_outputs(bare.outputs, "dev").observability.alert_ids == {}


def test_no_resource_carries_the_api_versions_as_aliases(prod: Run) -> None:
    """They cost the preview time and memory, and no stack ever had one of these types; moved types still find their state."""
    versioned = re.compile(r"/v\d{8}")
    assert not [each.name for each in prod.declared.values() if versioned.search(" ".join(each.aliases))]
    assert prod.one("applicationinsights:Component").aliases == ("azure-native:insights:Component",)


def test_aliases_of_our_own_stay() -> None:
    from pulumi_azure_native import network

    def main() -> None:
        pulumi.runtime.register_stack_transformation(without_api_versions)
        former = [pulumi.Alias(name="old"), pulumi.Alias(type_="azure-native:network/v20230901:Subnet", name="older")]
        options = pulumi.ResourceOptions(aliases=former)
        network.Subnet("one", virtual_network_name="net", resource_group_name="group", subnet_name="a", opts=options)
        network.Subnet("two", virtual_network_name="net", resource_group_name="group", subnet_name="b", opts=options)
        assert options.aliases == former, "the caller's options are left as they are"

    declared = run("dev", main).declared
    assert [declared[name].aliases for name in ("one", "two")] == [
        ("old", "azure-native:network/v20230901:Subnet older")
    ] * 2
