"""The workspace's models: one space of names and versions for azure-ai-ml and MLflow.

MLflow's registry numbers the versions. A model that azure-ai-ml creates is kept as an ARM document and is also entered
into MLflow under the same number; a model that was logged and registered with MLflow has no document and is shown from
the registry. Its files are copied into the workspace's artifact store when somebody asks for it by version.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.datastores import ARTIFACT_STORE, Datastores, Location
from sandbox.ml.http import PROVIDER, user_error
from sandbox.ml.mlflow_client import MlflowClient, MlflowError
from sandbox.ml.model_entry import (
    ARCHIVED_TAG,
    MIRROR_TAG,
    Entry,
    mirror_of,
    published_path,
    read_flavors,
    shared,
    system_data,
    tags_of,
)
from sandbox.ml.model_files import ModelFiles

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

TYPE = f"{PROVIDER}/workspaces/models"
#: A version number this far beyond MLflow's last is left to ARM alone, since MLflow numbers one by one.
LARGEST_GAP = 50
MLFLOW_MODEL, CUSTOM_MODEL = "mlflow_model", "custom_model"
#: MLflow takes a model's files only from a run; those of azure-ai-ml's models are here.
_EXPERIMENT = "azure-ai-ml models"
_FIXED = ("modelUri", "modelType", "flavors", "provisioningState")


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version as the workspace shows it. `entry` is MLflow's, if it has one for it."""

    name: str
    version: str
    properties: dict[str, Any]
    system_data: dict[str, Any]
    document: Resource | None
    entry: Entry | None

    def shown(self, workspace: Resource) -> dict[str, Any]:
        return {
            "id": f"{workspace.id}/models/{self.name}/versions/{self.version}",
            "name": self.version,
            "type": f"{TYPE}/versions",
            "properties": self.properties,
            "systemData": self.system_data,
        }


