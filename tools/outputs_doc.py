"""Writes docs/outputs.md: every output of a stack with its type, unit and meaning, from `contract.StackOutputs`.

Run from the repository: python tools/outputs_doc.py
"""

from __future__ import annotations

import json
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from contract.outputs import StackOutputs  # noqa: E402

TARGET = ROOT / "docs" / "outputs.md"
#: What the prod stack exports, kept current by tests/contract.
GOLDEN = ROOT / "tests" / "contract" / "outputs.prod.json"
_UNITS = {
    "usd": "USD a month", "ms": "ms", "minutes": "min", "hours": "h", "seconds": "s", "days": "days", "percent": "%",
    "rate": "share, 0 to 1", "budget": "share, 0 to 1", "hour": "USD an hour",
}  # fmt: skip
_HEAD = """# Outputs

Generated from `contract/outputs.py` by `make docs`; a test holds it to the contract.

`pulumi stack output rollout --json --stack prod` gives all of it as one document, which `rollout` reads and checks; its
`schema_version` rises when readers would break. `<name>` stands for each key of a mapping, `[]` for each item of a list. No
output is a secret: keys, tokens and webhook addresses are never among them (a test reads the exported state for them).

| output | type | unit | what it is |
|---|---|---|---|
"""
_FLAT = """
## By name

What people and scripts ask for most is there alone too, e.g. `pulumi stack output scoring_uris`:

"""


@dataclass(frozen=True, slots=True)
class Output:
    """One value that a reader can get at."""

    path: str
    type: str
    unit: str
    description: str


def outputs(model: type[BaseModel] = StackOutputs, prefix: str = "") -> Iterator[Output]:
    """Every leaf of the contract, in its order."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        inner, suffix = _model_in(field.annotation)
        if inner is None:
            yield Output(path, _type(field.annotation), _unit(name, field), field.description or "")
        else:
            yield from outputs(inner, f"{path}{suffix}.")


def render() -> str:
    """The whole page."""
    lines = [f"| `{each.path}` | {each.type} | {each.unit} | {each.description} |\n" for each in outputs()]
    flat = sorted(json.loads(GOLDEN.read_text("utf-8")).keys() - {"rollout"})
    return _HEAD + "".join(lines) + _FLAT + "".join(f"- `{name}`\n" for name in flat)


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model that a type holds, and how to get to it: '', '.<name>' or '[]'."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    if origin is dict:
        inner, suffix = _model_in(arguments[1])
        return inner, f".<name>{suffix}"
    if origin is tuple:
        inner, suffix = _model_in(arguments[0])
        return inner, f"[]{suffix}"
    if origin in (types.UnionType, typing.Union):
        found = [_model_in(each) for each in arguments]
        return next((each for each in found if each[0] is not None), (None, ""))
    if origin is typing.Annotated:
        return _model_in(arguments[0])
    return None, ""


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    if origin is dict:
        return f"mapping of {_type(arguments[1])}"
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join("none" if each is type(None) else _type(each) for each in arguments)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{each.value}`" for each in annotation)
    return {str: "text", int: "integer", float: "number", bool: "yes or no"}.get(annotation, str(annotation))


def _unit(name: str, field: FieldInfo) -> str:
    words = name.split("_")
    by_name = next((_UNITS[word] for word in reversed(words) if word in _UNITS), "")
    return by_name or ("share, 0 to 1" if 1.0 in _upper_limits(field) else "")


def _upper_limits(field: FieldInfo) -> set[float]:
    """Of the field, or of one of the types that it may have."""
    fields = [each for part in typing.get_args(field.annotation) for each in getattr(part, "__metadata__", ())]
    limits = [*field.metadata, *(limit for each in fields for limit in getattr(each, "metadata", ()))]
    return {limit.le for limit in limits if hasattr(limit, "le")}


def main() -> int:
    TARGET.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
