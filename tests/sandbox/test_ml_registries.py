"""ML registries as azure-ai-ml uses them: share, get, list, download, tags, upload; and a deployment of what is shared."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from rollout.azure.cloud import cloud_from_environment
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace, write_mlflow_model
from tests.sandbox.ml_workspace import workspace as ml_workspace
from tests.sandbox.scoring import Workspace

pytestmark = pytest.mark.sandbox
REGISTRY_VERSION = "2024-10-01"


@contextlib.contextmanager
def registry_client(base: MlWorkspace, name: str) -> Iterator[MLClient]:
    """A registry of this name in the workspace's group, and azure-ai-ml's client of it."""
    group = base.url.partition("/providers/")[0]
    url = f"{group}/providers/Microsoft.MachineLearningServices/registries/{name}?api-version={REGISTRY_VERSION}"
    details = [{"location": "eastus", "acrDetails": [], "storageAccountDetails": []}]
    body: dict[str, Any] = {
        "location": "eastus", "identity": {"type": "SystemAssigned"},
        "properties": {"regionDetails": details, "publicNetworkAccess": "Enabled"},
    }  # fmt: skip
    assert base.session.put(url, json=body, timeout=30).status_code in (200, 201, 202)
    while base.session.get(url, timeout=30).json()["properties"]["provisioningState"] != "Succeeded":
        time.sleep(0.05)
    cloud = cloud_from_environment()
    yield MLClient(
        cloud.credential(), registry_name=name, show_progress=False, enable_telemetry=False, **cloud.ml_cloud()
    )
    base.session.delete(url, timeout=30)


@pytest.fixture(scope="module")
def shared(sandbox: RunningSandbox) -> Iterator[tuple[MlWorkspace, MLClient, str]]:
    name = f"reg{uuid.uuid4().hex[:8]}"
    with ml_workspace(sandbox, f"reg-{name[-6:]}") as base, registry_client(base, name) as client:
        yield base, client, name


def test_a_shared_model_has_the_same_files_and_takes_new_tags(
    shared: tuple[MlWorkspace, MLClient, str], tmp_path: Path
) -> None:
    base, client, registry = shared
    folder = write_mlflow_model(tmp_path / "model")
    made = base.client.models.create_or_update(
        Model(name="churn", version="7", path=str(folder), type="mlflow_model", tags={"f1": "0.81"})
    )
    with pytest.raises(ResourceNotFoundError):
        client.models.get("churn", "7")

    base.client.models.share(
        "churn", made.version, share_with_name="churn", share_with_version="7", registry_name=registry
    )

    found = client.models.get("churn", "7")
    assert (found.tags, found.type) == ({"f1": "0.81"}, "mlflow_model")
    assert [each.version for each in client.models.list("churn")] == ["7"]
    client.models.download("churn", "7", str(tmp_path / "back"))
    back = {file.name: file.read_bytes() for file in (tmp_path / "back").rglob("*") if file.is_file()}
    assert back == {file.name: file.read_bytes() for file in folder.iterdir()}

    found.tags = {**found.tags, "stage": "staging"}
    client.models.create_or_update(found)
    assert client.models.get("churn", "7").tags == {"f1": "0.81", "stage": "staging"}
    with pytest.raises(Exception, match="already exists"):
        base.client.models.share("churn", "7", share_with_name="churn", share_with_version="7", registry_name=registry)


def test_a_deployment_serves_what_the_registry_holds(shared: tuple[MlWorkspace, MLClient, str], tmp_path: Path) -> None:
    base, _, registry = shared
    place = Workspace(base, tmp_path)
    file = tmp_path / "shared.txt"
    file.write_text("from the registry")
    base.client.models.create_or_update(Model(name="plain", version="1", path=str(file)))
    base.client.models.share(
        "plain", "1", share_with_name="plain", share_with_version="1", registry_name=registry
    )  # fmt: skip
    place.put_endpoint("reg-live")
    deployment = place.deployment("reg-live", "blue")
    deployment.model = f"azureml://registries/{registry}/models/plain/versions/1"
    place.deploy(deployment)
    assert place.score("reg-live", pin="blue").json()["model"] == "from the registry"
    gone = place.deployment("reg-live", "green")
    gone.model = f"azureml://registries/{registry}/models/plain/versions/9"
    with pytest.raises(HttpResponseError, match="version 9 was not found in registry"):
        place.deploy(gone)
