"""Checks an ARM body against Microsoft's own models: unknown, missing and read-only fields.

Two generations of SDKs are read: those with `_attribute_map` and those with `rest_field`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_MODEL = re.compile(r"_models\.(\w+)")
_WRITES = {"create", "update"}


@dataclass
class Node:
    """One field: what it takes, and what is below it."""

    required: bool = False
    readonly: bool = False
    model: type | None = None
    #: "list", "dict" or "" (the value itself).
    container: str = ""
    children: dict[str, Node] = field(default_factory=dict)


def problems(model: type, body: Any, path: str = "") -> Iterator[str]:
    """What the model says against the body, one line each: `kind path`."""
    if not isinstance(body, Mapping):
        yield f"shape {path}: an object is wanted, not {type(body).__name__}"
        return
    chosen = subtype(model, body)
    yield from _against(nodes(chosen), body, path, open_ended(chosen))


def _against(known: Mapping[str, Node], body: Mapping[str, Any], path: str, anything: bool) -> Iterator[str]:
    for key, node in known.items():
        if node.required and not node.readonly and body.get(key) is None:
            yield f"missing {path}{key}"
    for key, value in body.items():
        found = known.get(key)
        if found is None:
            if not anything:
                yield f"unknown {path}{key}"
        elif found.readonly:
            yield f"read-only {path}{key}"
        else:
            yield from _value(found, value, f"{path}{key}")


def _value(node: Node, value: Any, path: str) -> Iterator[str]:
    if node.children:
        yield from _against(node.children, value, f"{path}.", anything=False)
    elif node.model is None or value is None:
        return
    elif node.container == "list":
        for number, item in enumerate(value):
            yield from problems(node.model, item, f"{path}[{number}].")
    elif node.container == "dict":
        for key, item in value.items():
            yield from problems(node.model, item, f"{path}.{key}.")
    else:
        yield from problems(node.model, value, f"{path}.")


def open_ended(model: type) -> bool:
    """Whether the model takes fields that it does not name."""
    return "additional_properties" in getattr(model, "_attribute_map", {})


def nodes(model: type) -> dict[str, Node]:
    """The model's fields by their names on the wire."""
    return _old_nodes(model) if hasattr(model, "_attribute_map") else _new_nodes(model)


def subtype(model: type, body: Mapping[str, Any]) -> type:
    """The subclass that the body's discriminator names."""
    if hasattr(model, "_attribute_map"):
        chosen = model
        for attribute, by_value in getattr(model, "_subtype_map", {}).items():
            key = model._attribute_map[attribute]["key"].replace("\\.", ".")  # type: ignore[attr-defined]
            name = by_value.get(body.get(key))
            chosen = _named(model, name) or model if name else model
        return chosen if chosen is model else subtype(chosen, body)
    for value, other in getattr(model, "__mapping__", {}).items():
        if other is not model and value in body.values() and issubclass(other, model):
            return subtype(other, body)
    return model


def _named(model: type, name: str) -> type | None:
    found = getattr(sys.modules[model.__module__], name, None)
    return (
        found if isinstance(found, type) and (hasattr(found, "_attribute_map") or hasattr(found, "_is_model")) else None
    )


def _old_nodes(model: type) -> dict[str, Node]:
    result: dict[str, Node] = {}
    rules = getattr(model, "_validation", {})
    for attribute, described in model._attribute_map.items():  # type: ignore[attr-defined]
        if attribute == "additional_properties":
            continue
        *outer, last = re.split(r"(?<!\\)\.", described["key"])
        level = result
        for part in outer:
            level = level.setdefault(part, Node()).children
        kind, rule = described["type"], rules.get(attribute, {})
        container = {"[": "list", "{": "dict"}.get(kind[0], "")
        level[last.replace("\\.", ".")] = Node(
            required=bool(rule.get("required")) and not outer,
            readonly=bool(rule.get("readonly")),
            model=_named(model, kind.strip("[]{}")),
            container=container,
        )
    return result


def _new_nodes(model: Any) -> dict[str, Node]:
    result: dict[str, Node] = {}
    model.__new__(model)  # computes the fields of the class
    annotations: dict[str, Any] = {}
    for each in reversed(model.__mro__):
        annotations |= getattr(each, "__annotations__", {})
    for attribute, described in model._attr_to_rest_field.items():
        text = str(annotations.get(attribute, "Optional[Any]"))
        bare = text.replace("typing.", "").removeprefix("Optional[").lower()
        visibility = described._visibility
        result[described._rest_name] = Node(
            required="Optional[" not in text and "NoneType" not in text,
            readonly=bool(visibility) and not _WRITES & set(visibility),
            model=_annotated(model, text),
            container=next((kind for kind in ("list", "dict") if bare.startswith(kind)), ""),
        )
    return result


def _annotated(model: type, text: str) -> type | None:
    for name in _MODEL.findall(text):
        found = _named(model, name)
        if found is not None:
            return found
    return None
