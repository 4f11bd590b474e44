"""What a deployment is made of: the SDK's object out of a `DeploymentSpec`, and a fingerprint to know it again."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.ai.ml.entities import (
        CodeConfiguration,
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
_MODEL = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,254}):(?P<version>[A-Za-z0-9._-]{1,30})")
#: How often Azure ML's router looks whether a Kubernetes deployment needs more pods.
_SCALE_SECONDS = 10
_IGNORED = frozenset({"__pycache__", ".git", ".venv", ".ipynb_checkpoints"})


def check_model_name(model: str) -> tuple[str, str]:
    """`("churn", "7")` out of `churn:7`; `BadInput` for anything else."""
    found = _MODEL.fullmatch(model.removeprefix("azureml:"))
    if found is None:
        raise BadInput(f"model {model!r} is not NAME:VERSION", way_out="for example --model churn:7")
    return found["name"], found["version"]


def fingerprint(spec: DeploymentSpec) -> str:
    """The same for the same spec and the same files of its code folder. How it scales is set anew, not made anew."""
    content = asdict(replace(spec, scale=None)) | {"tags": dict(spec.tags), "code_path": code_digest(spec.code_path)}
    del content["scale"]
    if spec.pods is None:  # what was made before there were pods keeps its mark
        del content["pods"]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def deployment_of(
    spec: DeploymentSpec, endpoint: str, mark: str
) -> ManagedOnlineDeployment | KubernetesOnlineDeployment:
    """The SDK's deployment; `BadInput` when the code folder lacks score.py or a conda file."""
    from azure.ai.ml.entities import KubernetesOnlineDeployment, ManagedOnlineDeployment, OnlineRequestSettings

    name, version = check_model_name(spec.model)
    code, environment = _code_of(spec.code_path)
    common: dict[str, Any] = {
        "name": spec.name,
        "endpoint_name": endpoint,
        "model": f"azureml:{name}:{version}",
        "code_configuration": code,
        "environment": environment,
        "instance_type": spec.instance_type,
        "instance_count": spec.instance_count,
        "request_settings": OnlineRequestSettings(
            request_timeout_ms=spec.request_timeout_ms,
            max_concurrent_requests_per_instance=spec.max_concurrent_requests_per_instance,
        ),
        "tags": dict(spec.tags) | {SPEC_TAG: mark},
    }
    if spec.pods is None:
        return ManagedOnlineDeployment(**common)
    # The pods' own request log is the only one that a Kubernetes endpoint has.
    return KubernetesOnlineDeployment(**common, **_pods_of(spec.pods), app_insights_enabled=True)


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
