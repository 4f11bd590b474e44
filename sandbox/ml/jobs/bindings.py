"""`${{parent...}}`: what a step's inputs are bound to. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.ml.http import user_error
from sandbox.ml.jobs.spec import FILE_TYPES, LITERAL

#: An input or output as a job's document shows it.
Entry = dict[str, Any]
#: The outputs of each step, by its node.
Produced = Mapping[str, Mapping[str, Entry]]

_BINDING = re.compile(
    r"\$\{\{\s*parent\.(?:inputs\.(?P<input>\w+)|jobs\.(?P<job>\w+)\.outputs\.(?P<output>\w+)|outputs\.(?P<own>\w+))\s*\}\}"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What the steps of one pipeline see of it. An input that is there with None was not given."""

    path: str
    inputs: Mapping[str, Entry | None]
    outputs: Mapping[str, Entry]
    compute: str | None
    datastore: str
    experiment: str

    def input(self, name: str, where: str) -> Entry | None:
        if name not in self.inputs:
            names = ", ".join(sorted(self.inputs)) or "none"
            raise user_error(f"{where} is bound to parent.inputs.{name}; the pipeline's inputs are: {names}.")
        entry = self.inputs[name]
        return dict(entry) if entry else None


def bound_input(scope: Scope, produced: Produced, entry: Any, where: str) -> tuple[Entry | None, frozenset[str]]:
    """The input with its binding resolved, None when it was not given, and the nodes whose outputs it is."""
    if entry is None:
        return None, frozenset()
    kind = str(entry.get("job_input_type") or entry.get("jobInputType") or LITERAL)
    if kind in FILE_TYPES and entry.get("uri"):
        return {key: entry[key] for key in ("uri", "mode") if entry.get(key)} | {"jobInputType": kind}, frozenset()
    if kind != LITERAL and kind not in FILE_TYPES:
        raise user_error(
            f"{where}.job_input_type is {kind!r}; allowed are {', '.join(sorted(FILE_TYPES | {LITERAL}))}."
        )
    value = str(entry.get("value") if entry.get("value") is not None else "")
    match = _BINDING.fullmatch(value.strip())
    if match is None:
        return {"jobInputType": LITERAL, "value": bound_text(scope, value, where)}, frozenset()
    mode = {"mode": entry["mode"]} if entry.get("mode") else {}
    if match["input"]:
        found = scope.input(match["input"], where)
        return found and found | mode, frozenset()
    if match["own"]:
        raise user_error(f"{where} is bound to an output of the pipeline; bind it to the step that makes it.")
    outputs = produced.get(match["job"])
    if outputs is None or match["output"] not in outputs:
        what = f"{match['job']}.outputs.{match['output']}"
        raise user_error(f"{where} is bound to parent.jobs.{what}; no step has that output.")
    source = outputs[match["output"]]
    return {"jobInputType": source["jobOutputType"], "uri": source["uri"], **mode}, frozenset({match["job"]})


def bound_text(scope: Scope, text: str, where: str) -> str:
    """The text with values of the pipeline's inputs in place of their bindings."""

    def put_in(match: re.Match[str]) -> str:
        entry = scope.input(match["input"], where) if match["input"] else None
        if entry is None or entry.get("jobInputType") != LITERAL:
            raise user_error(f"{where}: {match[0]} is no value; files and folders are bound whole, as an input.")
        return str(entry["value"])

    made = _BINDING.sub(put_in, text)
    if "${{parent" in made.replace(" ", ""):
        raise user_error(f"{where}: {text!r} is no binding that the sandbox knows.")
    return made
