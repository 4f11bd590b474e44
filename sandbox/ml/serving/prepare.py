"""From a deployment's document to what can be started: model and code on disk, environment built. Logged as Azure does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError
from sandbox.ml.conda import CondaError, EnvironmentSpec
from sandbox.ml.envs import EnvironmentBuilder, EnvironmentFailed, tail
from sandbox.ml.registries.state import registry_asset
from sandbox.ml.serving.console import INITIALIZER_LOG
from sandbox.ml.serving.image import Routes, read_image
from sandbox.ml.serving.materials import Materials, asset_id
from sandbox.ml.serving.spec import Limits, Probe, ReplicaSpec

#: What serves the score script, as on Azure. These versions replace what a conda file asks for.
SERVER_REQUIREMENTS = ("azureml-inference-server-http==1.5.1", "gunicorn==23.0.0")
_REPLACED = re.compile(r"^(azureml-inference-server-http|azureml-defaults|gunicorn)\b", re.IGNORECASE)
_MLFLOW_SCRIPT = Path(__file__).parent / "inside" / "mlflow_score.py"
#: Smaller files are copied, so that a score script that writes to its model's folder spoils nobody else's.
_LINKED_FROM_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Preparer:
    """Prepares replicas of deployments below `folder`s that the caller gives."""

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
        model, configuration = properties.get("model"), properties.get("codeConfiguration")
        model_dir = await self._place_model(workspace, model, generation, journal) if model else None
        common = self._common(deployment, workspace, folder, model_dir)
        if container := await self._container(properties, workspace):
            return await self._prepare_container(container, workspace, generation, common, journal)
        if configuration:
            app_root, script = await self._place_code(workspace, configuration, generation, journal)
        else:
            app_root, script = _place_mlflow_script(str(model), model_dir, generation)
        python = await self._build(await self._environment(properties, workspace, model_dir), journal)
        return replace(common, python=python, app_root=app_root, entry_script=script)

    def _common(self, deployment: Resource, workspace: Resource, folder: Path, model_dir: Path | None) -> ReplicaSpec:
        """What a score script and a container have in common."""
        properties, variables = deployment.properties, _variables(deployment)
        return ReplicaSpec(
            python=Path(),
            app_root=folder,
            entry_script="",
            model_dir=model_dir,
            faults_file=folder / "faults.json",
            environment=tuple(sorted({**variables, "WORKSPACE_NAME": workspace.name}.items())),
            max_concurrent=Limits.read(properties.get("requestSettings")).max_concurrent,
            workers=_workers(variables),
            readiness=Probe.read(properties.get("readinessProbe"), "properties.readinessProbe"),
            liveness=Probe.read(properties.get("livenessProbe"), "properties.livenessProbe"),
        )

    async def _container(self, properties: Mapping[str, Any], workspace: Resource) -> Mapping[str, Any] | None:
        """The environment, if it is a custom container's."""
        reference = properties.get("environmentId")
        found = await self.materials.environment(workspace, reference) if reference else {}
        return found if found.get("inferenceConfig") else None

    async def _prepare_container(
        self,
        environment: Mapping[str, Any],
        workspace: Resource,
        generation: Path,
        common: ReplicaSpec,
        journal: _Journal,
    ) -> ReplicaSpec:
        """The entry command of the image, beside the files of its build context."""
        build = environment.get("build")
        if not build:
            raise AzureError(501, "NotImitatedBySandbox", "The sandbox pulls no images; give a build context.")
        routes, target = Routes.read(environment["inferenceConfig"]), generation / "image"
        if not target.exists():
            journal.write("downloading build context")
            await _place(await self.materials.context(workspace, build["contextUri"]), target)
        image = read_image(target, build.get("dockerfilePath") or "Dockerfile")
        journal.write(f"no Docker here: runs as a process: {' '.join(image.command)}")
        return replace(
            common,
            python=await self._built(image.environment, journal),
            app_root=target,
            environment=tuple(sorted({**image.variables, **dict(common.environment)}.items())),
            command=image.command,
            live_path=routes.live,
            ready_path=routes.ready,
        )

    async def _place_model(self, workspace: Resource, reference: str, generation: Path, journal: _Journal) -> Path:
        """Azure's layout: AZUREML_MODEL_DIR is .../azureml-models/NAME/VERSION, the file or folder lies below it."""
        names = registry_asset(reference) or parse(asset_id(workspace.id, "models", reference)).names
        name, version = names[-2:]
        target = generation / "azureml-models" / name / version
        if not target.exists():
            journal.write(f"downloading model {name}:{version}")
            files = await self.materials.model(workspace, reference)
            await _place(files.path, target / files.name)
        return target

    async def _place_code(
        self, workspace: Resource, configuration: Mapping[str, Any], generation: Path, journal: _Journal
    ) -> tuple[Path, str]:
        target, script = generation / "code", str(configuration["scoringScript"])
        if not target.exists():
            journal.write("downloading code")
            await _place(await self.materials.code(workspace, configuration["codeId"]), target)
        if not (target / script).is_file():
            there = ", ".join(sorted(path.name for path in target.iterdir())[:20])
            raise AzureError(400, "BadArgument", f"The scoring script '{script}' is not in the code folder ({there}).")
        return target, script

    async def _environment(
        self, properties: Mapping[str, Any], workspace: Resource, model_dir: Path | None
    ) -> EnvironmentSpec:
        reference = properties.get("environmentId")
        try:
            if reference:
                return _environment_spec(await self.materials.environment(workspace, reference))
            return _mlflow_environment(model_dir)
        except CondaError as error:
            raise AzureError(400, "BadEnvironment", f"The environment can't be built: {error}") from error

    async def _build(self, spec: EnvironmentSpec, journal: _Journal) -> Path:
        kept = tuple(line for line in spec.requirements if not _REPLACED.match(line))
        return await self._built(EnvironmentSpec(kept, spec.python).with_requirements(*SERVER_REQUIREMENTS), journal)

    async def _built(self, spec: EnvironmentSpec, journal: _Journal) -> Path:
        ready = self.environments.ready(spec)
        journal.write("environment is cached" if ready else f"building environment: {', '.join(spec.requirements)}")
        try:
            return await self.environments.build(spec)
        except EnvironmentFailed as error:
            journal.write(tail(error.log))
            raise AzureError(400, "ImageBuildFailure", str(error)) from error


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


