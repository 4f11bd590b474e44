"""Where a deployment's model, code and environment come from: the workspace's assets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.datastores import BLOB_STORE
from sandbox.ml.registries.state import registry_asset

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState
    from sandbox.ml.state import MlState

_SHORT_ID = re.compile(r"azureml:(?P<name>[^:@/]+):(?P<version>[^:@/]+)")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's file or folder, and its name below AZUREML_MODEL_DIR."""

    path: Path
    name: str


class Materials(Protocol):
    """Assets by the reference that a deployment gives. AzureError for what does not exist."""

    async def model(self, workspace: Resource, reference: str) -> ModelFiles: ...
    async def code(self, workspace: Resource, reference: str) -> Path: ...
    async def environment(self, workspace: Resource, reference: str) -> dict[str, Any]: ...
    async def context(self, workspace: Resource, uri: str) -> Path:
        """The folder of a Docker build."""

    async def check(self, workspace: Resource, kind: str, reference: str) -> None:
        """Only whether it is there; `kind` is models, codes or environments."""


class WorkspaceAssets:
    """The materials of the sandbox's workspaces."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    @property
    def _arm(self) -> ArmState:
        state: ArmState = self._sandbox.states["arm"]
        return state

    @property
    def _ml(self) -> MlState:
        state: MlState = self._sandbox.states["ml"]
        return state

    async def model(self, workspace: Resource, reference: str) -> ModelFiles:
        if registry_asset(reference) is not None:
            path, shared = await self._ml.registries.materialise(reference)
            return ModelFiles(path, _leaf(shared.properties["modelUri"]))
        name, version = _name_and_version(workspace, "models", reference)
        path = await self._ml.models.materialise(workspace, name, version)
        # The name that was uploaded or logged, as on Azure; where it is kept here may be called otherwise.
        found = await self._ml.models.get(workspace, name, version)
        return ModelFiles(path, _leaf(found.properties["modelUri"]))

    async def code(self, workspace: Resource, reference: str) -> Path:
        code = self._document(workspace, "codes", reference)
        return await self._ml.models.files.fetch(workspace, code.properties["codeUri"])

    async def environment(self, workspace: Resource, reference: str) -> dict[str, Any]:
        return self._document(workspace, "environments", reference).properties

    async def context(self, workspace: Resource, uri: str) -> Path:
        # azure-ai-ml builds the address from the account's host, which here is that of all accounts: the account is lost
        container, _, path = urlsplit(uri).path.lstrip("/").partition("/")
        store = self._ml.datastores.get(workspace, BLOB_STORE).properties
        if container == store["containerName"]:
            uri = self._ml.datastores.uri(workspace, BLOB_STORE, path)
        return await self._ml.models.files.fetch(workspace, uri)

    async def check(self, workspace: Resource, kind: str, reference: str) -> None:
        if kind != "models":
            self._document(workspace, kind, reference)
            return
        if (asset := registry_asset(reference)) is not None:
            self._ml.registries.version(self._ml.registries.find(asset[0]), *asset[1:])
            return
        name, version = _name_and_version(workspace, kind, reference)
        if await self._ml.models.find(workspace, name, version) is None:
            raise _unknown(kind, reference)

    def _document(self, workspace: Resource, kind: str, reference: str) -> Resource:
        found = self._arm.get(asset_id(workspace.id, kind, reference))
        if found is None:
            raise _unknown(kind, reference)
        return found


def asset_id(workspace_id: str, kind: str, reference: str) -> str:
    """The ARM id behind `azureml:name:version`, an ARM id, or an ARM id with `azureml:` before it."""
    if reference.startswith("azureml://registries/"):
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox's registries hold models only: '{reference}'.")
    if (short := _SHORT_ID.fullmatch(reference)) is not None:
        return f"{workspace_id}/{kind}/{short['name']}/versions/{short['version']}"
    reference = reference.removeprefix("azureml:")
    if not reference.startswith("/subscriptions/") or f"/{kind}/" not in reference.lower():
        raise AzureError(400, "BadRequest", f"'{reference}' does not name one of the workspace's {kind}.")
    return reference


def _name_and_version(workspace: Resource, kind: str, reference: str) -> tuple[str, str]:
    names = parse(asset_id(workspace.id, kind, reference)).names
    if len(names) < 2:
        raise AzureError(400, "BadRequest", f"'{reference}' names no version.")
    return names[-2], names[-1]


def _leaf(uri: str) -> str:
    """The name that was uploaded or logged."""
    return uri.rstrip("/").rsplit("/", 1)[-1]


def _unknown(kind: str, reference: str) -> AzureError:
    return AzureError(
        400, "BadRequest", f"The deployment names '{reference}', which is not one of the workspace's {kind}."
    )
