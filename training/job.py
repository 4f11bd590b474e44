"""Training as an Azure ML pipeline on one of the stack's clusters: the pipelines of `training/pipelines`, filled in and submitted."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rollout.azure.quiet import quiet_sdk
from training.target import Target

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import PipelineJob

ROOT = Path(__file__).resolve().parent.parent
#: What the jobs' code asset holds: enough for `python -m training.steps.*`.
PACKAGES = ("training", "contract")
#: In order; the nodes of both pipelines.
STEPS = ("validate", "features", "train", "evaluate", "register", "prepare")
_COMPARING = ("validate", "evaluate")


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """One run: a table, a use case, and the stack that the model is for."""

    data: Path
    use_case: Path
    cluster: str
    target: Target
    register_as: str
    #: What serves now, e.g. "churn:3"; empty: nothing to compare with.
    baseline: str = ""
    sweep: bool = False
    tags: dict[str, str] = field(default_factory=dict)


def pipeline(request: TrainingRequest, folder: Path) -> PipelineJob:
    """The job to submit: train.yml or sweep.yml, loaded from a copy in `folder` that holds only what the steps need."""
    from azure.ai.ml import load_job

    stage_code(folder / "code")
    (folder / "target.json").write_text(request.target.model_dump_json(indent=2))
    file = folder / "code" / "training" / "pipelines" / ("sweep.yml" if request.sweep else "train.yml")
    with quiet_sdk():
        job = load_job(file, params_override=[*_changes(request, folder / "target.json")])
    return cast("PipelineJob", job)


def _changes(request: TrainingRequest, target: Path) -> Iterator[dict[str, Any]]:
    """What the request sets in the pipeline's file, as `az ml job create --set` would."""
    files = {"data": request.data, "use_case": request.use_case, "target": target}
    yield {f"inputs.{name}.path": str(path) for name, path in files.items()}
    # it stands in single quotes on a command line
    tags = json.dumps(request.tags, sort_keys=True).replace("'", "\\u0027")
    yield {"inputs.name": request.register_as, "inputs.tags": tags}
    yield {"settings.default_compute": f"azureml:{request.cluster}", "experiment_name": request.register_as}
    yield {"display_name": f"{request.register_as}-{request.target.stack}", "tags": request.tags}
    if request.baseline:
        model = {"type": "mlflow_model", "path": f"azureml:{request.baseline}"}
        yield {f"jobs.{node}.inputs.baseline": dict(model) for node in _COMPARING}
        yield {"jobs.evaluate.inputs.baseline_name": request.baseline}


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for what is uploaded with a job, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="training-") as folder:
        yield Path(folder)


def stage_code(folder: Path) -> None:
    """Just the packages that the steps need, so that the code's hash changes only with them."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))


def submit(client: MLClient, request: TrainingRequest) -> str:
    """Start the pipeline; its name."""
    with workshop() as folder:
        job = pipeline(request, folder)
        with quiet_sdk():
            return str(client.jobs.create_or_update(job).name)


def specification(request: TrainingRequest) -> dict[str, Any]:
    """The job as it would be submitted, without submitting it."""
    with workshop() as folder:
        document: dict[str, Any] = json.loads(json.dumps(pipeline(request, folder)._to_dict(), default=str))
        place = str(folder)
    text = json.dumps(document).replace(f"{place}/code", ".").replace(f"{place}/", "")
    made: dict[str, Any] = json.loads(text)
    return made
