"""Feature store, load testing, batch endpoints and scaling on a private stack: up, no change, no drift, and nothing left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from contract import StackOutputs
from tests.components.mocks import PROJECT
from tests.options import merged
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project
from tests.sandbox.test_engine_stacks import documents

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

OPTIONS: dict[str, Any] = {
    "network": {"enabled": True, "publicAccess": False, "isolation": "AllowInternetOutbound"},
    "registry": {"sku": "Premium"},
    "keyVault": {"purgeProtection": True},
    "encryption": {"customerManagedKey": True},
    "featureStore": {"enabled": True},
    "loadTesting": {"enabled": True},
    "batchEndpoints": {"churn": {"model": "churn", "cluster": "cpu"}},
    "endpoints": {"churn": {"scale": {"maxInstances": 3}}},
}


def switch_on(engine: Engine, options: dict[str, Any], stack: str = "dev") -> None:
    """The stack file with these merged in."""
    file = engine.project / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(file.read_text())
    values = {key.removeprefix(f"{PROJECT}:"): value for key, value in document["config"].items() if ":" in key}
    plain = {key: value for key, value in document["config"].items() if not key.startswith(f"{PROJECT}:")}
    ours = {key: value for key, value in values.items() if f"{PROJECT}:{key}" in document["config"]}
    document["config"] = plain | {f"{PROJECT}:{key}": value for key, value in merged(ours, options).items()}
    file.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture
def engine(sandbox: RunningSandbox, tmp_path: Path) -> Engine:
    return Engine(copy_project(tmp_path / "project"), sandbox.env)


def test_every_option_of_serving_and_features_comes_up_stays_and_goes(engine: Engine, sandbox: RunningSandbox) -> None:
    switch_on(engine, OPTIONS)
    engine.up("dev")
    engine.up("dev", "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")
    told = StackOutputs.model_validate(engine.outputs()["rollout"])
    assert told.feature_store is not None
    assert told.feature_store.online_host.endswith(".eastus.redis.azure.net")
    assert told.load_testing is not None
    assert told.batch_endpoints["churn"].scoring_uri.endswith("/jobs")
    engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
    assert documents(sandbox, told.resource_group) == []


def test_a_batch_endpoints_default_is_not_pulumis(engine: Engine, sandbox: RunningSandbox) -> None:
    switch_on(engine, {"batchEndpoints": {"churn": {"model": "churn", "cluster": "cpu"}}})
    engine.up("dev")
    told = StackOutputs.model_validate(engine.outputs()["rollout"])
    url, version = f"{sandbox.settings.url('arm')}{told.batch_endpoints['churn'].id}", {"api-version": "2024-04-01"}
    session = sandbox.session()
    model = {"referenceType": "Id", "assetId": "azureml:churn:1"}
    cluster = f"{told.workspace.id}/computes/{told.clusters['cpu'].name}"
    made = {"location": "eastus", "properties": {"model": model, "compute": cluster}}
    assert session.put(f"{url}/deployments/v1", params=version, json=made, timeout=10).ok
    given = {"properties": {"defaults": {"deploymentName": "v1"}}}
    assert session.patch(url, params=version, json=given, timeout=10).ok

    def default() -> Any:
        return session.get(url, params=version, timeout=10).json()["properties"].get("defaults")

    engine.up("dev", "--expect-no-changes")
    file = engine.project / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("owner: ml-platform", "owner: someone-else"))
    assert "updated" in engine.up("dev")
    assert default() == {"deploymentName": "v1"}, "a full PUT would have reset it"
    engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")


def test_staging_makes_the_registry_that_dev_promotes_to(engine: Engine, sandbox: RunningSandbox) -> None:
    switch_on(engine, {"modelRegistry": {"create": True}}, "staging")
    engine.up("staging")
    made = StackOutputs.model_validate(engine.outputs("staging")["rollout"]).model_registry
    assert made is not None
    switch_on(engine, {"modelRegistry": {"name": made.name, "resourceGroup": made.resource_group}})
    engine.up("dev")
    named = StackOutputs.model_validate(engine.outputs("dev")["rollout"]).model_registry
    assert named is not None
    assert (named.id, named.owned) == (made.id, False)
    users = [name for name in engine.resources("dev") if name.endswith("azureml-registry-user")]
    assert {
        "cluster-identity-models-azureml-registry-user",
        "endpoint-churn-identity-models-azureml-registry-user",
    } <= set(users)
    for stack in ("dev", "staging"):
        engine.run("destroy", "--yes", "--skip-preview", "--stack", stack)
