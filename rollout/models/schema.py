"""What goes into a model: its inputs by name, type and order, and how those of two models differ. Pure but for files.

`scoring_schema.json` in the model's folder says most; without it MLflow's signature is what there is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SCORING_SCHEMA, MLMODEL = "scoring_schema.json", "MLmodel"
#: MLflow's types by what clients have to send.
_NUMBERS = frozenset({"long", "integer", "float", "double"})


@dataclass(frozen=True, slots=True)
class Input:
    """One column. `categories`: every allowed one; empty: any, or none known."""

    name: str
    type: str
    categories: tuple[str, ...] = ()
    required: bool = True


def read_inputs(model: Path) -> tuple[Input, ...] | None:
    """The inputs of a model's folder, in order; None when nothing says."""
    schema = model / SCORING_SCHEMA
    if schema.is_file():
        return tuple(_of_schema(each) for each in json.loads(schema.read_text("utf-8"))["columns"])
    described = model / MLMODEL
    if not described.is_file():
        return None
    signature = (yaml.safe_load(described.read_text("utf-8")) or {}).get("signature") or {}
    inputs = json.loads(signature["inputs"]) if signature.get("inputs") else []
    columns = [each for each in inputs if "name" in each]
    return tuple(_of_signature(each) for each in columns) or None


def _of_schema(column: dict[str, Any]) -> Input:
    return Input(
        str(column["name"]),
        str(column["type"]),
        tuple(str(each) for each in column.get("categories") or ()),
        not column.get("nullable", False),
    )


def _of_signature(column: dict[str, Any]) -> Input:
    kind = str(column.get("type", ""))
    plain = "number" if kind in _NUMBERS else "category" if kind == "string" else kind
    return Input(str(column["name"]), plain, (), bool(column.get("required", True)))


def changes(before: tuple[Input, ...], after: tuple[Input, ...]) -> list[str]:
    """How `after` differs, one line a difference; empty when a client notices nothing."""
    old, new = {each.name: each for each in before}, {each.name: each for each in after}
    found = [f"{name}: added, {new[name].type}" for name in new if name not in old]
    found += [f"{name}: removed" for name in old if name not in new]
    for name in (name for name in new if name in old):
        found += _column(old[name], new[name])
    shared = [name for name in old if name in new]
    if shared != [name for name in new if name in old]:
        order = [name for name in new if name in old]
        moved = next(a for a, b in zip(order, shared, strict=True) if a != b)
        found.append(f"order: {moved} has another place")
    return found


def breaking(before: tuple[Input, ...], after: tuple[Input, ...]) -> list[str]:
    """The changes that refuse or misread a request which the old model answers."""
    old, new = {each.name: each for each in before}, {each.name: each for each in after}
    wide = {
        f"{name}: categories added: {', '.join(_more(old[name], new[name]))}"
        for name in new
        if name in old and _more(old[name], new[name])
    }
    optional = {f"{name}: added, {new[name].type}" for name in new if name not in old and not new[name].required}
    eased = {f"{name}: may be missing now" for name in new if name in old}
    return [each for each in changes(before, after) if each not in wide | optional | eased]


def _column(old: Input, new: Input) -> list[str]:
    found = []
    if old.type != new.type:
        found.append(f"{new.name}: {old.type} became {new.type}")
    if old.required != new.required:
        found.append(f"{new.name}: {'must be there now' if new.required else 'may be missing now'}")
    if more := _more(old, new):
        found.append(f"{new.name}: categories added: {', '.join(more)}")
    if fewer := _more(new, old):
        found.append(f"{new.name}: categories removed: {', '.join(fewer)}")
    if new.categories and not old.categories and old.type == new.type == "category":
        found.append(f"{new.name}: took any category, takes {len(new.categories)} now")
    return found


def _more(old: Input, new: Input) -> list[str]:
    """Categories of `new` that `old` lacks; none where either takes any."""
    if not old.categories or not new.categories:
        return []
    return [each for each in new.categories if each not in old.categories]
