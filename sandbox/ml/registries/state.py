"""The models of ML registries: documents below the registry, bytes in a storage account that the registry makes.

A version's files are copied in by an import from a workspace, or uploaded; they never change afterwards.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.arm.catalogue.common import new_key
from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.assets import created_at, drop_nulls
from sandbox.ml.datastores import Datastores, Location
from sandbox.ml.http import PROVIDER, WORKSPACE_TYPE, user_error
from sandbox.ml.models import ModelStore
from sandbox.ml.transfer import NothingThere, download, upload

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState
    from sandbox.storage.state import StorageState

TYPE = f"{PROVIDER}/registries"
VERSION_TYPE = f"{TYPE}/models/versions"
_STORAGE = "Microsoft.Storage/storageAccounts"
_WORKSPACE_ASSET = re.compile(
    r"azureml://locations/[^/]+/workspaces/(?P<workspace>[^/]+)/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
)
_REGISTRY_ASSET = re.compile(
    r"azureml://registries/(?P<registry>[^/]+)/models/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
)
#: What a PUT of an existing version may change.
_EDITABLE = ("tags", "properties", "description", "isArchived", "stage")
_IMPORTED = ("modelType", "flavors", "tags", "properties", "description", "stage")


def registry_asset(reference: str) -> tuple[str, str, str] | None:
    """(registry, name, version) of `azureml://registries/...`; None for any other reference."""
    match = _REGISTRY_ASSET.fullmatch(reference.removesuffix("/"))
    return (match["registry"], match["name"], match["version"]) if match else None


class Registries:
    """Models by registry, name and version."""

    def __init__(self, sandbox: Sandbox, models: ModelStore, datastores: Datastores) -> None:
        self._sandbox, self._models, self._datastores = sandbox, models, datastores

    @property
    def _arm(self) -> ArmState:
        state: ArmState = self._sandbox.states["arm"]
        return state

    @property
    def _storage(self) -> StorageState:
        state: StorageState = self._sandbox.states["storage"]
        return state

    # Reading

    def find(self, name: str) -> Resource:
        """A registry by its name, which is unique in the tenant; AzureError 404 when there is none."""
        for registry in self._arm.of_type(TYPE):
            if registry.name.lower() == name.lower():
                return registry
        raise AzureError(404, "RegistryNotFound", f"Registry '{name}' was not found.")

    def versions(self, registry: Resource, name: str | None = None) -> list[Resource]:
        """All versions of a model, or of all models, the newest last."""
        below = f"{registry.id}/models/{name}" if name else registry.id
        return sorted(self._arm.children(below, VERSION_TYPE), key=created_at)

    def version(self, registry: Resource, name: str, version: str) -> Resource:
        """AzureError 404 when there is none."""
        found = self._arm.get(version_id(registry, name, version))
        if found is None:
            raise AzureError(
                404, "ModelNotFound", f"Model {name} and version {version} was not found in registry {registry.name}."
            )
        return found

    async def materialise(self, reference: str) -> tuple[Path, Resource]:
        """The local files of `azureml://registries/...`, read only, and their document."""
        asset = registry_asset(reference)
        if asset is None:
            raise user_error(f"'{reference}' does not name a model of a registry.")
        registry = self.find(asset[0])
        found = self.version(registry, *asset[1:])
        return await self._models.files.fetch(registry, found.properties["modelUri"]), found

    # Places

    def place(self, registry: Resource, name: str, version: str) -> Location:
        """Where the files of a version go: a container of its own, as SAS tokens are for containers."""
        digest = uuid.uuid5(uuid.NAMESPACE_URL, version_id(registry, name, version).lower())
        return Location(self._account(registry), f"{digest}", "")

    def _account(self, registry: Resource) -> str:
        """The registry's own storage account, in a group that Azure manages; made when it is first needed."""
        guid = uuid.uuid5(uuid.NAMESPACE_URL, registry.id.lower()).hex
        account, owner = guid[:20], parse(registry.id)
        group = f"/subscriptions/{owner.subscription}/resourceGroups/azureml-rg-{registry.name}_{guid[:12]}"
        identity = f"{group}/providers/{_STORAGE}/{account}"
        if self._arm.get(identity) is None:
            made = self._arm.new(identity, location=registry.location)
            made.private = {"keys": {"key1": new_key(64), "key2": new_key(64)}}
            made.sku, made.kind = {"name": "Standard_LRS"}, "StorageV2"
            made.extra = {"managedBy": registry.id}
            self._arm.put(made)
        return account

    # Writing

    def source(self, asset_id: str) -> tuple[Resource, str, str]:
        """The workspace, name and version behind `azureml://locations/...`; AzureError when there is no such workspace."""
        match = _WORKSPACE_ASSET.fullmatch(asset_id)
        if match is None:
            raise user_error(f"'{asset_id}' does not name a model of a workspace.")
        for workspace in self._arm.of_type(WORKSPACE_TYPE):
            if workspace.properties.get("workspaceId") == match["workspace"]:
                return workspace, match["name"], match["version"]
        raise AzureError(404, "WorkspaceNotFound", f"Workspace {match['workspace']} was not found.")

    async def take_over(
        self, registry: Resource, source: tuple[Resource, str, str], target: tuple[str, str]
    ) -> None:  # fmt: skip
        """Copy a workspace's model, file by file. The version is there once all of them are; repeating changes nothing."""
        workspace, name, version = source
        found = await self._models.get(workspace, name, version)
        identity = version_id(registry, *target)
        if self._arm.get(identity) is not None:
            return
        origin = self._datastores.locate(workspace, found.properties["modelUri"])
        leaf = origin.path.rstrip("/").rsplit("/", 1)[-1]
        place = self.place(registry, *target)
        await asyncio.to_thread(self._copy, origin, Location(place.account, place.container, leaf))
        document = self._arm.new(identity)
        document.properties = {key: found.properties.get(key) for key in _IMPORTED}
        document.properties |= {
            "modelUri": public_uri(place, leaf),
            "isAnonymous": False,
            "isArchived": False,
            "provisioningState": "Succeeded",
            "intellectualProperty": None,
        }
        document.properties = drop_nulls(document.properties)
        self._arm.put(document)

    def _copy(self, origin: Location, target: Location) -> None:
        with tempfile.TemporaryDirectory(dir=self._sandbox.home, prefix="import-") as folder:
            try:
                files = download(self._storage, origin, Path(folder))
            except NothingThere as error:
                raise user_error(f"The files of the model are not there: {error}.") from error
            upload(self._storage, files, target)

    def save(self, registry: Resource, name: str, version: str, properties: dict[str, Any]) -> bool:
        """Create the version from uploaded files (True), or change its tags and the like. Files can't be changed."""
        old = self._arm.get(version_id(registry, name, version))
        if old is not None:
            uri = properties.get("modelUri") or old.properties["modelUri"]
            if self._datastores.locate(registry, uri) != self._datastores.locate(registry, old.properties["modelUri"]):
                raise user_error("Asset paths cannot be updated.")
            old.properties |= {key: properties[key] for key in _EDITABLE if key in properties}
            self._arm.put(old)
            return False
        place = self.place(registry, name, version)
        location = self._datastores.locate(registry, str(properties.get("modelUri") or ""))
        if (location.account, location.container) != (place.account, place.container):
            raise user_error("properties.modelUri: files go where the temporary data reference says.")
        document = self._arm.new(version_id(registry, name, version))
        defaults = {"isAnonymous": False, "isArchived": False, "tags": {}, "properties": {}, "flavors": {}}
        fixed = {"modelUri": public_uri(place, location.path), "provisioningState": "Succeeded"}
        document.properties = defaults | properties | fixed
        self._arm.put(document)
        return True


def version_id(registry: Resource, name: str, version: str) -> str:
    return f"{registry.id}/models/{name}/versions/{version}"


def public_uri(place: Location, path: str) -> str:
    """Azure's own form, which azure-ai-ml takes apart; it reads the files by the link of a data reference."""
    return f"https://{place.account}.blob.core.windows.net/{place.container}/{path}"
