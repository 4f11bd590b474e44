"""Registered models through azure-ai-ml: a stack's workspace and the ML registry that stacks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.azure.errors import azure_errors
from rollout.azure.mlflow_rest import MlflowRest
from rollout.azure.model_refs import ModelRef
from rollout.azure.quiet import quiet_sdk
from rollout.azure.vault import read_secret
from rollout.errors import BadInput, NotFound, RolloutError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from contract import StackOutputs
    from rollout.azure.cloud import Cloud


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """One version as the service shows it."""

    ref: ModelRef
    tags: Mapping[str, str]
    properties: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    path: str = ""
    created: datetime | None = None

    @property
    def run_id(self) -> str:
        """The run that logged it; empty when none did."""
        return self.properties.get("azureml.runId", "")


class AzureModels:
    """The models that a stack can see: its workspace's, and those of its registry."""

    def __init__(self, cloud: Cloud, outputs: StackOutputs) -> None:
        self._cloud, self._outputs = cloud, outputs
        self._registries: dict[str, MLClient] = {}

    @cached_property
    def workspace(self) -> MLClient:
        return self._cloud.ml_client(self._outputs)

    def registry(self, name: str) -> MLClient:
        """A registry's client. Azure is asked where it is, once."""
        if name not in self._registries:
            with quiet_sdk(), azure_errors(f"find ML registry {name!r}"):
                self._registries[name] = self._cloud.registry_client(name)
        return self._registries[name]

    @property
    def shared(self) -> str:
        """The name of the stack's registry; `NotFound` when it uses none."""
        if self._outputs.model_registry is None:
            raise NotFound(
                f"stack {self._outputs.stack!r} uses no ML registry",
                way_out="set modelRegistry in its stack file (create: true in one stack, its name in the others)",
            )
        return self._outputs.model_registry.name

    def _client(self, ref: ModelRef) -> MLClient:
        return self.registry(ref.registry) if ref.registry else self.workspace

    # Reading

    def get(self, ref: ModelRef) -> RegisteredModel:
        """`NotFound` when there is no such version."""
        try:
            with quiet_sdk(), azure_errors(f"find model {ref}"):
                return _registered(self._client(ref).models.get(ref.name, ref.version), ref.registry)
        except NotFound as error:
            known = ", ".join(each.ref.version for each in self.versions(ref.name, ref.registry)) or "none"
            where = f"registry {ref.registry}" if ref.registry else f"stack {self._outputs.stack!r}"
            raise NotFound(f"model {ref.short} is not in {where}", way_out=f"its versions: {known}") from error

    def find(self, ref: ModelRef) -> RegisteredModel | None:
        """None when there is no such version."""
        try:
            with quiet_sdk(), azure_errors(f"find model {ref}"):
                return _registered(self._client(ref).models.get(ref.name, ref.version), ref.registry)
        except NotFound:
            return None

    def names(self) -> list[str]:
        with quiet_sdk(), azure_errors("list models"):
            return sorted(str(each.name) for each in self.workspace.models.list())

    def versions(self, name: str, registry: str = "") -> list[RegisteredModel]:
        """Of one model, the newest first."""
        client = self.registry(registry) if registry else self.workspace
        with quiet_sdk(), azure_errors(f"list the versions of {name!r}"):
            found = [_registered(each, registry) for each in client.models.list(name)]
        return sorted(found, key=lambda each: each.created.timestamp() if each.created else 0.0, reverse=True)

    def aliases(self, name: str) -> dict[str, list[str]]:
        """Version to its MLflow aliases."""
        return self._mlflow.aliases(name)

    def params(self, model: RegisteredModel) -> dict[str, str]:
        """What the run that made it logged as parameters."""
        return self._mlflow.params(model.run_id)

    def secret(self, vault_uri: str, name: str) -> str:
        """A secret of a key vault."""
        return read_secret(self._cloud, vault_uri, name)

    @cached_property
    def _mlflow(self) -> MlflowRest:
        return MlflowRest(self._cloud, self._outputs.workspace.mlflow_tracking_uri)

    # Files

    def download(self, ref: ModelRef, folder: Path) -> Path:
        """All files of a version; the folder of the model itself, which holds `MLmodel` if it is MLflow's."""
        with quiet_sdk(), azure_errors(f"download model {ref}"):
            self._client(ref).models.download(ref.name, ref.version, str(folder))
        found = sorted(folder.rglob("MLmodel"), key=lambda path: len(path.parts))
        if found:
            return found[0].parent
        root = folder / ref.name
        inner = sorted(root.iterdir()) if root.is_dir() else []
        if not inner:
            raise NotFound(f"model {ref} has no files", way_out="register it again")
        return inner[0] if len(inner) == 1 and inner[0].is_dir() else root

    def add_file(self, ref: ModelRef, name: str, content: bytes) -> None:
        """Put one more file beside a workspace model's files, in the place of an older one of this name.

        What a registry holds can't be changed.
        """
        if ref.registry:
            raise BadInput(f"{ref}: files of a registry's model can't be changed", way_out="sign it before `promote`")
        container, prefix = self._place(self.get(ref))
        blobs = self._cloud.blob_service(self._outputs)
        with azure_errors(f"write {name} of model {ref.short}"):
            blobs.get_container_client(container).upload_blob(f"{prefix}/{name}", content, overwrite=True)

    def _place(self, model: RegisteredModel) -> tuple[str, str]:
        """Container and path of a workspace model's folder, in the stack's storage account."""
        store, found, path = model.path.partition("/datastores/")[2].partition("/paths/")
        if not found:
            raise RolloutError(f"model {model.ref}: its files are at {model.path!r}, which is in no datastore")
        with quiet_sdk(), azure_errors(f"read datastore {store!r}"):
            datastore: Any = self.workspace.datastores.get(store)
        account = str(datastore.account_name).rpartition("/")[2]
        if account != self._outputs.storage.account_name:
            raise BadInput(
                f"model {model.ref}: its files are in storage account {account!r}, not in the stack's"
                f" {self._outputs.storage.account_name!r}",
                way_out="register it in the workspace's own storage",
            )
        return str(datastore.container_name), path.rstrip("/")

    # Writing

    def tag(self, ref: ModelRef, tags: Mapping[str, str]) -> None:
        """Set these tags besides those that are there; nothing is sent when they are."""
        with quiet_sdk(), azure_errors(f"tag model {ref}"):
            client = self._client(ref)
            model = client.models.get(ref.name, ref.version)
            wanted = {**(model.tags or {}), **tags}
            if wanted != (model.tags or {}):
                model.tags = wanted
                client.models.create_or_update(model)

    def share(self, ref: ModelRef, registry: str) -> ModelRef:
        """Copy a workspace's version into a registry, under its own name and number; waits for the copy."""
        with quiet_sdk(), azure_errors(f"share model {ref.short} with registry {registry!r}"):
            self.workspace.models.share(
                ref.name, ref.version, share_with_name=ref.name, share_with_version=ref.version, registry_name=registry
            )
        return ModelRef(ref.name, ref.version, registry)


def _registered(model: Any, registry: str) -> RegisteredModel:
    context = model.creation_context
    return RegisteredModel(
        ref=ModelRef(str(model.name), str(model.version), registry),
        tags={str(key): str(value) for key, value in (model.tags or {}).items()},
        properties={str(key): str(value) for key, value in (model.properties or {}).items()},
        kind=str(model.type or ""),
        path=str(model.path or ""),
        created=context.created_at if context is not None else None,
    )
