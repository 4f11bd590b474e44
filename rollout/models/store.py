"""What this package needs of the world; `rollout.azure.models.AzureModels` is one, tests give one in memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from rollout.azure.model_refs import ModelRef
from rollout.azure.models import RegisteredModel


class Models(Protocol):
    """Registered models, of a stack's workspace and of ML registries."""

    def get(self, ref: ModelRef) -> RegisteredModel: ...
    def find(self, ref: ModelRef) -> RegisteredModel | None: ...
    def download(self, ref: ModelRef, folder: Path) -> Path: ...
    def add_file(self, ref: ModelRef, name: str, content: bytes) -> None: ...
    def tag(self, ref: ModelRef, tags: Mapping[str, str]) -> None: ...
    def share(self, ref: ModelRef, registry: str) -> ModelRef: ...