async def _place(source: Path, target: Path) -> None:
    try:
        await asyncio.to_thread(_copy, source, target)
    except OSError as error:
        raise AzureError(400, "StorageError", f"Downloading {target.name} failed: {error}") from error


def _copy(source: Path, target: Path) -> None:
    """Into a folder beside `target` first, so that a half copy is never taken for a whole one."""
    partial = target.parent.with_name(target.parent.name + ".partial") / target.name
    shutil.rmtree(partial.parent, ignore_errors=True)
    partial.parent.mkdir(parents=True)
    if source.is_dir():
        shutil.copytree(source, partial, copy_function=_copy_file)
    else:
        _copy_file(str(source), str(partial))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)
    partial.parent.rmdir()


def _copy_file(source: str, target: str) -> None:
    if Path(source).stat().st_size >= _LINKED_FROM_BYTES:
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy2(source, target)
    else:
        shutil.copy2(source, target)


def _place_mlflow_script(model: str, model_dir: Path | None, generation: Path) -> tuple[Path, str]:
    if model_dir is None or mlflow_root(model_dir) is None:
        raise AzureError(
            400,
            "BadArgument",
            f"The model '{model}' is not an MLflow model, so the deployment needs codeConfiguration and environmentId.",
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


def _environment_spec(environment: Mapping[str, Any]) -> EnvironmentSpec:
    conda = environment.get("condaFile")
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
