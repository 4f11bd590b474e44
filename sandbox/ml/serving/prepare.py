"""From a deployment's document to what can be started: model and code on disk, environment built. Logged as Azure does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError
from sandbox.ml.conda import CondaError, EnvironmentSpec
from sandbox.ml.envs import EnvironmentBuilder, EnvironmentFailed, tail
from sandbox.ml.serving.console import INITIALIZER_LOG
from sandbox.ml.serving.spec import Limits, Probe, ReplicaSpec

#: What serves the score script, as on Azure. These versions replace what a conda file asks for.
SERVER_REQUIREMENTS = ("azureml-inference-server-http==1.5.1", "gunicorn==23.0.0")
_REPLACED = re.compile(r"^(azureml-inference-server-http|azureml-defaults|gunicorn)\b", re.IGNORECASE)
_MLFLOW_SCRIPT = Path(__file__).parent / "inside" / "mlflow_score.py"
_SHORT_ID = re.compile(r"azureml:(?P<name>[^:@/]+):(?P<version>[^:@/]+)")


class Materials(Protocol):
    """Where models and code come from: `MlState` in the sandbox. Blocking."""

    def model_folder(self, resource: Resource) -> Path:
        """The registered file or folder, by its own name."""

    def code_folder(self, resource: Resource) -> Path:
        """The folder that was uploaded."""


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares replicas of deployments below `folder`s that the caller gives."""

    arm: ArmState
    environments: EnvironmentBuilder
    materials: Materials

    async def prepare(self, deployment: Resource, workspace: Resource, folder: Path) -> ReplicaSpec:
        """What to start; AzureError with the reason, which is in the initializer's log as well."""
        journal = _Journal(folder / "logs" / INITIALIZER_LOG)
        try:
            return await self._prepare(deployment, workspace, folder, journal)
        except AzureError as error:
            journal.write(f"failed: {error.message}")
            raise

    async def _prepare(self, deployment: Resource, workspace: Resource, folder: Path, journal: _Journal) -> ReplicaSpec:
        properties = deployment.properties
        generation = folder / "generations" / _fingerprint(properties)
        model = self._asset(workspace, "models", properties.get("model"))
        code = self._asset(workspace, "codes", (properties.get("codeConfiguration") or {}).get("codeId"))
        model_dir = await self._place_model(model, generation, journal) if model is not None else None
        if code is not None:
            app_root, script = await self._place_code(code, properties["codeConfiguration"], generation, journal)
        else:
            app_root, script = _place_mlflow_script(model, model_dir, generation)
        python = await self._build(self._environment(properties, workspace, model_dir), journal)
        limits, variables = Limits.read(properties.get("requestSettings")), _variables(deployment)
        return ReplicaSpec(
            python=python,
            app_root=app_root,
            entry_script=script,
            model_dir=model_dir,
            faults_file=folder / "faults.json",
            environment=tuple(sorted({**variables, "WORKSPACE_NAME": workspace.name}.items())),
            max_concurrent=limits.max_concurrent,
            workers=_workers(variables),
            readiness=Probe.read(properties.get("readinessProbe"), "properties.readinessProbe"),
            liveness=Probe.read(properties.get("livenessProbe"), "properties.livenessProbe"),
        )

    def _asset(self, workspace: Resource, kind: str, reference: str | None) -> Resource | None:
        if not reference:
            return None
        identity = asset_id(workspace.id, kind, reference)
        resource = self.arm.get(identity)
        if resource is None:
            raise AzureError(400, "ResourceNotFound", f"The deployment names '{reference}', which does not exist.")
        return resource

    async def _place_model(self, model: Resource, generation: Path, journal: _Journal) -> Path:
        """Azure's layout: AZUREML_MODEL_DIR is .../azureml-models/NAME/VERSION, the file or folder lies below it."""
        name, version = parse(model.id).names[-2:]
        target = generation / "azureml-models" / name / version
        if not target.exists():
            journal.write(f"downloading model {name}:{version}")
            source = await self._fetch(lambda: self.materials.model_folder(model), f"model {name}:{version}")
            await asyncio.to_thread(_copy, source, target / source.name, _link)
        return target

    async def _place_code(
        self, code: Resource, configuration: Mapping[str, Any], generation: Path, journal: _Journal
    ) -> tuple[Path, str]:
        target, script = generation / "code", str(configuration["scoringScript"])
        if not target.exists():
            journal.write(f"downloading code {parse(code.id).names[-2]}")
            source = await self._fetch(lambda: self.materials.code_folder(code), "code")
            await asyncio.to_thread(_copy, source, target, shutil.copy2)
        if not (target / script).is_file():
            there = ", ".join(sorted(path.name for path in target.iterdir())[:20])
            raise AzureError(400, "BadArgument", f"The scoring script '{script}' is not in the code folder ({there}).")
        return target, script

    async def _fetch(self, load: Callable[[], Path], what: str) -> Path:
        try:
            return await asyncio.to_thread(load)
        except OSError as error:
            raise AzureError(400, "StorageError", f"Downloading {what} failed: {error}") from error

    def _environment(
        self, properties: Mapping[str, Any], workspace: Resource, model_dir: Path | None
    ) -> EnvironmentSpec:
        environment = self._asset(workspace, "environments", properties.get("environmentId"))
        try:
            if environment is not None:
                return _environment_spec(environment)
            return _mlflow_environment(model_dir)
        except CondaError as error:
            raise AzureError(400, "BadEnvironment", f"The environment can't be built: {error}") from error

    async def _build(self, spec: EnvironmentSpec, journal: _Journal) -> Path:
        kept = tuple(line for line in spec.requirements if not _REPLACED.match(line))
        spec = EnvironmentSpec(kept, spec.python).with_requirements(*SERVER_REQUIREMENTS)
        ready = self.environments.ready(spec)
        journal.write("environment is cached" if ready else f"building environment: {', '.join(spec.requirements)}")
        try:
            return await self.environments.build(spec)
        except EnvironmentFailed as error:
            journal.write(tail(error.log))
            raise AzureError(400, "ImageBuildFailure", str(error)) from error


