"""Between the SDK's shape of a resource and ARM's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.plugins.azure_native import sdk
from sandbox.plugins.azure_native.catalogue import NESTED
from sandbox.plugins.azure_native.row import NestedClass, Row
from sandbox.plugins.values import UNKNOWN

_IDENTITIES = "userAssignedIdentities"
_AS_IT_IS = NestedClass()


def request_body(row: Row, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What is PUT for these inputs."""
    top: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for name, described in row.body_inputs.items():
        if name in inputs:
            target = top if row.is_top(name) else inner
            target[row.rename.get(name, name)] = to_arm(row.module, described.type, inputs[name])
    if inner or row.container:
        top["properties"] = inner
    return top


def outputs(row: Row, document: Mapping[str, Any], api_version: str) -> dict[str, Any]:
    """The SDK's view of an ARM document: only what the SDK's class has."""
    inner = document.get("properties") or {}
    result: dict[str, Any] = {}
    for name, described in row.type.outputs.items():
        source = document if row.answers_at_top(name) else inner
        arm_name = row.rename.get(name, name)
        if name == "properties" and row.flattened and not row.laid_out:
            source = document
        if not row.flattened and arm_name not in document:
            source = inner  # a key vault's key: `properties` going in, laid out coming out
        if source.get(arm_name) is not None:
            result[name] = from_arm(row.module, described, source[arm_name])
    result["azureApiVersion"] = api_version
    return result


def project(row: Row, view: Mapping[str, Any]) -> dict[str, Any]:
    """The writable part of outputs, in the shape of inputs."""
    return {
        name: _writable(row.module, described.type, view[name])
        for name, described in row.body_inputs.items()
        if name in view
    }


def preview(row: Row, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs as far as the inputs tell them; the rest is unknown until the update."""
    return {
        name: _preview(row.module, described, inputs[name]) if name in inputs else UNKNOWN
        for name, described in row.type.outputs.items()
    }


def to_arm(module: str, described: sdk.TypeRef, value: Any) -> Any:
    """A value of the SDK's shape in ARM's."""
    return _convert(module, described, value, _object_to_arm)


def from_arm(module: str, described: sdk.TypeRef, value: Any) -> Any:
    """A value of ARM's shape in the SDK's."""
    return _convert(module, described, value, _object_from_arm)


_ObjectConverter = Callable[[str, tuple[str, ...], Mapping[str, Any]], dict[str, Any]]


def _convert(module: str, described: sdk.TypeRef, value: Any, convert_object: _ObjectConverter) -> Any:
    if isinstance(value, list) and described.kind == "array" and described.items:
        return [_convert(module, described.items, item, convert_object) for item in value]
    if isinstance(value, Mapping) and described.kind == "map" and described.items:
        return {key: _convert(module, described.items, item, convert_object) for key, item in value.items()}
    if isinstance(value, Mapping) and described.kind == "object":
        return convert_object(module, described.classes, value)
    return value


def _object_to_arm(module: str, classes: tuple[str, ...], value: Mapping[str, Any]) -> dict[str, Any]:
    name, properties = choose(module, classes, value)
    differs = nested_class(module, name)
    top: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for key, item in value.items():
        described = properties[key].type if key in properties else sdk.ANY
        converted = to_arm(module, described, item)
        if key == _IDENTITIES and isinstance(converted, list):
            converted = {identity: {} for identity in converted}
        target = top if differs.keep is None or key in differs.keep else inner
        target[differs.rename.get(key, key)] = converted
    if inner:
        top["properties"] = inner
    return top


def _object_from_arm(module: str, classes: tuple[str, ...], value: Mapping[str, Any]) -> dict[str, Any]:
    name, properties = choose(module, classes, _laid_out(module, classes, value))
    differs = nested_class(module, name)
    names = {arm: key for key, arm in differs.rename.items()}
    source = _laid_out(module, (name,), value)
    result: dict[str, Any] = {}
    for arm_key, item in source.items():
        key = names.get(arm_key, arm_key)
        described = properties[key].type if key in properties else sdk.ANY
        if item is not None:
            result[key] = from_arm(module, described, item)
    return result


def _laid_out(module: str, classes: tuple[str, ...], value: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its `properties` beside the rest, where the class has them so."""
    wraps = any(nested_class(module, name).keep is not None for name in classes)
    inner = value.get("properties")
    if not wraps or not isinstance(inner, Mapping):
        return dict(value)
    return {**{key: item for key, item in value.items() if key != "properties"}, **inner}


def nested_class(module: str, name: str) -> NestedClass:
    """How a class differs from ARM's shape."""
    return NESTED.get((module, name.removesuffix("Args").removesuffix("Response")), _AS_IT_IS)


def choose(module: str, classes: tuple[str, ...], value: Mapping[str, Any]) -> tuple[str, dict[str, sdk.Property]]:
    """The class of a union that the value's discriminator names; the first when none does."""
    first = classes[0]
    for name in classes:
        properties = sdk.nested_type(module, name)
        renamed = nested_class(module, name).rename
        constants = {key: item.constant for key, item in properties.items() if item.constant is not None}
        if constants and all(value.get(key, value.get(renamed.get(key, key))) == is_ for key, is_ in constants.items()):
            return name, properties
    return first, sdk.nested_type(module, first)


def _writable(module: str, described: sdk.TypeRef, value: Any) -> Any:
    """The part of an output that an input class has too."""
    if isinstance(value, list) and described.kind == "array" and described.items:
        return [_writable(module, described.items, item) for item in value]
    if isinstance(value, Mapping) and described.kind == "map" and described.items:
        return {key: _writable(module, described.items, item) for key, item in value.items()}
    if isinstance(value, Mapping) and described.kind == "object":
        _, properties = choose(module, described.classes, value)
        return {key: _writable(module, item.type, value[key]) for key, item in properties.items() if key in value}
    if isinstance(value, Mapping) and described.kind == "array":  # identities: a list in, a map out
        return sorted(value)
    return value


def _preview(module: str, described: sdk.TypeRef, value: Any) -> Any:
    """An input with unknowns for what only Azure can tell."""
    if isinstance(value, list) and described.kind == "array" and described.items:
        return [_preview(module, described.items, item) for item in value]
    if isinstance(value, list) and described.kind == "map":  # identities: a list in, a map out
        return UNKNOWN
    if isinstance(value, Mapping) and described.kind == "map" and described.items:
        return {key: _preview(module, described.items, item) for key, item in value.items()}
    if isinstance(value, Mapping) and described.kind == "object":
        _, properties = choose(module, described.classes, value)
        known = {key: _preview(module, _of(properties, key), item) for key, item in value.items()}
        return {**{key: UNKNOWN for key in properties}, **known}
    return value


def _of(properties: Mapping[str, sdk.Property], key: str) -> sdk.TypeRef:
    return properties[key].type if key in properties else sdk.ANY
