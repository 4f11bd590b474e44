"""Batch endpoints by the unmodified azure-ai-ml: mini batches over processes, retries, thresholds, downloads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.jobs import environment, pool, run, until
from tests.sandbox.ml_workspace import MlWorkspace, workspace

pytestmark = pytest.mark.sandbox

#: What it does with a file is written into the file.
SCORER = """
import os, pathlib, time
def init():
    global model
    model = (pathlib.Path(os.environ["AZUREML_MODEL_DIR"]) / "weights.txt").read_text()
    pathlib.Path(os.environ["MARKS"], f"init-{os.getpid()}").touch()
def run(mini_batch):
    assert all(os.path.isabs(path) for path in mini_batch)
    answers = []
    for path in map(pathlib.Path, mini_batch):
        order = path.read_text().strip()
        once = pathlib.Path(os.environ["MARKS"], path.name)
        if order == "die once" and not once.exists():
            once.touch()
            os._exit(3)
        if order == "hang once" and not once.exists():
            once.touch()
            time.sleep(60)
        if order == "fail":
            raise ValueError(f"{path.name} is not readable")
        if order != "skip":
            answers.append(f"{path.name} {model} {order}")
    time.sleep(0.2)
    return answers
"""


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox) -> Iterator[MlWorkspace]:
    with workspace(sandbox, "ws-batch") as made:
        pool(made, "pool", 2)
        yield made


class Shop:
    """One endpoint, and how its deployments are made."""

    def __init__(self, ws: MlWorkspace, folder: Path) -> None:
        from azure.ai.ml.entities import BatchEndpoint, Model

        self.ws, self.folder, self.marks = ws, folder, folder / "marks"
        self.marks.mkdir()
        (folder / "weights.txt").write_text("w7")
        self.code = folder / "code"
        self.code.mkdir()
        (self.code / "score.py").write_text(SCORER)
        self.model = ws.client.models.create_or_update(
            Model(name="tiny", version="1", path=str(folder / "weights.txt"))
        )
        ws.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name="tiny-batch")).result()

    def deploy(self, name: str, *, default: bool = True, script: str = "score.py", **settings: Any) -> Any:
        from azure.ai.ml.entities import (
            BatchRetrySettings,
            CodeConfiguration,
            ModelBatchDeployment,
            ModelBatchDeploymentSettings,
        )

        retry = BatchRetrySettings(max_retries=settings.pop("retries", 1), timeout=settings.pop("timeout", 20))
        deployment = ModelBatchDeployment(
            name=name, endpoint_name="tiny-batch", model=f"azureml:tiny:{self.model.version}",
            code_configuration=CodeConfiguration(code=str(self.code), scoring_script=script),
            environment=environment(self.folder), compute="pool",
            settings=ModelBatchDeploymentSettings(
                retry_settings=retry, environment_variables={"MARKS": str(self.marks)},
                **{"mini_batch_size": 1, "instance_count": 1, "output_action": "append_row", **settings},
            ),
        )  # fmt: skip
        client = self.ws.client
        client.batch_deployments.begin_create_or_update(deployment, skip_script_validation=True).result()
        if default:
            endpoint = client.batch_endpoints.get("tiny-batch")
            endpoint.defaults = {"deployment_name": name}
            client.batch_endpoints.begin_create_or_update(endpoint).result()
        return client.batch_deployments.get(name, "tiny-batch")

    def invoke(self, *orders: str) -> str:
        from azure.ai.ml import Input

        folder = self.folder / f"rows-{time.monotonic_ns()}"
        folder.mkdir()
        for number, order in enumerate(orders):
            (folder / f"f{number:02}.txt").write_text(f"{order}\n")
        job = self.ws.client.batch_endpoints.invoke("tiny-batch", input=Input(type="uri_folder", path=str(folder)))
        return str(job.name)

    def predictions(self, job: str) -> list[str]:
        target = self.folder / job
        self.ws.client.jobs.download(job, download_path=str(target), output_name="score")
        return sorted((target / "predictions.csv").read_text().splitlines())

    def log(self, job: str) -> str:
        child = run(self.ws, job, "/children")["value"][0]["runId"]
        link = run(self.ws, child, "/details")["logFiles"]["logs/job_progress_overview.txt"]
        return str(self.ws.session.get(link, headers={"Authorization": ""}, timeout=10).text)


@pytest.fixture(scope="module")
def shop(ws: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(ws, tmp_path_factory.mktemp("shop"))


def test_an_endpoint_without_deployment_is_not_invoked(shop: Shop) -> None:
    with pytest.raises(Exception, match="no default deployment"):
        shop.invoke("a")


def test_files_are_scored_in_mini_batches_by_the_clusters_nodes(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    made = shop.deploy("v1", instance_count=2, max_concurrency_per_instance=2, mini_batch_size=2)
    assert (made.provisioning_state, made.mini_batch_size, made.instance_count) == ("Succeeded", 2, 2)
    job = shop.invoke(*(f"row {number}" for number in range(9)))
    shop.ws.client.jobs.stream(job)
    assert "Completing processing run id" in capsys.readouterr().out
    assert shop.predictions(job) == [f"f{number:02}.txt w7 row {number}" for number in range(9)]
    assert "5 of 5 mini batches processed, 0 failed; 0 of 9 files failed; 9 items" in shop.log(job)
    assert len(list(shop.marks.glob("init-*"))) == 4, "two nodes with two processes each"
    shown = shop.ws.client.jobs.get(job)
    assert shown.tags["azureml.deploymentname"] == "v1"
    assert [each.name for each in shop.ws.client.batch_endpoints.list_jobs("tiny-batch")] == [job]
    assert [each.name for each in shop.ws.client.batch_deployments.list_jobs("tiny-batch", name="v1")] == [job]


def test_a_process_that_dies_or_hangs_is_replaced_and_loses_nothing(shop: Shop) -> None:
    shop.deploy("v2", timeout=2)
    job = shop.invoke("die once", "ok", "hang once", "ok")
    until(shop.ws, job, "Completed")
    assert len(shop.predictions(job)) == 4
    log = shop.log(job)
    assert "the process ended in run() with code 3" in log
    assert "run() took longer than 2 s" in log


def test_failed_files_are_counted_up_to_the_threshold(shop: Shop) -> None:
    shop.deploy("v3", retries=0, error_threshold=1)
    job = shop.invoke("fail", "ok", "ok")
    until(shop.ws, job, "Completed")
    assert len(shop.predictions(job)) == 2
    assert "f00.txt is not readable" in shop.log(job)
    job = shop.invoke("fail", "ok", "skip", "ok", "ok")
    until(shop.ws, job, "Failed")
    child = run(shop.ws, job, "/children")["value"][0]
    assert "2 files failed, more than the error threshold of 1" in child["error"]["error"]["message"]


def test_a_script_that_does_not_start_fails_the_job_and_says_why(shop: Shop) -> None:
    (shop.code / "broken.py").write_text(
        "def init():\n    raise OSError('no weights')\ndef run(files):\n    return files\n"
    )
    shop.deploy("v4", script="broken.py")
    job = shop.invoke("ok")
    until(shop.ws, job, "Failed")
    assert "no weights" in run(shop.ws, job, "/children")["value"][0]["error"]["error"]["message"]


def test_what_a_deployment_needs_is_checked_before_it_is_made(shop: Shop) -> None:
    from azure.ai.ml.entities import ModelBatchDeployment

    def deploy(**changed: Any) -> None:
        given = {"name": "v5", "endpoint_name": "tiny-batch", "model": "azureml:tiny:1", "compute": "pool", **changed}
        shop.ws.client.batch_deployments.begin_create_or_update(ModelBatchDeployment(**given)).result()

    with pytest.raises(Exception, match="no such compute"):
        deploy(compute="gone")
    with pytest.raises(Exception, match="not one of the workspace's models"):
        deploy(model="azureml:tiny:99")
    with pytest.raises(Exception, match="default deployment"):
        shop.ws.client.batch_deployments.begin_delete("v4", "tiny-batch").result()
