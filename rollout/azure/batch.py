"""One batch endpoint: its deployments, which of them is the default, and its jobs.

Deployments and invocations go through azure-ai-ml; what is only looked at is read by plain GETs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.azure.errors import azure_errors, waiting_while_busy
from rollout.azure.quiet import quiet_sdk
from rollout.azure.specs import BASE_IMAGE, CONDA_FILES, SPEC_TAG, check_model_name, code_digest
from rollout.errors import BadInput, NotFound, RolloutError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import ModelBatchDeployment

    from contract.outputs import BatchEndpoint
    from rollout.azure.arm import ArmReader

API_VERSION = "2024-04-01"
#: On a deployment: which was the default before it.
PREVIOUS_TAG = "rollout.previous"
COLUMNS_TAG = "rollout.columns"
SCRIPTS = ("batch_score.py", "score.py")
#: Azure refuses longer values of tags.
_TAG_LENGTH = 256
_SDK_PROPERTIES = ("createdBy", "createdAt", "lastModifiedAt")


@dataclass(frozen=True, slots=True)
class LiveBatch:
    """A deployment as the service shows it."""

    name: str
    model: str
    state: str
    default: bool
    previous: str
    instances: int


@dataclass(frozen=True, slots=True)
class BatchSpec:
    """What `deploy` makes. `code`: a folder with a batch script and a conda file; None: Azure's own for MLflow models."""

    model: str
    code: Path | None

    def name(self, mark: str) -> str:
        """Of the deployment: the model's, and what tells specs of one model apart."""
        model, version = check_model_name(self.model)
        head = re.sub(r"[^A-Za-z0-9]+", "-", f"{model}-{version}").strip("-")
        return f"{head[:25].rstrip('-')}-{mark[:6]}"


