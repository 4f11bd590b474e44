"""A custom container as a deployment: azure-ai-ml sends model and build context, and the endpoint scores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.kernel.errors import AzureError
from sandbox.ml.serving.image import Routes, read_image
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import workspace
from tests.sandbox.scoring import Workspace
from tests.training.models import Trained, trained_customers
from training.container.context import write_context
from training.onnx.convert import convert

ROW = {"area": "north", "email": "ada@example.com", "charge": 61.5, "calls": 2, "months": 7}
DOCKERFILE = """
ARG BASE=python:3.11.13-slim
FROM ${BASE}
ENV PORT=8080 \\
    MODE=fast
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
USER 1000
ENTRYPOINT ["python", "-m", "app"]
CMD ["--quiet"]
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained_customers(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def place(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with workspace(sandbox, "container-live") as base:
        yield Workspace(base, tmp_path_factory.mktemp("files"))


def load(context: Path, **changes: str) -> Any:
    """The deployment that ships with the image."""
    from azure.ai.ml import load_online_deployment

    overrides = [{name: value} for name, value in changes.items()]
    return load_online_deployment(str(context / "deployment.yaml"), params_override=overrides)


@pytest.mark.sandbox
def test_the_deployment_that_ships_with_the_image_scores_behind_the_endpoint(
    place: Workspace, trained: Trained, tmp_path: Path
) -> None:
    from azure.ai.ml.entities import Model

    model = convert(trained.folder, tmp_path / "model")
    context = write_context(model, tmp_path / "image")
    place.client.models.create_or_update(Model(name="churn", version="3", path=str(model), type="mlflow_model"))
    place.put_endpoint("contained")
    deployment = load(context, endpoint_name="contained", model="azureml:churn:3")
    deployment.environment_variables = {"WORKER_COUNT": "1"}
    place.deploy(deployment)
    place.set_traffic("contained", onnx=100)
    answer = place.score("contained", body={"input_data": [ROW]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["probabilities"][0] == pytest.approx(trained.probabilities([ROW])[0], abs=1e-6)
    assert answer.json()["model"] == {"name": "churn", "version": "3", "hash": trained.model_hash, "runtime": "onnx"}
    wrong = place.score("contained", body={"input_data": [{**ROW, "charge": "much"}]})
    assert (wrong.status_code, wrong.headers["ms-azureml-model-error-statuscode"]) == (424, "422")
    logs = place.client.online_deployments.get_logs("onnx", "contained", 50, container_type="storage-initializer")
    assert "no Docker here: runs as a process: python -m training.container" in logs


def written(folder: Path, text: str, requirements: str = "starlette==1.10.0  # why\n") -> Path:
    (folder / "requirements.txt").write_text(requirements)
    (folder / "Dockerfile").write_text(text)
    return folder


def test_a_dockerfile_says_what_the_process_needs(tmp_path: Path) -> None:
    image = read_image(written(tmp_path, DOCKERFILE), "Dockerfile")
    assert image.environment.requirements == ("starlette==1.10.0",)
    assert image.environment.python == "3.11"
    assert image.variables == {"PORT": "8080", "MODE": "fast"}
    assert image.command == ("python", "-m", "app", "--quiet")


def test_hashes_of_a_lock_are_kept(tmp_path: Path) -> None:
    lock = "a==1 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n    # via b\nb==2 --hash=sha256:2\n"
    image = read_image(written(tmp_path, DOCKERFILE, lock), "Dockerfile")
    assert image.environment.requirements == ("a==1 --hash=sha256:0 --hash=sha256:1", "b==2 --hash=sha256:2")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("FROM ubuntu:24.04", r"FROM \S+"),
        ("RUN apt-get install -y curl", r"RUN .*"),
        ("RUN pip install -r elsewhere.txt", r"RUN .*"),
        ("COPY requirements.txt /opt/other/", r"COPY .*"),
        ("COPY --from=build /app .", r"COPY .*"),
        ("ENTRYPOINT python -m app", r"ENTRYPOINT .*"),
        ("ADD https://example.com/x .", r"USER .*"),
        ("ENV MODE=fast", r"ENV (.|\n)*fast"),
    ],
)
def test_what_can_not_be_done_without_docker_is_refused_by_its_line(wrong: str, right: str, tmp_path: Path) -> None:
    with pytest.raises(AzureError) as refused:
        read_image(written(tmp_path, re.sub(right, wrong, DOCKERFILE, count=1)), "Dockerfile")
    assert refused.value.status == 501
    assert wrong.split()[-1].rstrip(".") in refused.value.message or "ENV PORT" in refused.value.message


def test_a_context_without_dockerfile_or_entry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AzureError, match="has no 'Dockerfile'"):
        read_image(tmp_path, "Dockerfile")
    with pytest.raises(AzureError, match="neither ENTRYPOINT nor CMD"):
        read_image(written(tmp_path, re.sub(r"(ENTRYPOINT|CMD).*", "", DOCKERFILE)), "Dockerfile")


def test_routes_are_those_of_the_environment() -> None:
    route = {"port": 8080, "path": "/up"}
    score = {"port": 8080, "path": "/score"}
    found = Routes.read({"livenessRoute": route, "readinessRoute": {**route, "path": "/r"}, "scoringRoute": score})
    assert (found.live, found.ready) == ("/up", "/r")
    with pytest.raises(AzureError, match="livenessRoute needs port and path"):
        Routes.read({"readinessRoute": route, "scoringRoute": score})
    with pytest.raises(AzureError, match="/predict"):
        Routes.read(
            dict.fromkeys(("livenessRoute", "readinessRoute"), route) | {"scoringRoute": {**route, "path": "/predict"}}
        )
