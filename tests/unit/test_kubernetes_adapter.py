"""A Kubernetes deployment out of a spec, and its requests out of the log of its pods."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.monitor.query import LogsQueryStatus

from contract.outputs import Deployment, PodResources, Scale
from contract.policy import RolloutPolicy
from rollout.azure.request_log import RequestLog, query_of
from rollout.azure.specs import deployment_of, fingerprint
from rollout.controller.codec import spec_from_json, spec_to_json
from rollout.controller.ports import DeploymentSpec
from rollout.controller.starting import Order, make_spec
from rollout.errors import Unavailable

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PODS = Deployment(
    compute="kubernetes",
    instance_type="standard",
    instance_count=2,
    resources=PodResources(cpu="1", memory="2Gi", cpu_limit="2", memory_limit="4Gi", gpus=1),
    scale=Scale(min_instances=2, max_instances=5, cpu_percent=60),
)


def spec_of(deployment: Deployment) -> DeploymentSpec:
    return make_spec(Order(model="churn:7", deployment=deployment, policy=RolloutPolicy(), name="green"), "x")


def test_a_kubernetes_spec_becomes_microsofts_deployment() -> None:
    made = deployment_of(spec_of(PODS), "churn-dev", "mark")
    body = made._to_rest_object(location="eastus").as_dict()
    properties = body["properties"]
    assert properties["endpointComputeType"] == "Kubernetes"
    assert (properties["instanceType"], body["sku"]["capacity"]) == ("standard", 2)
    assert properties["containerResourceRequirements"] == {
        "containerResourceRequests": {"cpu": "1", "memory": "2Gi"},
        "containerResourceLimits": {"cpu": "2", "memory": "4Gi", "gpu": "1"},
    }
    scale = properties["scaleSettings"]
    assert (scale["scaleType"], scale["minInstances"], scale["maxInstances"]) == ("TargetUtilization", 2, 5)
    assert scale["targetUtilizationPercentage"] == 60
    assert properties["appInsightsEnabled"] is True


def test_without_resources_the_instance_type_decides() -> None:
    plain = Deployment(compute="kubernetes", instance_type="standard", instance_count=1)
    properties = (
        deployment_of(spec_of(plain), "churn-dev", "mark")._to_rest_object(location="eastus").as_dict()["properties"]
    )
    assert not properties.get("containerResourceRequirements")
    assert not properties.get("scaleSettings")


def test_a_managed_spec_stays_what_it_was() -> None:
    managed = spec_of(Deployment(instance_type="Standard_DS3_v2", instance_count=1))
    assert managed.pods is None
    body = deployment_of(managed, "churn-dev", "mark")._to_rest_object(location="eastus").as_dict()
    assert body["properties"]["endpointComputeType"] == "Managed"
    assert fingerprint(managed) != fingerprint(spec_of(PODS))


def test_the_journal_keeps_what_a_kubernetes_spec_says() -> None:
    spec = spec_of(PODS)
    again = spec_from_json(spec_to_json(spec))
    assert asdict(again) == asdict(spec)
    assert fingerprint(again) == fingerprint(spec), "resumed after a kill, it is the same deployment"


class Client:
    """Answers every query with these rows; keeps what it was asked."""

    def __init__(self, rows: list[dict[str, Any]], status: Any = LogsQueryStatus.SUCCESS) -> None:
        self.rows, self.status, self.asked = rows, status, list[tuple[str, str, Any]]()

    def query_workspace(self, workspace: str, query: str, *, timespan: Any) -> Any:
        self.asked.append((workspace, query, timespan))
        return SimpleNamespace(status=self.status, tables=[SimpleNamespace(rows=self.rows)])


def log(client: Client) -> RequestLog:
    return RequestLog(client, "customer", "churn-dev", lambda: NOON)


def test_minutes_are_read_by_deployment_once_they_are_settled() -> None:
    client = Client([{"Minute": NOON - timedelta(minutes=9), "Requests": 60, "Errors": 3, "P95": 41.5}])
    found = log(client).minutes(["blue"], NOON - timedelta(minutes=10), NOON)
    assert [(each.deployment, each.requests, each.errors, each.p95_ms) for each in found] == [("blue", 60, 3, 41.5)]
    ((workspace, query, timespan),) = client.asked
    assert workspace == "customer"
    assert "startswith_cs 'blue-churn-dev-'" in query
    assert timespan == (NOON - timedelta(minutes=10), NOON - timedelta(minutes=3)), "younger minutes may still grow"


def test_nothing_is_asked_of_minutes_that_are_not_settled() -> None:
    client = Client([])
    assert log(client).minutes(["blue"], NOON - timedelta(minutes=2), NOON) == []
    assert client.asked == []


def test_half_an_answer_is_no_evidence() -> None:
    with pytest.raises(Unavailable, match="only a part came"):
        log(Client([], LogsQueryStatus.PARTIAL)).minutes(["blue"], NOON - timedelta(minutes=10), NOON)


def test_only_names_get_into_the_query() -> None:
    with pytest.raises(ValueError, match="not the name"):
        query_of("blue' or 1 == 1 //", "churn-dev", NOON, NOON)
