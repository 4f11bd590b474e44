"""A model's way from training to the next stack: learned, registered, signed, promoted; the same bytes all along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from azure.core.exceptions import ResourceNotFoundError

from contract.outputs import StackOutputs
from contract.policy import Gates
from rollout.azure.cloud import cloud_from_environment
from rollout.cli import app
from rollout.models.signing import public_of
from tests.conftest import forget_consoles
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.ml_workspace import MlWorkspace
from tests.sandbox.ml_workspace import workspace as ml_workspace
from tests.sandbox.test_ml_registries import registry_client
from tests.training.conftest import CASE, FLOORS, customers
from tests.unit.cli_rig import outputs_document
from tests.unit.trust_rig import new_key
from training.steps.evaluate import evaluate
from training.steps.features import engineer
from training.steps.register import Application, Sources, register
from training.steps.train import train
from training.steps.validate import validate

pytestmark = pytest.mark.sandbox
REGISTRY = "story-models"
TAGS = {"environment": "dev", "git_commit": "0a1b2c3"}


@dataclass(frozen=True)
class Story:
    """Two stacks, each with a workspace, and the registry that they share."""

    dev: MlWorkspace
    folder: Path

    def outputs(self, name: str) -> str:
        return str(self.folder / f"{name}.json")

    def run(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """`rollout model ... --json`, its documents; the exit code has to be `code`."""
        import io
        from contextlib import redirect_stdout

        forget_consoles()
        with redirect_stdout(io.StringIO()) as printed:
            ended = app.run(["model", *words, "--json"])
        assert ended == code, printed.getvalue()
        return [json.loads(line) for line in printed.getvalue().splitlines() if line.startswith("{")]

    def blob(self, name: str) -> Any:
        """A file of the registered model, by the end of its path."""
        service = cloud_from_environment().blob_service(self.stack("dev"))
        container = service.get_container_client("azureml")
        found = [each.name for each in container.list_blobs() if each.name.endswith(f"/{name}")]
        assert len(found) == 1, found
        return container.get_blob_client(found[0])

    def stack(self, name: str) -> StackOutputs:
        return StackOutputs.model_validate_json(Path(self.outputs(name)).read_text())


def _write_outputs(base: MlWorkspace, environment: str, folder: Path, public: bytes) -> None:
    settings = base.sandbox.settings
    group, workspace = base.id.split("/")[4], base.id.split("/")[-1]
    document = outputs_document() | {
        "stack": environment,
        "environment": environment,
        "subscription_id": settings.subscription_id,
        "resource_group": group,
        "endpoints": {},
        "gates": Gates(**FLOORS).model_dump(),
        "model_registry": {"name": REGISTRY, "id": "/r", "resource_group": group, "owned": environment == "dev"},
        "model_trust": {"require_signed": environment == "staging", "public_keys": [public.decode()]},
        "workspace": {
            "name": workspace,
            "id": base.id,
            "principal_id": "p",
            "mlflow_tracking_uri": settings.url("mlflow"),
        },
    }
    document["storage"] |= {"account_name": base.account, "blob_endpoint": f"{settings.url('blob')}/{base.account}"}
    (folder / f"{environment}.json").write_text(json.dumps(document))


def _learn(folder: Path) -> None:
    """All steps of training, small, into the sandbox's MLflow."""
    table = folder / "customers.csv"
    customers().to_csv(table, index=False)
    validate(table, CASE, folder)
    with mlflow.start_run():
        engineer(folder / "validated_data", CASE, folder)
        train(folder / "engineered_features", CASE, FLOORS, folder)
        evaluate(folder / "trained_model", folder / "engineered_features", CASE, folder)
        register(Application(Sources.below(folder), "story", TAGS), CASE, Gates(**FLOORS, complete_card=True), folder)


