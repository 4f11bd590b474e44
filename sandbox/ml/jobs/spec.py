"""What a command job asks for, read and checked before anything starts. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.kernel.errors import AzureError
from sandbox.ml.http import user_error
from sandbox.ml.serving.spec import seconds_of

_REFERENCE = re.compile(r"(?P<before>[\"'=]?)\$\{\{\s*(?P<kind>inputs|outputs|search_space)\.(?P<name>\w+)\s*\}\}")
_OPTIONAL = re.compile(r"\$\[\[(?P<text>.*?)\]\]", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,254}")
_BINDING_NAME = re.compile(r"\w{1,255}", re.ASCII)
LITERAL = "literal"
FILE_TYPES = frozenset({"uri_file", "uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model"})


@dataclass(frozen=True, slots=True)
class Binding:
    """One input or output. `uri` is empty for a literal and for an output without a place of its own."""

    type: str
    uri: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A command job. `timeout` in seconds, None without a limit; ids are ARM's."""

    command: str
    code_id: str | None
    environment_id: str
    compute_id: str | None
    timeout: float | None
    variables: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Binding] = field(default_factory=dict)
    outputs: Mapping[str, Binding] = field(default_factory=dict)

    @classmethod
    def read(cls, name: str, properties: Mapping[str, Any]) -> CommandSpec:
        """From a job's properties; AzureError names what is missing, wrong or not imitated."""
        check_name(name)
        _refuse_unknown(properties)
        limits = properties.get("limits") or {}
        timeout = limits.get("timeout")
        spec = cls(
            command=_required(properties, "command"),
            code_id=properties.get("codeId"),
            environment_id=_required(properties, "environmentId"),
            compute_id=compute_of(properties.get("computeId")),
            timeout=seconds_of(timeout, "properties.limits.timeout") if timeout else None,
            variables={str(key): str(value) for key, value in (properties.get("environmentVariables") or {}).items()},
            inputs=_bindings(properties.get("inputs"), "jobInputType", "inputs"),
            outputs=_bindings(properties.get("outputs"), "jobOutputType", "outputs"),
        )
        check_references(spec.command, {"inputs": spec.inputs, "outputs": spec.outputs}, "The command", "the job")
        return spec

    def command_line(self, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
        """The command with values and paths in place. `$[[...]]` falls away when an input in it was not given."""
        values = {"inputs": inputs, "outputs": outputs}

        def optional(match: re.Match[str]) -> str:
            names = [(each["kind"], each["name"]) for each in _REFERENCE.finditer(match["text"])]
            given = all(name in values.get(kind, {}) for kind, name in names)
            return match["text"] if given else ""

        def put_in(match: re.Match[str]) -> str:
            value = values[match["kind"]][match["name"]]
            is_path = match["kind"] == "outputs" or self.inputs[match["name"]].type != LITERAL
            # Within quotes of the command's own a path stays as it is.
            text = shlex.quote(value) if is_path and match["before"] not in ("'", '"') else value
            return match["before"] + text

        return _REFERENCE.sub(put_in, _OPTIONAL.sub(optional, self.command))


def check_references(command: str, known: Mapping[str, Collection[str]], what: str, owner: str) -> None:
    """AzureError 400 when the command names an input or output that its owner does not have."""
    for match in _REFERENCE.finditer(_OPTIONAL.sub("", command)):
        there = known.get(match["kind"], ())
        if match["name"] not in there:
            names = ", ".join(sorted(there)) or "none"
            raise user_error(
                f"{what} refers to {match['kind']}.{match['name']}, which {owner} does not have; it has: {names}."
            )


def check_name(name: str) -> None:
    """AzureError 400 for a name that a job can't have."""
    if not _NAME.fullmatch(name):
        raise user_error(f"Job name {name!r}: allowed are letters, digits, '-' and '_', at most 255.")


def compute_of(reference: str | None) -> str | None:
    """The compute's id; None for serverless compute."""
    return reference if reference and "/computes/" in reference.lower() else None


def _required(properties: Mapping[str, Any], key: str) -> str:
    value = properties.get(key)
    if not isinstance(value, str) or not value.strip():
        raise user_error(f"A command job needs properties.{key}.")
    return value


def _refuse_unknown(properties: Mapping[str, Any]) -> None:
    nodes = (properties.get("resources") or {}).get("instanceCount") or 1
    if properties.get("distribution") or nodes != 1:
        raise AzureError(
            501, "NotImitatedBySandbox", "The sandbox runs command jobs on one node, without a distribution."
        )


def _bindings(given: Mapping[str, Any] | None, type_key: str, what: str) -> dict[str, Binding]:
    made = {}
    for name, entry in (given or {}).items():
        if entry is None:
            continue
        if not _BINDING_NAME.fullmatch(name):
            raise user_error(f"{what}: the name {name!r} is not allowed; allowed are letters, digits and '_'.")
        kind = str(entry.get(type_key, ""))
        if kind == LITERAL and what == "inputs":
            made[name] = Binding(LITERAL, value=str(entry.get("value", "")))
        elif kind in FILE_TYPES:
            made[name] = Binding(kind, uri=str(entry.get("uri") or ""))
        else:
            allowed = ", ".join(sorted(FILE_TYPES | ({LITERAL} if what == "inputs" else set())))
            raise user_error(f"{what}.{name}: {type_key} is {kind!r}; allowed are {allowed}.")
        if what == "inputs" and kind != LITERAL and not made[name].uri:
            raise user_error(f"inputs.{name}: an input of type {kind} needs a uri.")
    return made
