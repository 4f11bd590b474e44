"""The files of models: where MLflow keeps them, and copies from and to the workspace's blob datastores."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.ml.datastores import ARTIFACT_STORE, Datastores
from sandbox.ml.http import user_error
from sandbox.ml.mlflow_client import MlflowClient
from sandbox.ml.model_entry import Entry, published_path, read_flavors
from sandbox.ml.transfer import NothingThere, download, upload

if TYPE_CHECKING:
    from sandbox.storage.state import StorageState


class ModelFiles:
    """Local folders that hold models; read only for all who are given them."""

    def __init__(self, sandbox: Sandbox, mlflow: MlflowClient, datastores: Datastores) -> None:
        self._sandbox, self._mlflow, self._datastores = sandbox, mlflow, datastores
        self._cache = sandbox.home / "models"
        self._artifacts = sandbox.home / "mlflow" / "artifacts"
        self._locks: dict[str, asyncio.Lock] = {}
        #: By name, version and time of creation: neither place nor flavors of a version change.
        self._places: dict[tuple[str, str, str], Path] = {}
        self._flavors: dict[Path, dict[str, Any]] = {}

    def reset(self) -> None:
        self._places.clear()
        self._flavors.clear()
        shutil.rmtree(self._cache, ignore_errors=True)

    @property
    def _storage(self) -> StorageState:
        state: StorageState = self._sandbox.states["storage"]
        return state

    # MLflow's

    async def of_entry(self, entry: Entry) -> Path:
        """Where MLflow's server keeps the files of a version. AzureError 400 when they are not in its store."""
        key = (entry["name"], str(entry["version"]), str(entry["creation_timestamp"]))
        if key not in self._places:
            uri = await self._mlflow.download_uri(entry["name"], str(entry["version"]))
            self._places[key] = self._local(uri)
        return self._places[key]

    async def flavors(self, entry: Entry) -> dict[str, Any]:
        """Empty for what is not an MLflow model, or lies where the sandbox can't read it."""
        if urlsplit(str(entry.get("source", ""))).scheme not in ("mlflow-artifacts", "models", "runs"):
            return {}
        place = await self.of_entry(entry)
        if place not in self._flavors:
            flavors = read_flavors(place)
            if not flavors:
                return {}
            self._flavors[place] = flavors
        return self._flavors[place]

    async def of_run(self, run_id: str, path: str) -> Path:
        """The files of `runs:/{run_id}/{path}`: an artifact of the run, or a model that it logged under this name."""
        run = await self._mlflow.find("GET", "runs/get", {"run_id": run_id})
        if run is None:
            raise user_error(f"The run '{run_id}' was not found in the workspace's MLflow.", 404)
        place = self._local(f"{run['run']['info']['artifact_uri'].rstrip('/')}/{path}")
        if place.exists():
            return place
        query = {
            "experiment_ids": [run["run"]["info"]["experiment_id"]],
            "filter": f"source_run_id = '{run_id}' AND name = '{path.strip('/')}'",
        }
        models = (await self._mlflow.call("POST", "logged-models/search", query)).get("models", [])
        if not models:
            raise user_error(f"The run '{run_id}' has no artifact and no logged model '{path}'.", 404)
        return self._local(models[0]["info"]["artifact_uri"])

    def _local(self, uri: str) -> Path:
        parts = urlsplit(uri)
        if parts.scheme != "mlflow-artifacts":
            raise user_error(f"'{uri}' is not an artifact of the workspace's MLflow.")
        path = (self._artifacts / unquote(parts.path).lstrip("/")).resolve()
        if not path.is_relative_to(self._artifacts.resolve()):
            raise user_error(f"'{uri}' leads out of the artifact store.")
        return path

    async def adopt(self, root: str, source: Path) -> str:
        """Copy files to the artifacts of a run, at `root`; gives their address there."""
        uri = f"{root.rstrip('/')}/model"
        await asyncio.to_thread(_copy, source, self._local(uri))
        return uri

    # The blob service's

    async def publish(self, workspace: Resource, entry: Entry) -> None:
        """Copy MLflow's files into the artifact store, once, so that blob clients find them."""
        await self.publish_folder(workspace, await self.of_entry(entry), published_path(entry))

    async def publish_folder(self, workspace: Resource, source: Path, path: str) -> str:
        """Copy `source` to `path` in the artifact store unless it is there; gives its datastore URI."""
        self._datastores.ensure(workspace)
        location = self._datastores.locate(workspace, f"azureml://datastores/{ARTIFACT_STORE}/paths/{path}")
        async with self._locks.setdefault(f"{location.account}/{location.path}", asyncio.Lock()):
            held = self._storage.list(location.account, location.container, location.path)
            if source.exists() and not held:
                await asyncio.to_thread(upload, self._storage, source, location)
        return self._datastores.uri(workspace, ARTIFACT_STORE, path)

    async def fetch(self, workspace: Resource, uri: str) -> Path:
        """The file or folder behind a datastore URI, kept by address: uploads go to addresses made of their hash."""
        location = self._datastores.locate(workspace, uri)
        place = self._cache / location.account / location.container / location.path
        marker = place.with_name(place.name + ".done")
        async with self._locks.setdefault(str(place), asyncio.Lock()):
            if not marker.exists():
                shutil.rmtree(place, ignore_errors=True)
                try:
                    found = await asyncio.to_thread(download, self._storage, location, place)
                except NothingThere as error:
                    raise user_error(f"The files of '{uri}' are not there: {error}.") from error
                marker.write_text(found.relative_to(place).as_posix())
        relative: str = marker.read_text()
        return Path(place, relative)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / source.name)
