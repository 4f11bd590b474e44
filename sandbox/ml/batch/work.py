"""Runs one batch job: nodes of its cluster, its model and script, mini batches over worker processes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.ml.batch.scheduling import Scheduler, TooManyFailed, mini_batches
from sandbox.ml.batch.spec import INPUT, OUTPUT, BatchSpec
from sandbox.ml.batch.worker import InitFailed, Worker
from sandbox.ml.conda import CondaError, EnvironmentSpec
from sandbox.ml.http import user_error
from sandbox.ml.jobs import records
from sandbox.ml.jobs.book import JobBook, JobFailed
from sandbox.ml.jobs.environment import build_logged, environment_of
from sandbox.ml.jobs.nodes import Nodes
from sandbox.ml.jobs.variables import job_variables
from sandbox.ml.jobs.workdir import BATCH_LOG, STD_LOG, Workdir
from sandbox.ml.serving.materials import WorkspaceAssets, asset_id
from sandbox.ml.serving.prepare import mlflow_root

if TYPE_CHECKING:
    from sandbox.ml.state import MlState

MLFLOW_SCRIPT = Path(__file__).parent / "inside" / "mlflow_batch.py"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(slots=True)
class BatchWork:
    """The step `batchscoring` of a batch job."""

    ml: MlState
    book: JobBook
    nodes: Nodes
    workspace: Resource
    job_id: str
    spec: BatchSpec
    workdir: Workdir

    async def __call__(self) -> None:
        self.book.status(self.job_id, records.QUEUED)
        async with self.nodes.several(self.ml.arm, self.spec.compute_id, self.job_id, self.spec.instances):
            await self._work()

    async def _work(self) -> None:
        self.book.status(self.job_id, records.PREPARING)
        self.workdir.make()
        self.workdir.log(BATCH_LOG).parent.mkdir(parents=True, exist_ok=True)
        output = Path(self.workdir.place_outputs(self.spec)[OUTPUT])
        try:
            await self.book.start_run(self.workspace, self.job_id)
            model = await self._place_model()
            python = await self._environment(model)
            script = await self._place_script(model)
            inputs = await self.workdir.place_inputs(self.spec)
            self.book.running(self.job_id)
            await self._score(python, script, model, Path(inputs[INPUT]), output)
        finally:
            await asyncio.shield(self._keep(output))

    async def _score(self, python: Path, script: Path, model: Path, source: Path, output: Path) -> None:
        files = sorted(each for each in source.rglob("*") if each.is_file()) if source.is_dir() else [source]
        batches = mini_batches(files, self.spec.mini_batch_size)
        if not batches:
            raise JobFailed("The input has no files.")
        variables = self._variables(python, model, output)
        count = min(self.spec.instances * self.spec.concurrency, len(batches))
        workers = [
            Worker(python, script, self.workdir.code, variables, self.workdir.log(STD_LOG)) for _ in range(count)
        ]
        target = output / self.spec.output_file if self.spec.append_row else None
        scheduler = Scheduler(
            workers, batches, self.spec.retries, self.spec.timeout, self.spec.error_threshold, target,
            self.workdir.root, self._tell,
        )  # fmt: skip
        try:
            await scheduler.run()
        except InitFailed as error:
            await self._tell(f"init() failed: {error}")
            raise JobFailed(f"init() of {script.name} failed: {str(error).splitlines()[-1]}. See {STD_LOG}.") from error
        except TooManyFailed as error:
            raise JobFailed(f"{error}. See {BATCH_LOG}.") from error
        self.book.status(self.job_id, records.FINALIZING)

    def _variables(self, python: Path, model: Path, output: Path) -> dict[str, str]:
        made = job_variables(self.ml.sandbox, self.workspace, self.book.get(self.job_id), python, os.environ)
        made |= {"AZUREML_MODEL_DIR": str(model), "AZUREML_BI_OUTPUT_PATH": str(output)}
        return made | dict(self.spec.variables)

    async def _place_model(self) -> Path:
        """Azure's layout: AZUREML_MODEL_DIR is .../azureml-models/NAME/VERSION, the file or folder lies below it."""
        name, version = parse(asset_id(self.workspace.id, "models", self.spec.model)).names[-2:]
        files = await WorkspaceAssets(self.ml.sandbox).model(self.workspace, self.spec.model)
        target = self.workdir.root / "azureml-models" / name / version
        await asyncio.to_thread(_copy, files.path, target / files.name)
        return target

    async def _environment(self, model: Path) -> Path:
        if self.spec.environment_id:
            wanted = await environment_of(self.ml, self.spec.environment_id)
        else:
            root = mlflow_root(model)
            if root is None or not (root / "conda.yaml").is_file():
                raise user_error(f"The deployment names no environment, and '{self.spec.model}' has no conda.yaml.")
            try:
                wanted = _with_readers(EnvironmentSpec.from_conda((root / "conda.yaml").read_text()))
            except CondaError as error:
                raise user_error(f"The model's environment can't be built: {error}") from error
        return await build_logged(self.ml, wanted, self.workdir)

    async def _place_script(self, model: Path) -> Path:
        await self.workdir.place_code(self.spec.code_id)
        if self.spec.code_id:
            script = self.workdir.code / self.spec.script
            if not script.is_file():
                raise user_error(f"The scoring script '{self.spec.script}' is not in the code folder.")
            return script
        if mlflow_root(model) is None:
            raise user_error(f"'{self.spec.model}' is not an MLflow model, so the deployment needs a scoring script.")
        return MLFLOW_SCRIPT

    async def _tell(self, line: str) -> None:
        """Into the job's progress, readable at once."""
        with self.workdir.log(BATCH_LOG).open("a") as file:
            file.write("".join(f"[{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ}] {each}\n" for each in line.splitlines()))
        await self.workdir.keep_log(BATCH_LOG)

    async def _keep(self, output: Path) -> None:
        for name in (STD_LOG, BATCH_LOG):
            if self.workdir.log(name).exists():
                await self.workdir.keep_log(name)
        uri = self.book.get(self.job_id).properties["outputs"][OUTPUT]["uri"]
        await self.workdir.keep_outputs({OUTPUT: uri}, {OUTPUT: str(output)})


def _with_readers(spec: EnvironmentSpec) -> EnvironmentSpec:
    """Azure adds what its own script needs."""
    there = {name[0].lower() for line in spec.requirements if (name := _NAME.match(line))}
    needed = {"mlflow-skinny": {"mlflow", "mlflow-skinny"}, "pandas": {"pandas"}, "pyarrow": {"pyarrow", "mlflow"}}
    return spec.with_requirements(*(name for name, any_of in needed.items() if not any_of & there))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
