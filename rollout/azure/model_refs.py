"""How a registered model is named: `churn:7` in the stack's workspace, or by its address in an ML registry. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rollout.errors import BadInput

_NAME = r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,254})"
_VERSION = r"(?P<version>[A-Za-z0-9._-]{1,30})"
_SHORT = re.compile(rf"{_NAME}:{_VERSION}")
_SHARED = re.compile(
    rf"azureml://registries/(?P<registry>[A-Za-z0-9][A-Za-z0-9_-]{{2,32}})/models/{_NAME}/versions/{_VERSION}"
)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """One version. `registry` is empty for the workspace's own."""

    name: str
    version: str
    registry: str = ""

    @property
    def short(self) -> str:
        return f"{self.name}:{self.version}"

    def __str__(self) -> str:
        if not self.registry:
            return self.short
        return f"azureml://registries/{self.registry}/models/{self.name}/versions/{self.version}"


def parse_model(text: str) -> ModelRef:
    """`BadInput` for what is neither form."""
    shared = _SHARED.fullmatch(text)
    if shared is not None:
        return ModelRef(shared["name"], shared["version"], shared["registry"])
    found = _SHORT.fullmatch(text.removeprefix("azureml:"))
    if found is None:
        raise BadInput(
            f"model {text!r} is not NAME:VERSION",
            way_out="for example --model churn:7, or azureml://registries/REGISTRY/models/churn/versions/7",
        )
    return ModelRef(found["name"], found["version"])
