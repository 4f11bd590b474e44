"""Reads a stack's outputs: from the Pulumi CLI or from a JSON file. Imports neither the Pulumi SDK nor any Azure SDK."""

from __future__ import annotations

import json
import shutil
import subprocess  # nosec B404  # runs the Pulumi CLI
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contract.outputs import SCHEMA_VERSION, StackOutputs
from rollout.errors import BadInput, NotFound, RolloutError, Unavailable

#: The name of the output that holds everything.
OUTPUT = "rollout"
_SHOWN_PROBLEMS = 5


def read_outputs(source: str | Path, *, project: Path | None = None, timeout: float = 60.0) -> StackOutputs:
    """The outputs of a stack, or of a JSON file (a `Path`, or text that ends in `.json`).

    `project`: folder of Pulumi.yaml, by default the nearest at or above the current one. `timeout`: seconds for the CLI.
    Raises `NotFound` (stack, file or output), `BadInput` (not ours, or another version), `Unavailable` (CLI or backend).
    """
    if isinstance(source, Path) or source.endswith(".json"):
        return parse_outputs(_from_file(Path(source)), str(source))
    return parse_outputs(_from_cli(source, project or find_project(), timeout), f"stack '{source}'")


def parse_outputs(outputs: object, origin: str) -> StackOutputs:
    """`outputs`: all of a stack's outputs, or the value of the one named `rollout`; `origin` is for messages."""
    document = outputs.get(OUTPUT, outputs) if isinstance(outputs, Mapping) else outputs
    if not isinstance(document, Mapping) or "schema_version" not in document:
        raise NotFound(
            f"{origin} has no output '{OUTPUT}'",
            way_out="run `pulumi up` on it first; a preview leaves no outputs",
        )
    found = document["schema_version"]
    if found != SCHEMA_VERSION:
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise BadInput(
            f"{origin}: outputs are of version {found}, this rollout reads version {SCHEMA_VERSION}",
            way_out="update this checkout" if newer else "run `pulumi up` on the stack with this checkout",
        )
    try:
        # by way of JSON, so that lists become tuples and numbers are taken as the file has them
        return StackOutputs.model_validate_json(json.dumps(dict(document)))
    except ValidationError as error:
        raise BadInput(
            f"{origin}: outputs are not what rollout expects: {_problems(error)}",
            way_out="run `pulumi up` on the stack with this checkout",
        ) from None


def find_project(start: Path | None = None) -> Path:
    """The nearest folder with a Pulumi.yaml, at or above `start` (the current folder)."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise NotFound(
        f"no Pulumi.yaml in {start} or above", way_out="run this inside the project, or give a JSON file of outputs"
    )


def _from_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(
            f"{path} does not exist", way_out="write it with: pulumi stack output --json --stack <stack> > outputs.json"
        ) from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} can't be read as JSON: {error}") from None


def _from_cli(stack: str, project: Path, timeout: float) -> Any:
    pulumi = shutil.which("pulumi")
    if pulumi is None:
        raise Unavailable(
            "the Pulumi CLI is not on PATH",
            way_out='run `rollout doctor`; for the sandbox: eval "$(rollout sandbox env)"',
        )
    command = [pulumi, "stack", "output", "--json", "--stack", stack, "--cwd", str(project), "--non-interactive"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, check=False
        )  # nosec B603  # no shell
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"stack '{stack}': the Pulumi CLI did not answer in {timeout:g} s",
            way_out="check the state backend: pulumi whoami -v",
        ) from None
    if answer.returncode != 0:
        raise _cli_error(stack, answer.stderr)
    try:
        return json.loads(answer.stdout)
    except ValueError:
        raise Unavailable(f"stack '{stack}': the Pulumi CLI answered no JSON: {answer.stdout[:200]!r}") from None


def _cli_error(stack: str, message: str) -> RolloutError:
    said = " ".join(message.split()).removeprefix("error: ")
    if "no stack named" in said or "no previous deployment" in said:
        return NotFound(
            f"there is no stack '{stack}'", way_out=f"see `pulumi stack ls`, or make it: pulumi up --stack {stack}"
        )
    if "passphrase" in said:
        return BadInput(
            f"stack '{stack}': {said}", way_out="set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE"
        )
    return Unavailable(f"stack '{stack}': {said}", way_out="check the state backend: pulumi whoami -v")


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    lines = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in found[:_SHOWN_PROBLEMS]]
    return "; ".join(lines) + (f"; and {len(found) - _SHOWN_PROBLEMS} more" if len(found) > _SHOWN_PROBLEMS else "")
