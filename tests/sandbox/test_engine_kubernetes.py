"""A stack with a cluster, as a user runs it: up, no change, no drift, a pool more, down. And what Azure refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from contract import StackOutputs
from tests.options import merged
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project
from tests.sandbox.test_engine_stacks import documents, outputs_of

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]

NETWORK = {"network": {"enabled": True}, "registry": {"sku": "Premium"}}
CLUSTER: dict[str, Any] = {
    "kubernetes": {
        "enabled": True,
        "privateCluster": True,
        "extension": {"tlsSecret": "tls", "tlsName": "m.example.com"},
    },
    "endpoints": {"churn": {"compute": "kubernetes", "instanceType": "standard"}},
}


def change(engine: Engine, values: dict[str, Any], stack: str = "dev") -> None:
    """Merge `values` into the stack file."""
    file = engine.project / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(file.read_text())
    wanted = {f"azureml-rollouts:{key}": value for key, value in values.items()}
    document["config"] = merged(document["config"], wanted)
    file.write_text(yaml.safe_dump(document))


@pytest.fixture
def engine(sandbox: RunningSandbox, tmp_path: Path) -> Engine:
    made = Engine(copy_project(tmp_path / "project"), sandbox.env)
    change(made, merged(NETWORK, CLUSTER))
    return made


def live(sandbox: RunningSandbox, path: str, version: str = "2025-09-01") -> dict[str, Any]:
    url = f"{sandbox.settings.url('arm')}{path}"
    return dict(sandbox.session().get(url, params={"api-version": version}, timeout=10).json())


def test_a_cluster_goes_up_gets_a_gpu_pool_and_goes_down(engine: Engine, sandbox: RunningSandbox) -> None:
    engine.up("dev")
    outputs: StackOutputs = outputs_of(engine, "dev")
    engine.up("dev", "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")
    assert outputs.kubernetes is not None
    cluster = live(sandbox, outputs.kubernetes.cluster_id)["properties"]
    assert cluster["oidcIssuerProfile"]["issuerURL"] == outputs.kubernetes.oidc_issuer_url
    endpoint = live(sandbox, outputs.endpoints["churn"].id, "2025-12-01")
    assert (endpoint["kind"], endpoint["properties"]["compute"]) == ("Kubernetes", outputs.kubernetes.compute_id)

    # the autoscaler adds a node, then somebody changes a tag: the node stays
    pool = f"{outputs.kubernetes.cluster_id}/agentPools/user"
    _scale(sandbox, pool, 3)
    change(engine, {"tags": {"owner": "someone-else"}, "kubernetes": {"pools": {"gpu": {"maxNodes": 2}}}})
    said = engine.up("dev")
    assert "replaced" not in said
    assert live(sandbox, pool)["properties"]["count"] == 3
    gpu = live(sandbox, f"{outputs.kubernetes.cluster_id}/agentPools/gpu")["properties"]
    assert (gpu["count"], gpu["maxCount"], gpu["nodeLabels"]) == (0, 2, {"pool": "gpu", "sku": "gpu"})

    engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
    assert documents(sandbox, outputs.resource_group) == [], "nothing is left"


def _scale(sandbox: RunningSandbox, pool: str, count: int) -> None:
    """As the autoscaler does."""
    url, version = f"{sandbox.settings.url('arm')}{pool}", {"api-version": "2025-09-01"}
    document = live(sandbox, pool)
    body = {"properties": {**document["properties"], "count": count}}
    assert sandbox.session().put(url, params=version, json=body, timeout=10).ok
