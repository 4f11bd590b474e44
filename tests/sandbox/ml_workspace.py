"""A workspace in the running sandbox, and the real azure-ai-ml client for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rollout.azure.cloud import cloud_from_environment

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from tests.sandbox.conftest import RunningSandbox

NAMESPACES = {
    "storage": "Microsoft.Storage/storageAccounts",
    "vault": "Microsoft.KeyVault/vaults",
    "insights": "Microsoft.Insights/components",
}


@dataclass(frozen=True)
class MlWorkspace:
    """`url`: the workspace's address in ARM, to talk to it without the SDK through `session`."""

    sandbox: RunningSandbox
    client: MLClient
    session: Any
    url: str
    account: str

    @property
    def id(self) -> str:
        return self.url.partition(self.sandbox.settings.url("arm"))[2]

    def rest(self, method: str, path: str, body: Any = None, version: str = "2024-04-01") -> Any:
        return self.session.request(method, f"{self.url}{path}?api-version={version}", json=body, timeout=30)


@contextlib.contextmanager
def workspace(sandbox: RunningSandbox, name: str) -> Iterator[MlWorkspace]:
    """A workspace with all that it needs, in a group of its own, and the process's environment set to reach it."""
    with pytest.MonkeyPatch.context() as patch:
        sandbox.use(patch)
        session = sandbox.session()
        group = sandbox.group(session, f"rg-{name}")
        account = f"st{name.replace('-', '')}"
        _make_resources(session, group, name, account)
        client = _client(sandbox, f"rg-{name}", name)
        yield MlWorkspace(
            sandbox, client, session, f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{name}", account
        )


def _make_resources(session: Any, group: str, name: str, account: str) -> None:
    providers, tenant = f"{group}/providers", "00000000-0000-0000-0000-000000000001"
    base = providers.partition("/subscriptions/")[1] + providers.partition("/subscriptions/")[2]
    vault = {"tenantId": tenant, "sku": {"family": "A", "name": "standard"}, "accessPolicies": []}
    _put(session, f"{providers}/{NAMESPACES['storage']}/{account}", "2024-01-01", {
        "location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"})  # fmt: skip
    _put(session, f"{providers}/{NAMESPACES['vault']}/kv-{name}", "2024-11-01", {
        "location": "eastus", "properties": vault})  # fmt: skip
    _put(session, f"{providers}/{NAMESPACES['insights']}/ai-{name}", "2020-02-02", {
        "location": "eastus", "kind": "web", "properties": {"Application_Type": "web"}})  # fmt: skip
    _put(session, f"{providers}/Microsoft.MachineLearningServices/workspaces/{name}", "2024-04-01", {
        "location": "eastus",
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "storageAccount": f"{base}/{NAMESPACES['storage']}/{account}",
            "keyVault": f"{base}/{NAMESPACES['vault']}/kv-{name}",
            "applicationInsights": f"{base}/{NAMESPACES['insights']}/ai-{name}",
        },
    })  # fmt: skip
    cluster = {"minNodeCount": 0, "maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "PT120S"}
    compute = {"vmSize": "Standard_DS2_v2", "scaleSettings": cluster}
    _put(session, f"{providers}/Microsoft.MachineLearningServices/workspaces/{name}/computes/cpu", "2024-04-01", {
        "location": "eastus", "properties": {"computeType": "AmlCompute", "properties": compute}})  # fmt: skip


def _put(session: Any, url: str, version: str, body: dict[str, Any]) -> None:
    import time

    answer = session.put(f"{url}?api-version={version}", json=body, timeout=30)
    assert answer.status_code in (200, 201), answer.text
    for _ in range(100):
        state = session.get(f"{url}?api-version={version}", timeout=30).json()["properties"].get("provisioningState")
        if state in (None, "Succeeded"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{url} is still {state}")


def _client(sandbox: RunningSandbox, group: str, name: str) -> MLClient:
    from azure.ai.ml import MLClient

    cloud = cloud_from_environment()
    return MLClient(
        cloud.credential(), sandbox.settings.subscription_id, group, name,
        show_progress=False, enable_telemetry=False, **cloud.ml_cloud(),
    )  # fmt: skip


def write_mlflow_model(folder: Path) -> Path:
    """The least that counts as an MLflow model."""
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    code: null\n"
    )
    (folder / "model.pkl").write_bytes(b"weights")
    return folder
