"""What a deployment is made of: the SDK's object out of a `DeploymentSpec`, and a fingerprint to know it again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.azure.model_refs import parse_model
from rollout.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.ai.ml.entities import (
        CodeConfiguration,
        DataCollector,
        Environment,
        KubernetesOnlineDeployment,
        ManagedOnlineDeployment,
    )

    from rollout.controller.ports import DeploymentSpec

SPEC_TAG = "rollout.spec"
SCORING_SCRIPT = "score.py"
CONDA_FILES = ("conda.yaml", "conda.yml", "environment.yml", "environment.yaml")
#: Azure's inference image without frameworks; the conda file brings those.
BASE_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
#: How often Azure ML's router looks whether a Kubernetes deployment needs more pods.
_SCALE_SECONDS = 10
#: Fields that specs have not always had.
_LATER = frozenset({"pods", "collect_share"})
#: What the scoring code collects, by the names that Azure ML's monitoring looks for.
COLLECTIONS = ("model_inputs", "model_outputs")
_IGNORED = frozenset({"__pycache__", ".git", ".venv", ".ipynb_checkpoints"})


def check_model_name(model: str) -> tuple[str, str]:
    """`("churn", "7")` out of `churn:7` or a registry's address; `BadInput` for anything else."""
    found = parse_model(model)
    return found.name, found.version


def fingerprint(spec: DeploymentSpec) -> str:
    """The same for the same spec and the same files of its code folder. How it scales is set anew, not made anew."""
    content = asdict(replace(spec, scale=None)) | {"tags": dict(spec.tags), "code_path": code_digest(spec.code_path)}
    del content["scale"]
    # what was made before a setting existed keeps its mark
    content = {key: value for key, value in content.items() if value is not None or key not in _LATER}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def deployment_of(
    spec: DeploymentSpec, endpoint: str, mark: str
) -> ManagedOnlineDeployment | KubernetesOnlineDeployment:
    """The SDK's deployment; `BadInput` when the code folder lacks score.py or a conda file."""
    from azure.ai.ml.entities import KubernetesOnlineDeployment, ManagedOnlineDeployment, OnlineRequestSettings

    model = parse_model(spec.model)
    code, environment = _code_of(spec.code_path)
    common: dict[str, Any] = {
        "name": spec.name,
        "endpoint_name": endpoint,
        "model": str(model) if model.registry else f"azureml:{model.short}",
        "code_configuration": code,
        "environment": environment,
        "instance_type": spec.instance_type,
        "instance_count": spec.instance_count,
        "request_settings": OnlineRequestSettings(
            request_timeout_ms=spec.request_timeout_ms,
            max_concurrent_requests_per_instance=spec.max_concurrent_requests_per_instance,
        ),
        "tags": dict(spec.tags) | {SPEC_TAG: mark},
        "data_collector": _collector_of(spec.collect_share),
    }
    if spec.pods is None:
        return ManagedOnlineDeployment(**common)
    # The pods' own request log is the only one that a Kubernetes endpoint has.
    return KubernetesOnlineDeployment(**common, **_pods_of(spec.pods), app_insights_enabled=True)


def _collector_of(share: float | None) -> DataCollector | None:
    """Below modelDataCollector/ENDPOINT/DEPLOYMENT of the workspace's blob store, a file an hour."""
    if share is None:
        return None
    from azure.ai.ml.entities import DataCollector, DeploymentCollection

    collections = {name: DeploymentCollection(enabled="true") for name in COLLECTIONS}
    return DataCollector(collections, rolling_rate="hour", sampling_rate=share)


def _pods_of(pods: Mapping[str, Any]) -> dict[str, Any]:
    from azure.ai.ml.entities import (
        ResourceRequirementsSettings,
        ResourceSettings,
        TargetUtilizationScaleSettings,
    )

    resources, scale, options = pods.get("resources"), pods.get("scale"), dict[str, Any]()
    if resources:
        limits = ResourceSettings(
            cpu=resources["cpu_limit"], memory=resources["memory_limit"], gpu=str(resources["gpus"] or "") or None
        )
        requests = ResourceSettings(cpu=resources["cpu"], memory=resources["memory"])
        options["resources"] = ResourceRequirementsSettings(requests=requests, limits=limits)
    if scale:
        options["scale_settings"] = TargetUtilizationScaleSettings(
            min_instances=scale["min_instances"],
            max_instances=scale["max_instances"],
            target_utilization_percentage=scale["cpu_percent"],
            polling_interval=_SCALE_SECONDS,
        )
    return options


def check_code(code_path: str) -> tuple[Path, Path]:
    """The scoring script and the conda file of a code folder; `BadInput` names what is missing."""
    folder = Path(code_path)
    script = folder / SCORING_SCRIPT
    if not script.is_file():
        raise BadInput(
            f"--code {code_path}: no {SCORING_SCRIPT} in it", way_out=f"put {SCORING_SCRIPT} into the folder"
        )
    for name in CONDA_FILES:
        if (folder / name).is_file():
            return script, folder / name
    raise BadInput(f"--code {code_path}: no conda file in it", way_out=f"add one of {', '.join(CONDA_FILES)}")


def _code_of(code_path: str | None) -> tuple[CodeConfiguration | None, Environment | None]:
    if code_path is None:
        return None, None  # an MLflow model brings its own scorer and environment
    from azure.ai.ml.entities import CodeConfiguration, Environment

    script, conda = check_code(code_path)
    digest = hashlib.sha256(conda.read_bytes()).hexdigest()[:16]
    environment = Environment(name="rollout-scoring", version=digest, image=BASE_IMAGE, conda_file=str(conda))
    return CodeConfiguration(code=str(script.parent), scoring_script=script.name), environment


def code_digest(code_path: str | None) -> str:
    """The same for the same files; empty without a folder."""
    if code_path is None:
        return ""
    folder, digest = Path(code_path), hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _IGNORED.intersection(path.relative_to(folder).parts):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
