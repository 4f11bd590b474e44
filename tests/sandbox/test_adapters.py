"""The adapters behind the controller's ports, against the running sandbox: what they change, carry through and refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from rollout.azure.arm import ArmWriter
from rollout.azure.cloud import cloud_from_environment
from rollout.azure.endpoints import AzureEndpoints
from rollout.azure.metrics import AzureMetrics
from rollout.azure.prober import AzureProber, scoring_secret
from rollout.azure.scaling import AzureScaling
from rollout.controller.ports import DeploymentSpec, Scaling
from rollout.errors import BadInput, NotFound, RolloutError, Unavailable
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace, workspace

pytestmark = pytest.mark.sandbox

ENDPOINT = "churn-adapters"
IDENTITY = {"type": "SystemAssigned"}
CONDA = "dependencies:\n- python=3.11\n- pip:\n  - azureml-inference-server-http==1.5.1\n"
SCORER = """
import json, time
def init():
    print("scorer {name} is ready")
    {init}
def run(data):
    rows = json.loads(data)["input_data"]
    if rows[0] == ["slow"]:
        time.sleep(1.5)
    if rows[0] == ["bad"]:
        raise ValueError("no such category")
    return ["{name}"] * len(rows)
"""
PAYLOAD = b'{"input_data": [[1], [2]]}'


def scorer(folder: Path, name: str, init: str = "pass") -> str:
    """A code folder whose answers name it."""
    folder.mkdir(exist_ok=True)
    (folder / "score.py").write_text(SCORER.format(name=name, init=init))
    (folder / "conda.yaml").write_text(CONDA)
    return str(folder)


def spec(name: str, code: str, **other: Any) -> DeploymentSpec:
    made = DeploymentSpec(name, "tiny:1", "Standard_DS3_v2", 1, 1, 5000, code, {"team": "ml"})
    return replace(made, **other)


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlWorkspace]:
    """A workspace with a model and an endpoint that has tags, an identity and a description."""
    from azure.ai.ml.entities import Model

    with workspace(sandbox, "adapters") as made:
        weights = tmp_path_factory.mktemp("model") / "weights.bin"
        weights.write_bytes(b"weights")
        made.client.models.create_or_update(Model(name="tiny", version="1", path=str(weights), type="custom_model"))
        answer = made.rest(
            "PUT",
            f"/onlineEndpoints/{ENDPOINT}",
            {
                "location": "eastus",
                "identity": IDENTITY,
                "tags": {"owner": "ml", "cost-center": "42"},
                "properties": {"authMode": "Key", "description": "churn scores", "properties": {"own": "kept"}},
            },
        )
        assert answer.status_code in (200, 201), answer.text
        for _ in range(100):
            document = made.rest("GET", f"/onlineEndpoints/{ENDPOINT}").json()
            if document["properties"]["provisioningState"] == "Succeeded":
                break
            time.sleep(0.1)
        yield made


@pytest.fixture(scope="module")
def endpoints(ws: MlWorkspace) -> AzureEndpoints:
    arm = ArmWriter(cloud_from_environment())
    return AzureEndpoints(f"{ws.id}/onlineEndpoints/{ENDPOINT}", arm, lambda: ws.client, poll_seconds=0.2)


@pytest.fixture(scope="module")
def blue(endpoints: AzureEndpoints, tmp_path_factory: pytest.TempPathFactory) -> DeploymentSpec:
    """Blue, with all traffic."""
    made = spec("blue", scorer(tmp_path_factory.mktemp("code") / "blue", "blue"))
    endpoints.deploy(made)
    endpoints.set_weights({"blue": 100})
    return made


@pytest.fixture(scope="module")
def green(endpoints: AzureEndpoints, blue: DeploymentSpec, tmp_path_factory: pytest.TempPathFactory) -> DeploymentSpec:
    """Green, without traffic."""
    made = spec("green", scorer(tmp_path_factory.mktemp("code") / "green", "green"))
    endpoints.deploy(made)
    return made


@pytest.fixture
def faults(sandbox: RunningSandbox) -> Iterator[Any]:
    yield sandbox.admin.add_fault
    sandbox.admin.clear_faults()


@pytest.fixture
def prober(ws: MlWorkspace, blue: DeploymentSpec) -> AzureProber:
    uri = ws.rest("GET", f"/onlineEndpoints/{ENDPOINT}").json()["properties"]["scoringUri"]
    return AzureProber(
        uri, lambda: scoring_secret(ws.client, cloud_from_environment(), ENDPOINT, "Key"), lambda _: PAYLOAD
    )


def deployment(ws: MlWorkspace, name: str) -> dict[str, Any]:
    found: dict[str, Any] = ws.rest("GET", f"/onlineEndpoints/{ENDPOINT}/deployments/{name}").json()
    return found


def test_a_deployment_that_scales_brings_its_settings_and_takes_them_along(
    ws: MlWorkspace, blue: DeploymentSpec, tmp_path: Path
) -> None:
    endpoint = f"{ws.id}/onlineEndpoints/{ENDPOINT}"
    arm = ArmWriter(cloud_from_environment())
    scaling = AzureScaling(endpoint, "eastus", arm)
    endpoints = AzureEndpoints(endpoint, arm, lambda: ws.client, scaling=scaling, poll_seconds=0.2)
    wide = replace(spec("wide", scorer(tmp_path / "wide", "wide")), scale=Scaling(1, 3, 70))
    setting = f"{ws.id.split('/providers/')[0]}/providers/Microsoft.Insights/autoscaleSettings/{ENDPOINT}-wide"

    def found() -> dict[str, Any]:
        return arm.get(setting, "2022-10-01", "read the setting")

    endpoints.deploy(wide)
    assert found()["properties"]["targetResourceUri"] == f"{endpoint}/deployments/wide"
    endpoints.deploy(replace(wide, scale=Scaling(1, 5, 70)))
    assert found()["properties"]["profiles"][0]["capacity"]["maximum"] == "5", "set anew, not deployed anew"
    endpoints.delete("wide")
    with pytest.raises(NotFound):
        found()
    endpoints.delete("wide")


class TestEndpoints:
    def test_a_deployment_is_what_was_asked_for(
        self, ws: MlWorkspace, endpoints: AzureEndpoints, blue: DeploymentSpec
    ) -> None:
        live = endpoints.live()
        assert live.provisioning_state == "Succeeded"
        assert live.weights == {"blue": 100}
        assert live.deployments["blue"].provisioning_state == "Succeeded"
        assert live.deployments["blue"].model == "tiny:1"
        assert live.deployments["blue"].instance_count == 1
        document = deployment(ws, "blue")
        assert document["tags"]["team"] == "ml"
        assert document["properties"]["instanceType"] == "Standard_DS3_v2"
        assert document["properties"]["requestSettings"]["maxConcurrentRequestsPerInstance"] == 1

    def test_deploying_the_same_again_changes_nothing(
        self, ws: MlWorkspace, endpoints: AzureEndpoints, blue: DeploymentSpec
    ) -> None:
        before = deployment(ws, "blue")["systemData"]
        endpoints.deploy(blue)
        assert deployment(ws, "blue")["systemData"] == before

    def test_a_live_deployment_is_not_replaced_by_another_of_its_name(
        self, endpoints: AzureEndpoints, blue: DeploymentSpec
    ) -> None:
        with pytest.raises(BadInput, match=r"'blue' takes 100 % of the traffic"):
            endpoints.deploy(replace(blue, instance_count=2))

    def test_moving_traffic_carries_everything_else_through(
        self, ws: MlWorkspace, endpoints: AzureEndpoints, green: DeploymentSpec
    ) -> None:
        before = ws.rest("GET", f"/onlineEndpoints/{ENDPOINT}").json()
        endpoints.set_weights({"blue": 90, "green": 10})
        after = ws.rest("GET", f"/onlineEndpoints/{ENDPOINT}").json()
        assert after["properties"]["traffic"] == {"blue": 90, "green": 10}
        for key in ("tags", "identity", "location", "id"):
            assert after[key] == before[key], key
        for key in ("description", "authMode", "properties", "scoringUri", "mirrorTraffic"):
            assert after["properties"].get(key) == before["properties"].get(key), key
        endpoints.set_weights({"blue": 100, "green": 0})
        assert endpoints.live().weights == {"blue": 100}

    def test_a_mirror_stays_until_its_deployment_takes_live_traffic(
        self, ws: MlWorkspace, endpoints: AzureEndpoints, green: DeploymentSpec
    ) -> None:
        document = ws.rest("GET", f"/onlineEndpoints/{ENDPOINT}").json()
        document["properties"]["mirrorTraffic"] = {"green": 20}
        assert ws.rest("PUT", f"/onlineEndpoints/{ENDPOINT}", document).status_code in (200, 201, 202)
        endpoints.set_weights({"blue": 100})
        assert endpoints.live().mirror == {"green": 20}
        endpoints.set_weights({"blue": 90, "green": 10})
        assert endpoints.live().mirror == {}
        endpoints.set_weights({"blue": 100})

    @pytest.mark.parametrize("weights", [{"blue": 90}, {"blue": 60, "green": 50}])
    def test_weights_that_do_not_add_up_are_not_sent(self, endpoints: AzureEndpoints, weights: dict[str, int]) -> None:
        with pytest.raises(BadInput, match="must add up to 0 or 100"):
            endpoints.set_weights(weights)

    def test_traffic_to_a_deployment_that_does_not_exist_is_refused(
        self, endpoints: AzureEndpoints, blue: DeploymentSpec
    ) -> None:
        with pytest.raises(RolloutError, match="nobody") as refused:
            endpoints.set_weights({"nobody": 100})
        assert not isinstance(refused.value, Unavailable)
        assert endpoints.live().weights == {"blue": 100}

    def test_throttling_is_waited_out(self, endpoints: AzureEndpoints, green: DeploymentSpec, faults: Any) -> None:
        faults(kind="http", target=f"*:PUT *onlineEndpoints/{ENDPOINT}", status=429, times=5)
        endpoints.set_weights({"blue": 80, "green": 20})
        assert endpoints.live().weights == {"blue": 80, "green": 20}
        endpoints.set_weights({"blue": 100})

    def test_a_scorer_that_can_not_start_is_told_with_its_log_and_can_be_fixed(
        self, endpoints: AzureEndpoints, blue: DeploymentSpec, tmp_path: Path
    ) -> None:
        with pytest.raises(RolloutError, match="no weights here") as failed:
            endpoints.deploy(
                spec("broken", scorer(tmp_path / "code", "broken", 'raise RuntimeError("no weights here")'))
            )
        assert not isinstance(failed.value, Unavailable)
        assert failed.value.way_out
        assert endpoints.live().deployments["broken"].provisioning_state == "Failed"
        assert endpoints.live().weights == {"blue": 100}
        endpoints.deploy(spec("broken", scorer(tmp_path / "code", "mended")))
        assert endpoints.live().deployments["broken"].provisioning_state == "Succeeded"
        assert "scorer mended is ready" in endpoints.logs("broken")
        endpoints.delete("broken")
        endpoints.delete("broken")
        assert "broken" not in endpoints.live().deployments

    def test_models_are_found_or_not(self, endpoints: AzureEndpoints) -> None:
        assert endpoints.model_exists("tiny:1")
        assert not endpoints.model_exists("tiny:99")
        assert not endpoints.model_exists("nothing:1")
        with pytest.raises(BadInput, match="NAME:VERSION"):
            endpoints.model_exists("tiny")

    def test_a_missing_endpoint_is_named(self, ws: MlWorkspace) -> None:
        nowhere = AzureEndpoints(
            f"{ws.id}/onlineEndpoints/nowhere", ArmWriter(cloud_from_environment()), lambda: ws.client
        )
        with pytest.raises(NotFound, match="read endpoint 'nowhere'"):
            nowhere.live()


class TestProber:
    def test_each_deployment_answers_for_itself_whatever_the_weights(
        self, prober: AzureProber, green: DeploymentSpec
    ) -> None:
        for name in ("blue", "green"):
            results = prober.probe(name, 5, 5000)
            assert [(one.status, one.well_formed) for one in results] == [(200, True)] * 5
            assert all(0 < one.milliseconds < 5000 for one in results)

    def test_a_scorers_error_is_seen_once_per_request_and_never_retried(
        self, prober: AzureProber, green: DeploymentSpec
    ) -> None:
        prober._payload = lambda _: b'{"input_data": [["bad"]]}'
        results = prober.probe("green", 3, 5000)
        assert [one.status for one in results] == [424] * 3
        assert "500" in results[0].detail

    def test_no_answer_in_time_is_status_0(self, prober: AzureProber, green: DeploymentSpec) -> None:
        prober._payload = lambda _: b'{"input_data": [["slow"]]}'
        (result,) = prober.probe("green", 1, 300)
        assert result.status == 0
        assert 250 < result.milliseconds < 1400
        assert "0.3 s" in result.detail

    def test_an_unknown_deployment_is_not_answered_by_another(self, prober: AzureProber) -> None:
        assert {one.status for one in prober.probe("nobody", 2, 5000)} == {404}


class TestMetrics:
    def test_requests_errors_and_p95_by_deployment_and_minute(self, sandbox: RunningSandbox, ws: MlWorkspace) -> None:
        minute = (int(time.time()) // 60 - 10) * 60
        seen = [("blue", 200)] * 90 + [("blue", 400)] * 6 + [("green", 200)] * 10
        seen += [("green", 424), ("green", 408), ("green", 429), ("green", 503)]
        tell(
            sandbox,
            ENDPOINT,
            [(minute + 30, name, status, 10.0 + index % 10) for index, (name, status) in enumerate(seen)],
        )
        tell(sandbox, ENDPOINT, [(minute + 90, "blue", 200, 25.0)])
        metrics = AzureMetrics(cloud_from_environment().metrics_client("eastus"), f"{ws.id}/onlineEndpoints/{ENDPOINT}")
        start = datetime.fromtimestamp(minute, UTC)
        found = metrics.minutes(["blue", "green"], start - timedelta(minutes=2), start + timedelta(minutes=5))
        assert [(one.minute, one.deployment, one.requests, one.errors) for one in found] == [
            (start, "blue", 96, 0),
            (start, "green", 14, 4),
            (start + timedelta(minutes=1), "blue", 1, 0),
        ]
        assert [one.p95_ms for one in found] == pytest.approx([19.0, 19.0, 25.0], abs=0.6)
        assert metrics.minutes(["green"], start + timedelta(minutes=1), start + timedelta(minutes=5)) == []

    def test_metrics_that_do_not_answer_are_unavailable_not_zero(self, ws: MlWorkspace, faults: Any) -> None:
        faults(kind="http", target="monitor:*", status=503)
        client = cloud_from_environment().metrics_client("eastus")
        metrics = AzureMetrics(client, f"{ws.id}/onlineEndpoints/{ENDPOINT}")
        now = datetime.now(UTC)
        with pytest.raises(Unavailable, match="read the metrics"):
            metrics.minutes(["blue"], now - timedelta(minutes=5), now)


def tell(sandbox: RunningSandbox, endpoint: str, seen: list[tuple[float, str, int, float]]) -> None:
    """What the gateway would report: when, who answered, how, and in how many ms."""
    records = [
        {
            "t": at, "workspace": "adapters", "endpoint": endpoint, "deployment": name, "status": status, "ms": ms,
            "mirrored": False, "id": f"{at}-{index}", "model_status": 500 if status == 424 else 0,
        }
        for index, (at, name, status, ms) in enumerate(seen)
    ]  # fmt: skip
    answer = requests.post(
        f"{sandbox.settings.url('admin')}/internal/access",
        data=json.dumps(records),
        headers={"Authorization": f"Bearer {sandbox.settings.internal_token}", "Content-Type": "application/json"},
        verify=sandbox.env["SSL_CERT_FILE"],
        timeout=10,
    )
    assert answer.status_code < 300, answer.text


def test_a_sandbox_that_is_down_is_told_with_the_way_out(ws: MlWorkspace) -> None:
    closed = "https://127.0.0.1:9"
    down = replace(cloud_from_environment(), resource_manager=closed, authority=closed)
    nowhere = AzureEndpoints(f"{ws.id}/onlineEndpoints/{ENDPOINT}", ArmWriter(down), lambda: ws.client)
    with pytest.raises(Unavailable, match="the sandbox is not running") as refused:
        nowhere.live()
    assert refused.value.way_out == "rollout sandbox up"
