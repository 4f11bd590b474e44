"""Training as an Azure ML command job on one of the stack's clusters."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.policy import Gates
from rollout.azure.quiet import quiet_sdk
from rollout.errors import GateFailed, RolloutError, Unavailable
from training.result import RESULT_FILE, TrainingResult

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from training.model import Kind, UnknownCategories

ROOT = Path(__file__).resolve().parent.parent
#: What the job's code asset holds: enough for `python -m training.run`.
PACKAGES = ("training", "contract")
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """One run: a table, a use case, an estimator, and the gates of the stack that the model is for."""

    data: Path
    use_case: str
    cluster: str
    gates: Gates
    register_as: str
    kind: Kind = "xgboost"
    params: dict[str, Any] = field(default_factory=dict)
    unknown_categories: UnknownCategories = "ignore"
    tags: dict[str, str] = field(default_factory=dict)


def train(client: MLClient, request: TrainingRequest, on_status: Callable[[str, str], None]) -> TrainingResult:
    """Submit, wait, and read the result; `on_status(job, status)` hears of each change.

    Raises GateFailed with the shortfalls, RolloutError with the end of the log when the job fails otherwise.
    """
    with staged_code() as code, quiet_sdk():
        job = client.jobs.create_or_update(_command(request, code))
    status = _wait(client, job.name, on_status)
    result = _result(client, job.name)
    if result is None:
        raise RolloutError(f"training job {job.name} ended {status} without a result", way_out=log_hint(job.name))
    if result.shortfalls:
        raise GateFailed(
            f"the gates refused the model of job {job.name}: " + "; ".join(result.shortfalls),
            way_out="train with other parameters or more data; nothing was registered",
        )
    return result


def log_hint(job: str) -> str:
    return f"read its log: az ml job stream --name {job}"


def command_line(request: TrainingRequest) -> str:
    """What the job runs; data and output are filled in by Azure ML."""
    options = {
        "--use-case": request.use_case,
        "--kind": request.kind,
        "--params": json.dumps(request.params),
        "--unknown-categories": request.unknown_categories,
        "--gates": request.gates.model_dump_json(),
        "--register-as": request.register_as,
    }
    words = [word for pair in options.items() for word in pair]
    words += [word for key, value in request.tags.items() for word in ("--tag", f"{key}={value}")]
    return f"python -m training.run --data ${{{{inputs.data}}}} --output ${{{{outputs.report}}}} {shlex.join(words)}"


@contextmanager
def staged_code() -> Iterator[Path]:
    """A folder with just the packages that the job needs, so that its hash changes only with them."""
    with tempfile.TemporaryDirectory(prefix="training-code-") as folder:
        for package in PACKAGES:
            shutil.copytree(ROOT / package, Path(folder) / package, ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder)


def _command(request: TrainingRequest, code: Path) -> Any:
    from azure.ai.ml import Input, Output, command
    from azure.ai.ml.entities import Environment

    return command(
        code=str(code),
        command=command_line(request),
        inputs={"data": Input(type="uri_file", path=str(request.data))},
        outputs={"report": Output(type="uri_folder")},
        environment=Environment(name="training", image=IMAGE, conda_file=str(ROOT / "training" / "conda.yaml")),
        compute=request.cluster,
        experiment_name=request.use_case,
        display_name=f"{request.use_case}-{request.kind}",
        tags=request.tags,
    )


def _wait(client: MLClient, name: str, on_status: Callable[[str, str], None], limit_seconds: float = 3600) -> str:
    deadline, last = time.monotonic() + limit_seconds, ""
    while True:
        status = client.jobs.get(name).status
        status = str(getattr(status, "value", status))
        if status != last:
            on_status(name, status)
            last = status
        if status in ENDED:
            return status
        if time.monotonic() > deadline:
            raise Unavailable(
                f"training job {name} is still {status} after {limit_seconds:.0f} s", way_out=log_hint(name)
            )
        time.sleep(POLL_SECONDS)


def _result(client: MLClient, name: str) -> TrainingResult | None:
    """The job's result file; None when it left none (it failed before the evaluation)."""
    with tempfile.TemporaryDirectory(prefix="training-result-") as folder:
        with quiet_sdk():
            client.jobs.download(name, download_path=folder, output_name="report")
        files = sorted(Path(folder).rglob(RESULT_FILE))
        return TrainingResult.model_validate_json(files[0].read_text()) if files else None
