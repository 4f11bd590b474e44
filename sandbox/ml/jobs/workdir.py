"""A job's folder: code, inputs and outputs on disk before the command, and into the blob service after it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import aiohttp

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError
from sandbox.kernel.loopback import is_loopback
from sandbox.ml.datastores import ARTIFACT_STORE, BLOB_STORE, Location
from sandbox.ml.http import user_error
from sandbox.ml.jobs.spec import LITERAL, Binding
from sandbox.ml.transfer import NothingThere, download, upload

if TYPE_CHECKING:
    from sandbox.ml.state import MlState
    from sandbox.storage.state import StorageState

STD_LOG = "user_logs/std_log.txt"
BUILD_LOG = "azureml-logs/20_image_build_log.txt"
#: What azure-ai-ml streams of a pipeline and of a sweep.
PIPELINE_LOG = "logs/azureml/executionlogs.txt"
SWEEP_LOG = "azureml-logs/hyperdrive.txt"
#: How many mini batches of a batch job are done.
BATCH_LOG = "logs/job_progress_overview.txt"
LOGS = (BUILD_LOG, STD_LOG, PIPELINE_LOG, SWEEP_LOG, BATCH_LOG)
#: Folders of the working directory that Azure uploads to the run, whatever the job's outputs are.
_UPLOADED = ("outputs", "logs")


class Bound(Protocol):
    """What has inputs and outputs."""

    @property
    def inputs(self) -> Mapping[str, Binding]: ...
    @property
    def outputs(self) -> Mapping[str, Binding]: ...


@dataclass(frozen=True, slots=True)
class Workdir:
    """The folder of one job. `log` names are the run's, relative to it."""

    ml: MlState
    workspace: Resource
    job: str
    root: Path

    @property
    def code(self) -> Path:
        return self.root / "code"

    def log(self, name: str) -> Path:
        return self.root / "logs" / name

    @property
    def _storage(self) -> StorageState:
        state: StorageState = self.ml.sandbox.states["storage"]
        return state

    def make(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        for name in (STD_LOG, BUILD_LOG):
            self.log(name).parent.mkdir(parents=True, exist_ok=True)
        self.log(STD_LOG).touch()

    # Before

    async def place_code(self, code_id: str | None) -> None:
        """A copy, since jobs write into their working directory."""
        if code_id is None:
            self.code.mkdir(parents=True)
            return
        resource = await self.ml.asset(_arm_id(code_id))
        if resource is None:
            raise user_error(f"The code asset '{code_id}' was not found.")
        source = await self.ml.models.files.fetch(self.workspace, resource.properties["codeUri"])
        await asyncio.to_thread(shutil.copytree, source, self.code)

    async def place_inputs(self, spec: Bound) -> dict[str, str]:
        """Values and local paths of the inputs, by name."""
        return {name: await self._place(name, binding) for name, binding in spec.inputs.items()}

    async def _place(self, name: str, binding: Binding) -> str:
        if binding.type == LITERAL:
            return binding.value
        folder = self.root / "inputs" / name
        uri = binding.uri
        if urlsplit(uri).scheme in ("http", "https") and not self.ml.datastores.is_blob(uri):
            return str(await fetch_url(uri, folder))
        if uri.startswith(("azureml:/", "/subscriptions/")) and "/versions/" in uri:
            return await self._place_asset(uri, folder)
        return await self._download(self.ml.datastores.locate(self.workspace, uri), folder, name)

    async def _place_asset(self, uri: str, folder: Path) -> str:
        """A registered data asset or model."""
        identity = _arm_id(uri, self.workspace)
        resource = await self.ml.asset(identity)
        if resource is None:
            raise user_error(f"The input '{uri}' was not found.")
        if "/models/" in identity.lower():
            _, name, version = parse(identity).names
            return str(await self.ml.models.materialise(self.workspace, name, version))
        location = self.ml.datastores.locate(self.workspace, resource.properties["dataUri"])
        return await self._download(location, folder, parse(identity).name)

    async def _download(self, location: Location, folder: Path, name: str) -> str:
        try:
            return str(await asyncio.to_thread(download, self._storage, location, folder))
        except NothingThere as error:
            raise user_error(f"Input '{name}': {error}.") from error

    def place_outputs(self, spec: Bound) -> dict[str, str]:
        """Local paths of the outputs, by name; folders are there, a file's folder is."""
        paths = {}
        for name, binding in spec.outputs.items():
            path = self.root / "outputs" / name
            (path.parent if binding.type == "uri_file" else path).mkdir(parents=True, exist_ok=True)
            paths[name] = str(path)
        return paths

    # After

    async def keep_outputs(self, uris: Mapping[str, str], paths: Mapping[str, str]) -> None:
        """Upload the named outputs to their addresses, and what lies in `outputs` and `logs` to the run."""
        for name, uri in uris.items():
            path = Path(paths[name])
            if path.exists():
                await self._upload(path, self.ml.datastores.locate(self.workspace, uri))
        for folder in _UPLOADED:
            if (self.code / folder).is_dir():
                await self._upload(self.code / folder, self.artifact(folder))

    async def keep_logs(self, sent: dict[str, int]) -> None:
        """Upload the logs that grew since the last time; `sent` remembers their sizes."""
        for name in (BUILD_LOG, STD_LOG):
            file = self.log(name)
            size = file.stat().st_size if file.exists() else 0
            if size != sent.get(name) and (size or name == STD_LOG):
                await self.keep_log(name)
                sent[name] = size

    async def keep_log(self, name: str) -> None:
        """Upload one log as it is now."""
        await self._upload(self.log(name), self.artifact(name))

    async def _upload(self, source: Path, location: Location) -> None:
        await asyncio.to_thread(upload, self._storage, source, location)

    def artifact(self, name: str) -> Location:
        """Where a file of the run is in the artifact store."""
        return self.ml.datastores.locate(
            self.workspace, f"azureml://datastores/{ARTIFACT_STORE}/paths/{run_path(self.job, name)}"
        )


def run_path(job: str, name: str) -> str:
    return f"ExperimentRun/dcid.{job}/{name}"


def default_output(job: str, name: str, datastore: str = BLOB_STORE) -> str:
    """Where an output without an address of its own goes; azure-ai-ml looks there for it."""
    return f"azureml://datastores/{datastore}/paths/azureml/{job}/{name}/"


def _arm_id(reference: str, workspace: Resource | None = None) -> str:
    """The ARM id in `azureml:/subscriptions/...`, an ARM id, or azureml://locations/.../{kind}/{name}/versions/{v}."""
    if reference.startswith("azureml://registries/"):
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox has no registries: '{reference}'.")
    if reference.startswith("azureml://locations/") and workspace is not None:
        kind, name, _, version = reference.rstrip("/").split("/")[-4:]
        return f"{workspace.id}/{kind}/{name}/versions/{version}"
    return reference.removeprefix("azureml:")


async def fetch_url(url: str, folder: Path) -> Path:
    """From a server on this machine, without redirects: a job is no way out of the sandbox."""
    if not is_loopback(url):
        raise user_error(
            f"The input '{url}' is not on this machine, and the sandbox fetches from nowhere else."
            " Download it, and give a local path or a data asset."
        )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / (Path(urlsplit(url).path).name or "download")
    try:
        async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as response:
            response.raise_for_status()
            if response.status != 200:
                raise user_error(f"The input '{url}' could not be fetched: HTTP {response.status}.")
            with target.open("wb") as file:
                async for chunk in response.content.iter_chunked(1 << 20):
                    file.write(chunk)
    except aiohttp.ClientError as error:
        raise user_error(f"The input '{url}' could not be fetched: {error}.") from error
    return target
