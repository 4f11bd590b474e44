"""The checks that azure-native makes before anything is sent: what is required, and of which type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.plugins.azure_native import sdk
from sandbox.plugins.azure_native.row import Row
from sandbox.plugins.azure_native.shape import choose
from sandbox.plugins.values import UNKNOWN

_LOCATION_HINT = ". Either set it explicitly or configure it with 'pulumi config set azure-native:location <value>'."


def failures(row: Row, inputs: Mapping[str, Any]) -> list[str]:
    """What is wrong with the inputs, in the real provider's words."""
    found = [_missing(name) for name in row.parameters if name not in inputs]
    found += [
        _missing(name)
        for name, described in row.body_inputs.items()
        if described.required and name not in inputs and name not in row.parameters
    ]
    for name, value in inputs.items():
        if name in row.type.inputs:
            found += _check(row.module, name, row.type.inputs[name].type, value)
    return found


def _missing(path: str) -> str:
    return f"missing required property '{path}'" + (_LOCATION_HINT if path == "location" else "")


def _check(module: str, path: str, described: sdk.TypeRef, value: Any) -> Iterator[str]:
    if value is UNKNOWN or described.kind == "any":
        return
    if isinstance(value, list):
        yield from _check_list(module, path, described, value)
    elif isinstance(value, Mapping):
        yield from _check_mapping(module, path, described, value)
    elif isinstance(value, bool):
        if described.kind != "boolean":
            yield _wrong(path, described, "a boolean")
    elif isinstance(value, str):
        if described.kind != "string":
            yield _wrong(path, described, "a string")
    elif described.kind not in ("integer", "number"):
        yield _wrong(path, described, "a number")
    elif described.kind == "integer" and not float(value).is_integer():
        yield f"'{path}' must be an integer but got {value:f}"


def _check_list(module: str, path: str, described: sdk.TypeRef, value: list[Any]) -> Iterator[str]:
    if described.kind != "array" or described.items is None:
        yield _wrong(path, described, "an array")
        return
    for index, item in enumerate(value):
        yield from _check(module, f"{path}[{index}]", described.items, item)


def _check_mapping(module: str, path: str, described: sdk.TypeRef, value: Mapping[str, Any]) -> Iterator[str]:
    if described.kind == "map" and described.items is not None:
        for key, item in value.items():
            yield from _check(module, f"{path}.{key}", described.items, item)
    elif described.kind == "object":
        _, properties = choose(module, described.classes, value)
        for key, item in properties.items():
            if key in value:
                yield from _check(module, f"{path}.{key}", item.type, value[key])
            elif item.required:
                yield _missing(f"{path}.{key}")
    else:
        yield _wrong(path, described, "an object")


def _wrong(path: str, described: sdk.TypeRef, got: str) -> str:
    return f"'{path}' should be of type '{described.kind}' but got {got}"