@pytest.fixture(scope="module")
def story(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder, key = tmp_path_factory.mktemp("story"), new_key()
    with (
        pytest.MonkeyPatch.context() as patch,
        ml_workspace(sandbox, "story-dev") as dev,
        ml_workspace(sandbox, "story-staging") as staging,
        registry_client(dev, REGISTRY),
    ):
        before = mlflow.get_tracking_uri()
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("ROLLOUT_ACTOR", "alice")
        (folder / "key.pem").write_bytes(key)
        for base, environment in ((dev, "dev"), (staging, "staging")):
            _write_outputs(base, environment, folder, public_of(key))
        mlflow.set_tracking_uri(sandbox.settings.url("mlflow"))
        _learn(folder)
        yield Story(dev, folder)
        mlflow.set_tracking_uri(before)


def test_from_training_to_staging_as_the_same_bytes(story: Story, tmp_path: Path) -> None:
    dev, staging = ("--outputs", story.outputs("dev")), ("--outputs", story.outputs("staging"))
    (listed,) = story.run("list", "story", *dev)
    assert (listed["gates"], listed["semantic"], listed["stages"], listed["signed_by"]) == (
        "passed",
        "1.0.0",
        ["dev"],
        "",
    )

    promote = ("promote", "story:1", *dev, "--to", story.outputs("staging"), "--yes")
    story.run(*promote, code=7)  # staging takes no unsigned model
    (signed,) = story.run("sign", "story:1", *dev, "--key", str(story.folder / "key.pem"))
    (verified,) = story.run("verify", "story:1", *dev)
    assert (verified["digest"], verified["key"]) == (signed["files_hash"], signed["key"])

    (moved,) = story.run(*promote)
    assert (moved["files_hash"], moved["already"]) == (signed["files_hash"], False)
    (again,) = story.run(*promote)
    assert (again["already"], again["steps"]) == (True, [])

    (there,) = story.run("verify", "story:1", *staging, "--from-registry")
    assert there == verified | {"model": moved["shared"]}
    (shown,) = story.run("show", "story:1", *staging, "--from-registry")
    assert (shown["stages"], shown["tags"]["promoted_to_staging_by"]) == (["staging"], "alice")
    (card,) = story.run("card", "story:1", *staging, "--from-registry", "--out", str(tmp_path))
    assert "Retention" in (tmp_path / "model_card.md").read_text()
    assert len(card["files"]) == 2
    (same,) = story.run("compare", "story:1", moved["shared"], *staging)
    assert (same["schema"], {each["change"] for each in same["metrics"]}) == ([], {"+0.0000"})


def test_a_tampered_model_stays_where_it_is(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    dev = ("--outputs", story.outputs("dev"))
    blob = story.blob("python_env.yaml")
    content = blob.download_blob().readall()
    blob.upload_blob(content + b"\n# one line more", overwrite=True)
    try:
        story.run("verify", "story:1", *dev, code=7)
        assert "changed: python_env.yaml" in capsys.readouterr().err
        story.run("promote", "story:1", *dev, "--to", story.outputs("staging"), "--yes", code=7)
    finally:
        blob.upload_blob(content, overwrite=True)
    story.run("verify", "story:1", *dev)


def test_a_validation_measures_the_model_on_azures_server(story: Story, tmp_path: Path) -> None:
    staging = ("--outputs", story.outputs("staging"))
    report_to = ("--from-registry", "--against", "story:1", "--out", str(tmp_path))
    (report,) = story.run("validate", "story:1", *staging, *report_to)
    verdicts = {each["check"]: each["verdict"] for each in report["findings"]}
    assert {name for name, verdict in verdicts.items() if verdict == "pass"} >= {
        "metrics", "signature", "inputs", "pickles", "code", "model card", "speed and memory"
    }  # fmt: skip
    assert "fail" not in verdicts.values()
    seen = report["profile"]
    assert (seen["errors"], seen["requests"]) == (0, 200)
    assert 0 < seen["p50_ms"] <= seen["p95_ms"] <= seen["p99_ms"]
    assert seen["memory_mb"] > 20
    assert "story:1 for staging" in (tmp_path / "story-1-staging" / "model_validation.md").read_text()
    loads = story.run("profile", "story:1", *staging, "--from-registry", "--rows", "1,100", "--requests", "40")
    assert [(each["rows"], each["concurrency"]) for each in loads] == [(1, 1), (1, 8), (100, 1), (100, 8)]


def test_what_is_not_there_is_told_with_what_is(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    story.run("show", "story:9", "--outputs", story.outputs("dev"), code=6)
    assert "its versions: 1" in capsys.readouterr().err
    with pytest.raises(ResourceNotFoundError):
        story.dev.client.models.get("story", "9")