def asset_id(workspace_id: str, kind: str, reference: str) -> str:
    """The ARM id behind `azureml:name:version`, an ARM id, or an ARM id with `azureml:` before it."""
    if reference.startswith("azureml://registries/"):
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox has no registries: '{reference}'.")
    if (short := _SHORT_ID.fullmatch(reference)) is not None:
        return f"{workspace_id}/{kind}/{short['name']}/versions/{short['version']}"
    reference = reference.removeprefix("azureml:")
    if not reference.startswith("/subscriptions/") or f"/{kind}/" not in reference.lower():
        raise AzureError(400, "BadRequest", f"'{reference}' does not name one of the workspace's {kind}.")
    return reference


class _Journal:
    """The storage initializer's log."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)

    def write(self, text: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._file.open("a") as file:
            file.write("".join(f"{now} {line}\n" for line in text.splitlines()))


def _fingerprint(properties: Mapping[str, Any]) -> str:
    parts = [properties.get("model"), properties.get("codeConfiguration"), properties.get("environmentId")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _copy(source: Path, target: Path, copy: Callable[[str, str], object]) -> None:
    """Into a folder beside `target` first, so that a half copy is never taken for a whole one."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, partial, copy_function=copy)
    else:
        partial.unlink(missing_ok=True)
        copy(str(source), str(partial))
    partial.replace(target)


def _link(source: str, target: str) -> None:
    """A model may be large and is only read, so it is not copied where that can be helped."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _place_mlflow_script(model: Resource | None, model_dir: Path | None, generation: Path) -> tuple[Path, str]:
    if model is None or model_dir is None or mlflow_root(model_dir) is None:
        name = model.name if model else "none"
        raise AzureError(
            400,
            "BadArgument",
            f"The model ({name}) is not an MLflow model, so the deployment needs codeConfiguration and environmentId.",
        )
    root = generation / "mlflow_resources"
    root.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_MLFLOW_SCRIPT, root / "mlflow_score_script.py")
    return root, "mlflow_score_script.py"


def mlflow_root(model_dir: Path) -> Path | None:
    """The folder below `model_dir` that holds the MLmodel file, the outermost if there are more."""
    found = [Path(base) for base, _, files in os.walk(model_dir) if "MLmodel" in files]
    return min(found, key=lambda path: len(path.parts), default=None)


def _mlflow_environment(model_dir: Path | None) -> EnvironmentSpec:
    root = mlflow_root(model_dir) if model_dir else None
    for name, read in (
        ("conda.yaml", EnvironmentSpec.from_conda),
        ("requirements.txt", EnvironmentSpec.from_requirements),
    ):
        if root is not None and (root / name).is_file():
            return read((root / name).read_text())
    raise AzureError(
        400,
        "BadEnvironment",
        "The deployment names no environment, and the model has neither conda.yaml nor requirements.txt.",
    )


def _environment_spec(environment: Resource) -> EnvironmentSpec:
    conda = environment.properties.get("condaFile")
    if environment.properties.get("inferenceConfig"):
        raise AzureError(501, "NotImitatedBySandbox", "The sandbox runs no custom containers (inferenceConfig).")
    return EnvironmentSpec.from_conda(conda) if conda else EnvironmentSpec()


def _variables(deployment: Resource) -> dict[str, str]:
    given = deployment.properties.get("environmentVariables") or {}
    identity = parse(deployment.id)
    named = {"SERVICE_NAME": identity.names[-2], "DEPLOYMENT_NAME": identity.names[-1]}
    return named | {str(key): str(value) for key, value in given.items()}


def _workers(variables: Mapping[str, str]) -> int:
    value = variables.get("WORKER_COUNT", "1")
    if not value.isdigit() or int(value) < 1:
        raise AzureError(
            400, "BadRequest", f"environmentVariables.WORKER_COUNT is '{value}'; a whole number, at least 1."
        )
    return int(value)
