"""The Python that a job runs with: its environment asset, built, with the build's log among the job's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.kernel.errors import AzureError
from sandbox.ml.conda import EnvironmentSpec
from sandbox.ml.envs import EnvironmentFailed
from sandbox.ml.http import user_error
from sandbox.ml.jobs.book import JobFailed
from sandbox.ml.jobs.workdir import BUILD_LOG, Workdir

if TYPE_CHECKING:
    from sandbox.ml.state import MlState


async def environment_of(ml: MlState, reference: str) -> EnvironmentSpec:
    """What the environment asset holds; AzureError 400 when there is none."""
    resource = await ml.asset(reference.removeprefix("azureml:"))
    if resource is None:
        raise user_error(f"The environment '{reference}' was not found.")
    if resource.properties.get("build"):
        raise AzureError(501, "NotImitatedBySandbox", "The sandbox runs no jobs in images; give a conda file.")
    conda = resource.properties.get("condaFile")
    return EnvironmentSpec.from_conda(conda) if conda else EnvironmentSpec()


async def build_logged(ml: MlState, wanted: EnvironmentSpec, workdir: Workdir) -> Path:
    """Its python; JobFailed says what did not resolve."""
    builder, target = ml.environments, workdir.log(BUILD_LOG)
    try:
        return await builder.build(wanted)
    except EnvironmentFailed as error:
        raise JobFailed(str(error)) from error
    finally:
        if builder.log_file(wanted).exists():
            shutil.copyfile(builder.log_file(wanted), target)
