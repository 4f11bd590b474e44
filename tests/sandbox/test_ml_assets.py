"""Data scientists register data, environments, code and models with azure-ai-ml, find them again and change them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace, workspace, write_mlflow_model

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox) -> Iterator[MlWorkspace]:
    with workspace(sandbox, "assets") as made:
        yield made


def test_a_new_workspace_has_its_four_datastores_and_the_blob_store_is_the_default(ws: MlWorkspace) -> None:
    names = {each.name for each in ws.client.datastores.list()}
    assert names == {"workspaceblobstore", "workspaceartifactstore", "workspaceworkingdirectory", "workspacefilestore"}
    assert ws.client.datastores.get_default().name == "workspaceblobstore"


def test_a_datastore_gives_a_token_for_its_container_and_only_that(ws: MlWorkspace) -> None:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import ContainerClient

    store = ws.client.datastores.get("workspaceblobstore", include_secrets=True)
    base = f"https://{store.account_name}"
    ContainerClient(base, store.container_name, credential=store.credentials.sas_token).upload_blob("hello", b"hi")
    with pytest.raises(HttpResponseError):
        ContainerClient(base, "azureml", credential=store.credentials.sas_token).upload_blob("hello", b"hi")


def test_the_key_of_a_datastore_is_the_storage_accounts(ws: MlWorkspace) -> None:
    answer = ws.rest("POST", "/datastores/workspaceblobstore/listSecrets", {}).json()
    group = ws.url.partition("/providers/")[0]
    keys = ws.session.post(
        f"{group}/providers/Microsoft.Storage/storageAccounts/{ws.account}/listKeys?api-version=2024-01-01", timeout=10
    ).json()["keys"]
    assert answer["secretsType"] == "AccountKey"
    assert answer["key"] in {key["value"] for key in keys}


def test_an_unknown_datastore_is_named_in_the_refusal(ws: MlWorkspace) -> None:
    from azure.core.exceptions import ResourceNotFoundError

    with pytest.raises(ResourceNotFoundError, match="Could not find datastore: nowhere"):
        ws.client.datastores.get("nowhere")


def test_a_local_file_becomes_a_data_asset_whose_versions_count_up(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.entities import Data

    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    first = ws.client.data.create_or_update(Data(name="rows", path=str(tmp_path / "rows.csv"), type="uri_file"))
    (tmp_path / "rows.csv").write_text("a,b\n3,4\n")
    second = ws.client.data.create_or_update(Data(name="rows", path=str(tmp_path / "rows.csv"), type="uri_file"))
    assert (first.version, second.version) == ("1", "2")
    assert ws.client.data.get("rows", label="latest").path == second.path != first.path
    assert {each.version for each in ws.client.data.list(name="rows")} == {"1", "2"}
    assert [each.name for each in ws.client.data.list()] == ["rows"]


def test_an_environment_is_kept_with_its_conda_file_and_a_different_one_needs_a_new_version(
    ws: MlWorkspace, tmp_path: Path
) -> None:
    from azure.ai.ml.entities import Environment

    conda = tmp_path / "conda.yaml"
    conda.write_text("dependencies:\n- python=3.11\n- pip:\n  - six==1.16.0\n")
    made = ws.client.environments.create_or_update(Environment(name="tiny", image="ubuntu", conda_file=str(conda)))
    assert made.version == "1"
    assert made.conda_file["dependencies"][1] == {"pip": ["six==1.16.0"]}
    conda.write_text("dependencies:\n- python=3.11\n- pip:\n  - six==1.17.0\n")
    # Without a version the SDK tries the latest, is told 409, and takes the next.
    changed = ws.client.environments.create_or_update(Environment(name="tiny", image="ubuntu", conda_file=str(conda)))
    assert changed.version == "2"


def test_a_conda_file_that_cannot_be_read_is_refused_before_it_is_kept(ws: MlWorkspace) -> None:
    answer = ws.rest("PUT", "/environments/bad/versions/1", {"properties": {"condaFile": "dependencies: [3=]"}})
    assert answer.status_code == 400
    assert "conda file is invalid" in answer.json()["error"]["message"]
    assert ws.rest("GET", "/environments/bad/versions/1").status_code == 404


def test_a_model_from_a_local_folder_is_found_tagged_archived_downloaded_and_deleted(
    ws: MlWorkspace, tmp_path: Path
) -> None:
    from azure.ai.ml.entities import Model

    folder = write_mlflow_model(tmp_path / "churn")
    made = ws.client.models.create_or_update(Model(name="kept", path=str(folder), type="mlflow_model"))
    assert made.version == "1"
    assert set(made.flavors) == {"python_function", "sklearn"}

    made.tags, made.description = {"stage": "candidate"}, "first"
    ws.client.models.create_or_update(made)
    again = ws.client.models.get("kept", label="latest")
    assert (again.tags, again.description) == ({"stage": "candidate"}, "first")

    ws.client.models.download("kept", "1", download_path=str(tmp_path / "back"))
    assert (tmp_path / "back" / "kept" / "churn" / "model.pkl").read_bytes() == b"weights"

    ws.client.models.archive("kept", "1")
    assert [each.version for each in ws.client.models.list("kept")] == []
    ws.client.models.restore("kept", "1")
    assert [each.version for each in ws.client.models.list("kept")] == ["1"]

    assert ws.rest("DELETE", "/models/kept/versions/1").status_code == 200
    assert ws.rest("DELETE", "/models/kept/versions/1").status_code == 204
    assert ws.rest("GET", "/models/kept/versions/1").status_code == 404


def test_the_files_of_a_version_cannot_be_exchanged(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.entities import Model
    from azure.core.exceptions import HttpResponseError

    one, other = write_mlflow_model(tmp_path / "one"), write_mlflow_model(tmp_path / "other")
    (other / "model.pkl").write_bytes(b"other weights")
    ws.client.models.create_or_update(Model(name="fixed", version="3", path=str(one), type="mlflow_model"))
    with pytest.raises(HttpResponseError, match="Asset paths cannot be updated"):
        ws.client.models.create_or_update(Model(name="fixed", version="3", path=str(other), type="mlflow_model"))
    assert ws.client.models.create_or_update(Model(name="fixed", path=str(other), type="mlflow_model")).version == "4"


def test_an_mlflow_model_without_an_mlmodel_file_is_refused(ws: MlWorkspace, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"x")
    from azure.ai.ml.entities import Model

    made = ws.client.models.create_or_update(
        Model(name="plain", path=str(tmp_path / "weights.bin"), type="custom_model")
    )
    uri = ws.rest("GET", f"/models/plain/versions/{made.version}").json()["properties"]["modelUri"]
    answer = ws.rest("PUT", "/models/wrong/versions/1", {"properties": {"modelUri": uri, "modelType": "mlflow_model"}})
    assert answer.status_code == 400
    assert "no MLmodel file" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "kind"), [("/models/no/versions/1", "no"), ("/data/no/versions/1", "no"), ("/codes/no/versions/1", "no"),
                       ("/environments/no", "no"), ("/jobs/no", "no")]
)  # fmt: skip
def test_what_is_not_there_is_a_404_that_names_it(ws: MlWorkspace, path: str, kind: str) -> None:
    answer = ws.rest("GET", path)
    assert answer.status_code == 404
    assert kind in answer.json()["error"]["message"]


def test_an_unknown_api_version_and_an_unknown_route_are_501(ws: MlWorkspace) -> None:
    assert ws.rest("GET", "/models", version="1999-01-01").status_code == 501
    answer = ws.rest("PATCH", "/models/churn/versions/1", {})
    assert answer.status_code == 501
    assert "PATCH" in answer.json()["error"]["message"]


def test_through_the_proxy_datastores_show_azures_names(ws: MlWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    ws.sandbox.use(monkeypatch, proxy=True)
    answer = requests.get(
        f"https://management.azure.com{ws.id}/datastores/workspaceblobstore?api-version=2024-04-01",
        headers={"Authorization": f"Bearer {ws.session.headers['Authorization'].partition(' ')[2]}"},
        timeout=10,
    )
    assert answer.json()["properties"]["accountName"] == ws.account
