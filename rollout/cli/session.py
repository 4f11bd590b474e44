"""From a command's arguments to the things it works with: outputs, endpoint, adapters, controller."""

from __future__ import annotations

import getpass
import os
import platform
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.azure.cloud import cloud_from_environment
from rollout.azure.world import AzureWorld
from rollout.cli.output import errors
from rollout.clock import Clock, clock_from_environment
from rollout.controller.controller import Controller, Patience
from rollout.errors import BadInput, NotFound

if TYPE_CHECKING:
    from contract import RolloutPolicy, StackOutputs
    from contract.outputs import Endpoint

ACTOR_VARIABLE = "ROLLOUT_ACTOR"


@dataclass(frozen=True)
class Session:
    """One endpoint of one stack, and who acts on it. `name` is the use case in the outputs."""

    outputs: StackOutputs
    name: str
    endpoint: Endpoint
    clock: Clock
    actor: str
    payload_file: str = ""

    @cached_property
    def azure(self) -> AzureWorld:
        return AzureWorld(
            cloud_from_environment(), self.outputs, self.endpoint, self.clock, payload_file=self.payload_file
        )

    @cached_property
    def controller(self) -> Controller:
        return Controller(self.endpoint.name, self.azure.world(), self.actor, patience=Patience(tell=_waiting))


def _waiting(text: str) -> None:
    errors().print(f"waiting for its turn: {text}", style="yellow", markup=False)


def open_session(endpoint: str, stack: str, outputs_file: str, *, payload: str = "", actor: str = "") -> Session:
    """`NotFound` lists the endpoints that the stack has."""
    outputs = load_outputs(stack, outputs_file)
    name, found = pick_endpoint(outputs, endpoint)
    return Session(outputs, name, found, clock_from_environment(), actor or who_acts(), payload)


def load_outputs(stack: str, outputs_file: str) -> StackOutputs:
    """The outputs of a stack or a file; exactly one has to be named."""
    from contract.reader import read_outputs

    if stack and outputs_file:
        raise BadInput(
            f"a stack ({stack!r}) and a file of outputs ({outputs_file!r}) are both named",
            way_out="give one of --stack (ROLLOUT_STACK) and --outputs (ROLLOUT_OUTPUTS)",
        )
    if outputs_file:
        return read_outputs(Path(outputs_file))
    if not stack:
        raise BadInput(
            "no stack is named",
            way_out="--stack dev, ROLLOUT_STACK=dev, or --outputs file.json (pulumi stack output -j)",
        )
    return read_outputs(stack)


def pick_endpoint(outputs: StackOutputs, wanted: str) -> tuple[str, Endpoint]:
    """By use case, else by Azure's name."""
    for name, endpoint in outputs.endpoints.items():
        if wanted in (name, endpoint.name):
            return name, endpoint
    known = ", ".join(f"{name} ({endpoint.name})" for name, endpoint in sorted(outputs.endpoints.items()))
    raise NotFound(f"stack {outputs.stack!r} has no endpoint {wanted!r}", way_out=f"it has: {known or 'none'}")


def who_acts() -> str:
    """`$ROLLOUT_ACTOR`, else the user of the CI job, else user@host."""
    return (
        os.environ.get(ACTOR_VARIABLE)
        or os.environ.get("GITHUB_ACTOR")
        or os.environ.get("BUILD_REQUESTEDFOR")
        or f"{getpass.getuser()}@{platform.node()}"
    )


def changed_policy(policy: RolloutPolicy, steps: str, bake_minutes: float | None) -> RolloutPolicy:
    """The stack's policy with this run's steps and bake; `BadInput` names the option."""
    from pydantic import ValidationError

    changes: dict[str, Any] = {}
    if steps:
        changes["steps"] = _parse_steps(steps)
    if bake_minutes is not None:
        changes["bake_minutes"] = bake_minutes
    try:
        return type(policy).model_validate(policy.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--bake-minutes" if "bake_minutes" in first["loc"] else "--steps"
        said = first["msg"].removeprefix("Value error, ")
        raise BadInput(f"{option}: {said}", way_out="for example --steps 10,50,100 --bake-minutes 10") from error


def _parse_steps(text: str) -> list[int]:
    try:
        return [int(part.strip().removesuffix("%")) for part in text.split(",")]
    except ValueError as error:
        raise BadInput(
            f"--steps {text!r}: not a list of percentages", way_out="for example --steps 10,50,100"
        ) from error


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless --yes; where nobody can be asked --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput("there is nobody to ask here", way_out="look with --dry-run, then say --yes")
    import typer

    typer.confirm(question, abort=True)
