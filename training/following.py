"""Following a training pipeline: which step is where, what it found, and why one failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.azure.errors import azure_errors
from rollout.azure.quiet import quiet_sdk
from rollout.errors import BadInput, GateFailed, RolloutError, Unavailable
from training.job import STEPS
from training.reading import VERDICT_FILE, figures, shortfalls, table_findings

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.storage.blob import BlobServiceClient

ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
BLOBS, ARTIFACTS = "workspaceblobstore", "workspaceartifactstore"
POLL_SECONDS = 1.0
LONGEST_SECONDS = 4 * 3600.0
_LOG_LINES = 15
#: Outputs that are the pipeline's own, by the step that writes them.
_PARENTS = {"register": "registered", "prepare": "deployment"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it is now. `job`: its Azure ML name, empty until it is submitted."""

    name: str
    status: str = "Waiting"
    job: str = ""
    seconds: float = 0.0
    figures: Mapping[str, str] = field(default_factory=dict)


class JobFiles:
    """What the steps of one pipeline have written, read from the workspace's storage one file at a time."""

    def __init__(self, client: MLClient, blobs: BlobServiceClient, pipeline: str) -> None:
        self._client, self._blobs, self._pipeline = client, blobs, pipeline
        self._containers: dict[str, str] = {}

    def read(self, step: Step, file: str) -> str | None:
        """A file of the step's output; None when it wrote none."""
        return self._text(BLOBS, f"{self._place(step)}/{file}")

    def log(self, step: Step) -> str:
        """The end of what the step printed."""
        text = self._text(ARTIFACTS, f"ExperimentRun/dcid.{step.job}/user_logs/std_log.txt") or ""
        return "\n".join(text.splitlines()[-_LOG_LINES:])

    def save(self, step: Step, folder: Path) -> list[Path]:
        """Copy the step's output into `folder`."""
        return list(self._save(step, folder))

    def _save(self, step: Step, folder: Path) -> Iterator[Path]:
        prefix = f"{self._place(step)}/"
        container = self._blobs.get_container_client(self._container(BLOBS))
        with azure_errors(f"read what step {step.name} wrote"):
            for blob in container.list_blobs(name_starts_with=prefix):
                target = folder / blob.name.removeprefix(prefix)
                if not target.resolve().is_relative_to(folder.resolve()):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(container.download_blob(blob.name).readall())
                yield target

    def _place(self, step: Step) -> str:
        own = _PARENTS.get(step.name)
        return f"azureml/{self._pipeline}/{own}" if own else f"azureml/{step.job}/output"

    def _text(self, datastore: str, name: str) -> str | None:
        from azure.core.exceptions import ResourceNotFoundError

        with azure_errors(f"read {name}"):
            blob = self._blobs.get_blob_client(self._container(datastore), name)
            try:
                return blob.download_blob().readall().decode("utf-8", "replace")
            except ResourceNotFoundError:
                return None

    def _container(self, datastore: str) -> str:
        if datastore not in self._containers:
            with quiet_sdk(), azure_errors(f"read datastore {datastore}"):
                self._containers[datastore] = str(self._client.datastores.get(datastore).container_name)
        return self._containers[datastore]


def follow(client: MLClient, files: JobFiles, job: str, heard: Callable[[Step], None]) -> dict[str, Step]:
    """Wait for the pipeline's end; `heard` is told of each change of a step. Raises what made it fail."""
    steps, began = {name: Step(name) for name in STEPS}, dict[str, float]()
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        with azure_errors(f"read job {job}"), quiet_sdk():
            status = _text(client.jobs.get(job).status)
            changed = _changed(client, job, steps, began)
        for step in changed:
            if step.status in ENDED:
                step = replace(step, figures=figures(step.name, lambda file, step=step: files.read(step, file)))  # type: ignore[misc]
            steps[step.name] = step
            heard(step)
        if status in ENDED:
            break
        if time.monotonic() > deadline:
            raise Unavailable(f"training {job} is still {status} after {LONGEST_SECONDS:.0f} s", way_out=log_hint(job))
        time.sleep(POLL_SECONDS)
    if status != "Completed":
        raise _failure(job, status, steps, files)
    return steps


def log_hint(job: str) -> str:
    return f"it goes on without you; read its log: az ml job stream --name {job}"


def _changed(client: MLClient, job: str, steps: Mapping[str, Step], began: dict[str, float]) -> list[Step]:
    changed = []
    for child in client.jobs.list(parent_job_name=job):
        name, status = str(child.display_name), _text(child.status)
        if name not in steps or steps[name].status == status:
            continue
        began.setdefault(name, time.monotonic())
        changed.append(replace(steps[name], status=status, job=child.name, seconds=time.monotonic() - began[name]))
    return sorted(changed, key=lambda step: STEPS.index(step.name))


def _text(status: object) -> str:
    return str(getattr(status, "value", status))


def _failure(job: str, status: str, steps: Mapping[str, Step], files: JobFiles) -> RolloutError:
    """Why the pipeline did not complete, in words of the step that failed."""
    failed = next((step for step in steps.values() if step.status == "Failed"), None)
    if failed is None:
        return RolloutError(f"training {job} ended {status}", way_out=f"az ml job show --name {job}")
    if failed.name == "register" and (missed := shortfalls(files.read(failed, VERDICT_FILE))):
        lines = "\n".join(f"  {each}" for each in missed)
        return GateFailed(
            f"the model misses {len(missed)} gate{'s' * (len(missed) > 1)}; nothing was registered\n{lines}",
            way_out="what to try stands behind each gate; the model card tells the rest",
        )
    if failed.name == "validate" and (found := table_findings(files.read(failed, "validation_report.json"))):
        lines = "\n".join(f"  {each}" for each in found)
        return BadInput(
            f"no model should learn from this table; nothing was registered\n{lines}", way_out="mend the table"
        )
    said = files.log(failed) or "(it printed nothing)"
    done = "the model is registered" if steps["register"].status == "Completed" else "nothing was registered"
    return RolloutError(
        f"step {failed.name} failed; {done}\n{said}",
        way_out=f"run it here: python -m training.steps.{failed.name} --help; all of its log: az ml job stream --name {failed.job}",
    )
