"""Models in memory: a workspace and a registry, with folders instead of blobs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contract.outputs import StackOutputs
from contract.policy import Gates, ModelTrust
from rollout.azure.model_refs import ModelRef
from rollout.azure.models import RegisteredModel
from rollout.errors import NotFound, Unavailable
from tests.unit.cli_rig import outputs_document

METRICS = {"accuracy": "0.93", "precision": "0.88", "recall": "0.84", "f1": "0.86", "auc": "0.95"}


def new_key() -> bytes:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_model(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "model.skops").write_bytes(b"weights")
    return folder


class FakeModels:
    """`broken`: what fails once, "share" or "tag"; as if the connection dropped after the work was done."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.tags, self.calls, self.broken = folder, dict[str, dict[str, str]](), list[str](), ""
        self.shared = ""

    def add(self, name: str, version: str, tags: Mapping[str, str] = METRICS) -> Path:
        ref = ModelRef(name, version)
        self.tags[str(ref)] = dict(tags)
        return write_model(self._place(ref))

    def _place(self, ref: ModelRef) -> Path:
        return self.folder / (ref.registry or "workspace") / ref.name / ref.version

    def get(self, ref: ModelRef) -> RegisteredModel:
        found = self.find(ref)
        if found is None:
            raise NotFound(f"model {ref} is not there")
        return found

    def find(self, ref: ModelRef) -> RegisteredModel | None:
        tags = self.tags.get(str(ref))
        return None if tags is None else RegisteredModel(ref, dict(tags))

    def download(self, ref: ModelRef, folder: Path) -> Path:
        return Path(shutil.copytree(self._place(ref), folder / "model"))

    def add_file(self, ref: ModelRef, name: str, content: bytes) -> None:
        self.calls.append(f"add {name}")
        (self._place(ref) / name).write_bytes(content)

    def tag(self, ref: ModelRef, tags: Mapping[str, str]) -> None:
        self._drop("tag")
        self.calls.append(f"tag {ref}")
        self.tags[str(ref)] |= tags

    def share(self, ref: ModelRef, registry: str) -> ModelRef:
        shared = ModelRef(ref.name, ref.version, registry)
        self.calls.append(f"share {ref}")
        shutil.copytree(self._place(ref), self._place(shared))
        self.tags[str(shared)] = dict(self.tags[str(ref)])
        self._drop("share")
        return shared

    def _drop(self, what: str) -> None:
        if self.broken == what:
            self.broken = ""
            raise Unavailable(f"{what}: the connection dropped")


def stack(
    name: Any, gates: Gates | None = None, trust: ModelTrust | None = None, registry: str = "reg"
) -> StackOutputs:
    shared = {"name": registry, "id": "/r", "resource_group": "rg", "owned": name == "staging"}
    document = outputs_document() | {"stack": name, "environment": name, "model_registry": shared}
    document |= {"gates": (gates or Gates()).model_dump(), "model_trust": (trust or ModelTrust()).model_dump()}
    return StackOutputs.model_validate(document)