class AzureBatch:
    """One batch endpoint of a stack."""

    def __init__(self, endpoint: BatchEndpoint, arm: ArmReader, client: Callable[[], MLClient]) -> None:
        self.endpoint, self._arm, self._ml_client = endpoint, arm, client

    @property
    def _client(self) -> MLClient:
        return self._ml_client()

    def live(self) -> list[LiveBatch]:
        """The deployments, the default first; `NotFound` when the endpoint is missing."""
        doing = f"read batch endpoint {self.endpoint.name!r}"
        properties = self._arm.get(self.endpoint.id, API_VERSION, doing)["properties"]
        default = str((properties.get("defaults") or {}).get("deploymentName") or "")
        found = self._arm.children(self.endpoint.id, "deployments", API_VERSION, doing)
        return sorted((_live(each, default) for each in found), key=lambda each: (not each.default, each.name))

    def default(self) -> LiveBatch:
        """The deployment that scores; `NotFound` when there is none."""
        for each in self.live():
            if each.default:
                return each
        raise NotFound(
            f"batch endpoint {self.endpoint.name!r} has no default deployment",
            way_out="rollout batch deploy ENDPOINT --model NAME:VERSION",
        )

    def mark(self, spec: BatchSpec) -> str:
        """The same for the same model, code and settings."""
        made = [spec.model, code_digest(str(spec.code) if spec.code else None), self.endpoint.deployment.model_dump()]
        return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]

    def deploy(self, spec: BatchSpec) -> tuple[str, str]:
        """Make it and make it the default; its name, and the earlier default's. Safe to repeat."""
        mark = self.mark(spec)
        name, live = spec.name(mark), {each.name: each for each in self.live()}
        before = next((each.name for each in live.values() if each.default), "")
        if before == name and live[name].state == "Succeeded":
            return name, live[name].previous
        previous = before if before != name else live[name].previous
        deployment = self._deployment(spec, name, {SPEC_TAG: mark, PREVIOUS_TAG: previous})

        def call() -> None:
            with quiet_sdk(), azure_errors(f"deploy {spec.model} as {name!r} to {self.endpoint.name!r}"):
                self._client.batch_deployments.begin_create_or_update(deployment, skip_script_validation=True).result()

        waiting_while_busy(call)
        state = next((each.state for each in self.live() if each.name == name), "gone")
        if state != "Succeeded":
            raise RolloutError(f"deployment {name!r} ended as {state}", way_out="read its log in Azure ML studio")
        self._make_default(name)
        return name, previous

    def undo(self) -> tuple[str, str]:
        """Make the earlier deployment the default again; its name, and the name of what was the default."""
        live = {each.name: each for each in self.live()}
        now = self.default()
        if not now.previous or now.previous not in live:
            raise BadInput(
                f"batch endpoint {self.endpoint.name!r}: there is no deployment before {now.name!r}",
                way_out=f"it has: {', '.join(sorted(live))}",
            )
        self._make_default(now.previous)
        return now.previous, now.name

    def invoke(self, folder: Path) -> str:
        """Send the folder's files to the default deployment; the job's name."""
        from azure.ai.ml import Input

        # A pinned deployment would stick to every later call of the SDK, so none is named.
        with quiet_sdk(), azure_errors(f"invoke batch endpoint {self.endpoint.name!r}"):
            job = self._client.batch_endpoints.invoke(
                self.endpoint.name, input=Input(type="uri_folder", path=str(folder.resolve()))
            )
        return str(job.name)

    def status(self, job: str) -> tuple[str, str]:
        """A job's status and the address of what it read."""
        with quiet_sdk(), azure_errors(f"read job {job!r}"):
            found = self._client.jobs.get(job)
        inputs = [str(getattr(each, "path", "") or "") for each in (getattr(found, "inputs", None) or {}).values()]
        return str(getattr(found.status, "value", found.status)), next(iter(inputs), "")

    def download(self, job: str, folder: Path) -> Path:
        """The file with the predictions; `NotFound` when the job made none."""
        with quiet_sdk(), azure_errors(f"download the predictions of job {job!r}"):
            self._client.jobs.download(job, download_path=str(folder), output_name="score")
        name = self.endpoint.deployment.output_file
        found = next(iter(sorted(folder.rglob(name))), None)
        if found is None:
            raise NotFound(f"job {job!r} left no {name}", way_out=f"read its log: az ml job stream --name {job}")
        return found

    def model(self, model: str, folder: Path) -> Path:
        """The model's files; `NotFound` when it is not registered."""
        name, version = check_model_name(model)
        with quiet_sdk(), azure_errors(f"download model {model!r}"):
            self._client.models.get(name, version)
            self._client.models.download(name, version, str(folder))
        return folder

    def _deployment(self, spec: BatchSpec, name: str, tags: dict[str, str]) -> ModelBatchDeployment:
        from azure.ai.ml.entities import (
            BatchRetrySettings,
            CodeConfiguration,
            Environment,
            ModelBatchDeployment,
            ModelBatchDeploymentSettings,
        )

        made, options = self.endpoint.deployment, dict[str, Any]()
        model, version = check_model_name(spec.model)
        if spec.code is not None:
            script, conda = check_batch_code(spec.code)
            digest = hashlib.sha256(conda.read_bytes()).hexdigest()[:16]
            options = {
                "code_configuration": CodeConfiguration(code=str(script.parent), scoring_script=script.name),
                "environment": Environment(
                    name="rollout-batch", version=digest, image=BASE_IMAGE, conda_file=str(conda)
                ),
            }
        return ModelBatchDeployment(
            name=name,
            endpoint_name=self.endpoint.name,
            model=f"azureml:{model}:{version}",
            compute=made.cluster,
            tags={key: value for key, value in tags.items() if value and len(value) <= _TAG_LENGTH},
            settings=ModelBatchDeploymentSettings(
                mini_batch_size=made.mini_batch_size,
                instance_count=made.instances,
                max_concurrency_per_instance=made.max_concurrency_per_instance,
                output_action="append_row",
                output_file_name=made.output_file,
                retry_settings=BatchRetrySettings(max_retries=made.retries, timeout=made.timeout_seconds),
                error_threshold=made.error_threshold,
            ),
            **options,
        )

    def _make_default(self, name: str) -> None:
        """The SDK's PUT is of the whole endpoint: it is read just before."""

        def call() -> None:
            with quiet_sdk(), azure_errors(f"make {name!r} the default of {self.endpoint.name!r}"):
                endpoint = self._client.batch_endpoints.get(self.endpoint.name)
                endpoint.defaults = {"deployment_name": name}
                endpoint.properties = {
                    key: value for key, value in (endpoint.properties or {}).items() if key not in _SDK_PROPERTIES
                }
                self._client.batch_endpoints.begin_create_or_update(endpoint).result()

        waiting_while_busy(call)
        if self.default().name != name:
            raise RolloutError(f"the default of {self.endpoint.name!r} is not {name!r}: another changed it meanwhile")


def check_batch_code(folder: Path) -> tuple[Path, Path]:
    """The batch script and the conda file of a code folder; `BadInput` names what is missing."""
    for kind, names in (("batch script", SCRIPTS), ("conda file", CONDA_FILES)):
        if not any((folder / name).is_file() for name in names):
            raise BadInput(f"--code {folder}: no {kind} in it", way_out=f"add one of {', '.join(names)}")
    script, conda = (
        next(folder / name for name in names if (folder / name).is_file()) for names in (SCRIPTS, CONDA_FILES)
    )
    return script, conda


def _live(document: dict[str, Any], default: str) -> LiveBatch:
    properties, tags = document["properties"], document.get("tags") or {}
    model = str((properties.get("model") or {}).get("assetId") or "")
    found = re.search(r"/models/([^/]+)/versions/([^/]+)$", model)
    return LiveBatch(
        name=document["name"],
        model=f"{found[1]}:{found[2]}" if found else model.removeprefix("azureml:"),
        state=str(properties.get("provisioningState") or ""),
        default=document["name"] == default,
        previous=str(tags.get(PREVIOUS_TAG, "")),
        instances=int((properties.get("resources") or {}).get("instanceCount") or 1),
    )