class ModelStore:
    """Models by workspace, name and version; and their files."""

    def __init__(self, sandbox: Sandbox, mlflow: MlflowClient, datastores: Datastores) -> None:
        self._sandbox, self._mlflow, self._datastores = sandbox, mlflow, datastores
        self.files = ModelFiles(sandbox, mlflow, datastores)
        #: Two versions of one model are not entered at a time, so that their numbers stay apart.
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def _arm(self) -> ArmState:
        state: ArmState = self._sandbox.states["arm"]
        return state

    def reset(self) -> None:
        self.files.reset()

    # Reading

    async def find(self, workspace: Resource, name: str, version: str) -> ModelVersion | None:
        """The version with its files in place, or None."""
        document = self._document(workspace, name, version)
        entry = await self._mlflow.model_version(name, version)
        if document is None and entry is not None and mirror_of(entry) is None:
            await self.files.publish(workspace, entry)
        return await self._join(workspace, document, entry)

    async def get(self, workspace: Resource, name: str, version: str) -> ModelVersion:
        """AzureError 404 when there is none."""
        found = await self.find(workspace, name, version)
        if found is None:
            raise not_there(workspace, name, version)
        return found

    async def versions(self, workspace: Resource, name: str | None = None) -> list[ModelVersion]:
        """All versions of a model, or of all models."""
        parent = f"{workspace.id}/models/{name}" if name else workspace.id
        documents = {(model_name(each), each.name): each for each in self._arm.children(parent, f"{TYPE}/versions")}
        entries = {(each["name"], str(each["version"])): each for each in await self._mlflow.model_versions(name)}
        keys = sorted(documents.keys() | entries.keys())
        joined = [await self._join(workspace, documents.get(key), entries.get(key)) for key in keys]
        return [each for each in joined if each is not None]

    async def next_version(self, workspace: Resource, name: str) -> str:
        """The number after the last that anybody used for the name."""
        documents = self._arm.children(f"{workspace.id}/models/{name}", f"{TYPE}/versions")
        numbers = [int(each.name) for each in documents if each.name.isdigit()]
        numbers += [int(each["version"]) for each in await self._mlflow.model_versions(name)]
        return str(max(numbers, default=0) + 1)

    async def materialise(self, workspace: Resource, name: str, version: str) -> Path:
        """The model's local folder (or its file, if it is one); read only, kept for the next caller.

        AzureError 404 for an unknown version, 400 when its files are gone.
        """
        document = self._document(workspace, name, version)
        if document is not None:
            return await self.files.fetch(workspace, document.properties["modelUri"])
        entry = await self._mlflow.model_version(name, version)
        if entry is None or mirror_of(entry) is not None:
            raise not_there(workspace, name, version)
        place = await self.files.of_entry(entry)
        if not place.exists():
            raise user_error(f"The files of model {name}:{version} are not in MLflow's artifact store.")
        return place

    def _document(self, workspace: Resource, name: str, version: str) -> Resource | None:
        return self._arm.get(f"{workspace.id}/models/{name}/versions/{version}")

    async def _join(self, workspace: Resource, document: Resource | None, entry: Entry | None) -> ModelVersion | None:
        if document is not None:
            if entry is not None and mirror_of(entry) != document.properties["modelUri"]:
                entry = None
            properties = document.properties | (shared(entry) if entry is not None else {})
            name = model_name(document)
            return ModelVersion(name, document.name, properties, document.system_data, document, entry)
        # A mirror without a document is another workspace's model, or one that was deleted here.
        if entry is None or mirror_of(entry) is not None:
            return None
        properties = await self._from_mlflow(workspace, entry)
        return ModelVersion(entry["name"], str(entry["version"]), properties, system_data(entry), None, entry)

    async def _from_mlflow(self, workspace: Resource, entry: Entry) -> dict[str, Any]:
        flavors = await self.files.flavors(entry)
        properties = {"mlflow.modelSourceUri": str(entry.get("source", ""))}
        if entry.get("run_id"):
            properties["azureml.runId"] = entry["run_id"]
        return {
            "modelUri": self._datastores.uri(workspace, ARTIFACT_STORE, published_path(entry)),
            "modelType": MLFLOW_MODEL if flavors else CUSTOM_MODEL,
            "flavors": flavors,
            "properties": properties,
            "isAnonymous": False,
            "provisioningState": "Succeeded",
            **shared(entry),
        }

    # Writing

    async def save(self, workspace: Resource, name: str, version: str, properties: dict[str, Any]) -> bool:
        """Create the version (True) or change its tags, description and the like. Files can't be changed."""
        async with self._locks[name]:
            old = await self.find(workspace, name, version)
            if old is None:
                await self._create(workspace, name, version, properties)
                return True
        uri = await self._address(workspace, properties.get("modelUri") or old.properties["modelUri"])
        if self._datastores.locate(workspace, uri) != self._datastores.locate(workspace, old.properties["modelUri"]):
            raise user_error("Asset paths cannot be updated.")
        if old.document is not None:
            old.document.properties |= {key: value for key, value in properties.items() if key not in _FIXED}
            self._arm.put(old.document)
        if old.entry is not None:
            await self._change_entry(old.entry, properties)
        return False

    async def _create(self, workspace: Resource, name: str, version: str, properties: dict[str, Any]) -> None:
        uri = await self._address(workspace, properties.get("modelUri"))
        folder = await self.files.fetch(workspace, uri)
        kind = properties.get("modelType") or CUSTOM_MODEL
        flavors = properties.get("flavors") or (read_flavors(folder) if kind == MLFLOW_MODEL else {})
        if kind == MLFLOW_MODEL and not flavors:
            raise user_error(
                f"Model {name}:{version} is of type mlflow_model, but there is no MLmodel file at '{uri}'."
            )
        document = self._arm.new(f"{workspace.id}/models/{name}/versions/{version}")
        defaults = {"isAnonymous": False, "isArchived": False, "tags": {}, "properties": {}}
        made = {"modelUri": uri, "modelType": kind, "flavors": flavors, "provisioningState": "Succeeded"}
        document.properties = defaults | properties | made
        await self._mirror(document, folder)
        if self._arm.get(f"{workspace.id}/models/{name}") is None:
            self._arm.put(self._arm.new(f"{workspace.id}/models/{name}"))
        self._arm.put(document)

    async def _address(self, workspace: Resource, uri: str | None) -> str:
        """The datastore URI of the files; a run's artifacts are copied into the artifact store first."""
        if not uri:
            raise user_error("properties.modelUri: a model needs the address of its files.")
        run, found, path = uri.removeprefix("runs:/").partition("/")
        if uri.startswith("runs:/") and found:
            source = await self.files.of_run(run, path)
            return await self.files.publish_folder(workspace, source, f"ExperimentRun/dcid.{run}/{path}")
        self._datastores.ensure(workspace)
        return self._store_uri(workspace, self._datastores.locate(workspace, uri)) or uri

    def _store_uri(self, workspace: Resource, location: Location) -> str | None:
        """The long URI of a place in one of the workspace's datastores."""
        for store in self._arm.children(workspace.id, f"{PROVIDER}/workspaces/datastores"):
            place = (store.properties.get("accountName"), store.properties.get("containerName"))
            if place == (location.account, location.container):
                return self._datastores.uri(workspace, store.name, location.path)
        return None

    async def _mirror(self, document: Resource, folder: Path) -> None:
        """Enter the model into MLflow under the same number, files included, so that `models:/name/version` works."""
        name, version = model_name(document), document.name
        if not version.isdigit():
            return
        entries = await self._mlflow.model_versions(name)
        last = max((int(each["version"]) for each in entries), default=0)
        if not 0 < int(version) - last <= LARGEST_GAP:
            return
        try:
            await self._mlflow.call("POST", "registered-models/create", {"name": name})
        except MlflowError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
        experiment = await self._mlflow.experiment_id(_EXPERIMENT)
        run, root = await self._mlflow.start_run(experiment, f"{name}-{version}", {"mlflow.source.type": "LOCAL"})
        source = await self.files.adopt(root, folder)
        await self._mlflow.end_run(run, "FINISHED")
        await self._enter(document, {"source": source, "run_id": run})

    async def _enter(self, document: Resource, origin: dict[str, str]) -> None:
        name, wanted = model_name(document), int(document.name)
        tags = {MIRROR_TAG: document.properties["modelUri"], **(document.properties.get("tags") or {})}
        body = {
            "name": name,
            "description": document.properties.get("description") or "",
            "tags": [{"key": key, "value": str(value)} for key, value in tags.items()],
            **origin,
        }
        for _ in range(LARGEST_GAP + 1):
            answer = await self._mlflow.call("POST", "model-versions/create", body)
            number = int(answer["model_version"]["version"])
            if number == wanted:
                return
            # MLflow numbers one by one and never gives a deleted number again.
            await self._mlflow.call("DELETE", "model-versions/delete", {"name": name, "version": str(number)})
            if number > wanted:
                return

    async def _change_entry(self, entry: Entry, properties: dict[str, Any]) -> None:
        key = {"name": entry["name"], "version": str(entry["version"])}
        if properties.get("description") is not None:
            await self._mlflow.call("PATCH", "model-versions/update", key | {"description": properties["description"]})
        old = tags_of(entry)
        new = {name: str(value) for name, value in (properties.get("tags") or {}).items()}
        dropped = old.keys() - new.keys() - {MIRROR_TAG, ARCHIVED_TAG} if properties.get("tags") is not None else set()
        if properties.get("isArchived"):
            new[ARCHIVED_TAG] = "true"
        elif properties.get("isArchived") is not None:
            dropped |= old.keys() & {ARCHIVED_TAG}
        for name, value in new.items():
            if old.get(name) != value:
                await self._mlflow.call("POST", "model-versions/set-tag", key | {"key": name, "value": value})
        for name in dropped:
            await self._mlflow.call("DELETE", "model-versions/delete-tag", key | {"key": name})

    async def delete(self, workspace: Resource, name: str, version: str) -> bool:
        """Whether there was one."""
        found = await self.find(workspace, name, version)
        if found is None:
            return False
        if found.document is not None:
            self._arm.delete(found.document.id)
        if found.entry is not None:
            await self._mlflow.call("DELETE", "model-versions/delete", {"name": name, "version": version})
        return True


def not_there(workspace: Resource, name: str, version: str | None = None) -> AzureError:
    what = f"{name} and version {version}" if version else name
    return AzureError(404, "ModelNotFound", f"Model with name {what} was not found in workspace {workspace.name}.")


def model_name(document: Resource) -> str:
    return document.id.split("/")[-3]
