"""MLflow and azure-ai-ml see the same models: trained in a job, registered with MLflow, deployed from the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from sandbox.kernel.settings import new_settings
from sandbox.mlflow.server import command
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace, workspace, write_mlflow_model
from tests.sandbox.test_ml_jobs import ENDED, submit, until

pytestmark = pytest.mark.sandbox

CONDA = (
    "dependencies:\n- python=3.11\n- pip:\n"
    "  - mlflow-skinny==3.17.2\n  - xgboost-cpu==3.2.0\n  - scikit-learn\n  - pandas<3\n"
)
TRAIN = """
import mlflow, numpy
from xgboost import XGBClassifier
rows = numpy.random.default_rng(0).normal(size=(200, 3))
model = XGBClassifier(n_estimators=5).fit(rows, rows[:, 0] > 0)
with mlflow.start_run():
    mlflow.log_metric("auc", 0.9)
    mlflow.xgboost.log_model(model, name="model", input_example=None, registered_model_name="trained")
mlflow.MlflowClient().set_model_version_tag("trained", "1", "gate", "passed")
"""


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox) -> Iterator[MlWorkspace]:
    with workspace(sandbox, "mlflow") as made:
        yield made


def api(ws: MlWorkspace, method: str, path: str, **body: object) -> dict:
    url = f"{ws.sandbox.settings.url('mlflow')}/api/2.0/mlflow/{path}"
    arguments = {"params": body} if method == "GET" else {"json": body}
    answer = requests.request(method, url, timeout=30, **arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()


def logged(ws: MlWorkspace) -> dict[str, str]:
    """A run with a model among its artifacts, as MLflow's registry wants it."""
    run = api(ws, "POST", "runs/create", experiment_id="0")["run"]["info"]
    root = run["artifact_uri"].partition(":/")[2].lstrip("/")
    url = f"{ws.sandbox.settings.url('mlflow')}/api/2.0/mlflow-artifacts/artifacts/{root}/model/MLmodel"
    assert requests.put(url, data=b"flavors:\n  python_function: {}\n", timeout=10).ok
    return {"run_id": run["run_id"], "source": f"{run['artifact_uri']}/model"}


def test_the_server_listens_on_loopback_alone(tmp_path: Path) -> None:
    settings = new_settings(now=0.0)
    line = command(tmp_path, settings)
    assert line[-1] == str(settings.ports["mlflow"])
    assert "0.0.0.0" not in " ".join(line)


def test_the_server_refuses_foreign_host_names(ws: MlWorkspace) -> None:
    url = f"{ws.sandbox.settings.url('mlflow')}/api/2.0/mlflow/experiments/search"
    answer = requests.post(url, json={"max_results": 1}, headers={"Host": "evil.example"}, timeout=10)
    assert answer.status_code == 403


def test_a_job_trains_xgboost_and_registers_it_and_the_workspace_has_the_model(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.entities import Environment

    (tmp_path / "conda.yaml").write_text(CONDA)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/train.py").write_text(TRAIN)
    environment = Environment(name="xgb", image="ubuntu", conda_file=str(tmp_path / "conda.yaml"))
    job = submit(ws, environment, "python train.py", code=str(tmp_path / "code"))
    status = until(ws, job.name, *ENDED, seconds=240)
    ws.client.jobs.download(job.name, download_path=tmp_path / "logs")
    assert status == "Completed", (tmp_path / "logs/artifacts/user_logs/std_log.txt").read_text()

    model = ws.client.models.get("trained", version="1")
    assert model.type == "mlflow_model"
    assert "xgboost" in model.flavors
    assert model.tags == {"gate": "passed"}
    assert ws.client.models.get("trained", label="latest").version == "1"
    ws.client.models.download("trained", "1", download_path=str(tmp_path / "back"))
    assert (tmp_path / "back/trained/model/MLmodel").is_file()

    run = api(ws, "GET", "runs/get", run_id=ws.client.jobs.get(job.name).properties["mlflow.runId"])["run"]
    assert run["info"]["status"] == "FINISHED"
    assert {metric["key"]: metric["value"] for metric in run["data"]["metrics"]} == {"auc": 0.9}


def test_versions_of_both_sides_share_one_count(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.entities import Model

    def azure(version: str | None = None) -> str:
        folder = write_mlflow_model(tmp_path / f"m{len(list(tmp_path.iterdir()))}")
        made = ws.client.models.create_or_update(
            Model(name="both", version=version, path=str(folder), type="mlflow_model")
        )
        return str(made.version)

    def mlflow() -> str:
        made = api(ws, "POST", "model-versions/create", name="both", **logged(ws))
        return str(made["model_version"]["version"])

    assert [azure(), mlflow(), azure(), mlflow(), azure("8"), mlflow(), azure()] == ["1", "2", "3", "4", "8", "9", "10"]
    assert [each.version for each in ws.client.models.list("both")] == ["10", "9", "8", "4", "3", "2", "1"]


def test_a_model_from_azure_can_be_loaded_and_tagged_through_mlflow(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.entities import Model

    folder = write_mlflow_model(tmp_path / "shared")
    ws.client.models.create_or_update(Model(name="shared", path=str(folder), type="mlflow_model", tags={"a": "1"}))
    uri = api(ws, "GET", "model-versions/get-download-uri", name="shared", version="1")["artifact_uri"]
    path = uri.partition(":/")[2].lstrip("/")
    url = f"{ws.sandbox.settings.url('mlflow')}/api/2.0/mlflow-artifacts/artifacts/{path}/model.pkl"
    assert requests.get(url, timeout=10).content == b"weights"

    api(ws, "POST", "model-versions/set-tag", name="shared", version="1", key="b", value="2")
    assert ws.client.models.get("shared", version="1").tags == {"a": "1", "b": "2"}


def test_tags_that_azure_changes_on_a_model_of_mlflow_are_mlflows(ws: MlWorkspace) -> None:
    api(ws, "POST", "registered-models/create", name="native")
    api(ws, "POST", "model-versions/create", name="native", **logged(ws))
    model = ws.client.models.get("native", version="1")
    assert model.type == "mlflow_model"
    model.tags, model.description = {"stage": "prod"}, "the one"
    ws.client.models.create_or_update(model)
    entry = api(ws, "GET", "model-versions/get", name="native", version="1")["model_version"]
    assert (entry["description"], entry["tags"]) == ("the one", [{"key": "stage", "value": "prod"}])


def test_a_model_may_come_from_a_run(ws: MlWorkspace) -> None:
    from azure.ai.ml.entities import Model

    made = ws.client.models.create_or_update(
        Model(name="of-run", path=f"runs:/{logged(ws)['run_id']}/model", type="mlflow_model")
    )
    assert set(made.flavors) == {"python_function"}
