"""What the steps need to know of the stack that a model is for: its gates, and the endpoint that will serve it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.outputs import Endpoint, StackOutputs
from contract.policy import Gates


class TargetError(ValueError):
    """The file is not a target; the message says why."""


class Target(BaseModel):
    """A part of the stack's outputs, small enough to go with a job. The defaults are a stack's of its own: dev."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str = "dev"
    environment: Literal["dev", "staging", "prod"] = "dev"
    location: str = ""
    gates: Gates = Gates()
    endpoint: Endpoint | None = Field(default=None, description="none: the stack has no endpoint for the model")

    @classmethod
    def of(cls, outputs: StackOutputs, use_case: str) -> Target:
        """The use case's part of a stack; its endpoint is the one that is named after it or serves its model."""
        serving = [each for each in outputs.endpoints.values() if each.model_name == use_case]
        return cls(
            stack=outputs.stack,
            environment=outputs.environment,
            location=outputs.location,
            gates=outputs.gates,
            endpoint=outputs.endpoints.get(use_case) or next(iter(serving), None),
        )


def read_target(path: Path | None) -> Target:
    """The target in a JSON file; without a file dev's defaults. `TargetError` names what is wrong."""
    if path is None:
        return Target()
    try:
        return Target.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError) as error:
        raise TargetError(f"{path}: not a target: {error}") from error
