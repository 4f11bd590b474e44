"""What the installed pulumi-azure-native SDK says of its types, read from its source.

The provider's own schema is not in the Python package; its generated classes are.
Importing them takes seconds; only the classes that a stack uses are parsed here.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

_GETTER = re.compile(r'@pulumi\.getter(?:\(name="(?P<wire>\w+)"\))?\n\s+def (?P<python>\w+)\(self\) -> (?P<type>.+):\n')
_API_VERSION = re.compile(r"Uses Azure REST API version ([\w-]+)\.")
_CONSTANT = re.compile(r"pulumi\.set\(__self__, \"(\w+)\", '([^']*)'\)")
_SIGNATURE = re.compile(r"def __init__\(__self__, \*,(.*?)\):\n", re.DOTALL)
_NEXT_STATEMENT = re.compile(r"^(?:class |@|if |def )", re.MULTILINE)
_SCALARS = {"str": "string", "bool": "boolean", "int": "integer", "float": "number", "Any": "any"}


@dataclass(frozen=True, slots=True)
class TypeRef:
    """What a property may hold. `kind`: string, boolean, integer, number, any, array, map, object."""

    kind: str
    items: TypeRef | None = None
    classes: tuple[str, ...] = ()


ANY = TypeRef("any")


@dataclass(frozen=True, slots=True)
class Property:
    """A property of an SDK class, by its camelCase name."""

    type: TypeRef
    required: bool = False
    constant: str | None = None


@dataclass(frozen=True, slots=True)
class SdkType:
    """A resource class of the SDK: its inputs and outputs by camelCase name, and its default API version."""

    module: str
    api_version: str
    inputs: dict[str, Property]
    outputs: dict[str, TypeRef]


class NoSuchType(Exception):
    """The SDK has no class for a token."""


@cache
def sdk_folder() -> Path:
    """Where pulumi_azure_native is installed."""
    spec = importlib.util.find_spec("pulumi_azure_native")
    if spec is None or not spec.submodule_search_locations:
        raise NoSuchType("pulumi_azure_native is not installed for this interpreter")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def resource_type(module: str, name: str) -> SdkType:
    """The class `name` of the SDK's `module`, e.g. storage, StorageAccount."""
    source = _read(sdk_folder() / module / f"{snake_case(name)}.py")
    version = _API_VERSION.search(source)
    resource = _class_source(source, name)
    if version is None or resource is None:
        raise NoSuchType(f"pulumi_azure_native.{module}.{name} is not a resource of the installed SDK")
    # Where a nested class already has the name, the SDK calls the resource's own FooInitArgs.
    arguments = _class_source(source, f"{name}Args") or _class_source(source, f"{name}InitArgs")
    inputs = _properties(arguments or "")
    outputs = {wire: _sharper(_parse(text), inputs.get(wire)) for wire, _, text in _getters(resource)}
    return SdkType(module, version.group(1), inputs, outputs)


@cache
def nested_type(module: str, name: str) -> dict[str, Property]:
    """The properties of a class of the module's `_inputs.py` (FooArgs) or `outputs.py` (FooResponse)."""
    file = "outputs.py" if name.endswith(("Response", "Result")) else "_inputs.py"
    source = _class_source(_read(sdk_folder() / module / file), name)
    if source is None:
        raise NoSuchType(f"pulumi_azure_native.{module} has no class {name}")
    properties = _properties(source)
    inputs_file = sdk_folder() / module / "_inputs.py"
    if file == "outputs.py" and inputs_file.exists():
        inputs = _properties(_class_source(_read(inputs_file), name.removesuffix("Response") + "Args") or "")
        return {key: replace(item, type=_sharper(item.type, inputs.get(key))) for key, item in properties.items()}
    return properties


def _sharper(output: TypeRef, given: Property | None) -> TypeRef:
    """An output's type. The SDK calls a union of classes Any there; the input of that name tells more."""
    vague = output.kind == "any" or (output.items is not None and output.items.kind == "any")
    return given.type if vague and given is not None else output


def snake_case(name: str) -> str:
    """BlobContainer -> blob_container, as the SDK names its files."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", parted).lower()


@cache
def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NoSuchType(f"the installed pulumi_azure_native has no {path.parent.name}/{path.name}") from error


def _class_source(source: str, name: str) -> str | None:
    """The text of one top-level class, its decorators left out."""
    # A plain search: the modules' files are megabytes long, and an expression of its own for each name takes ten times as long.
    start = max(source.find(f"\nclass {name}{after}") for after in (":\n", "("))
    if start < 0:
        return None
    end = _NEXT_STATEMENT.search(source, start + 1 + len("class"))
    return source[start + 1 : end.start() if end else len(source)]


def _getters(source: str) -> Iterator[tuple[str, str, str]]:
    """camelCase name, Python name and annotation of each property of a class."""
    for match in _GETTER.finditer(source):
        yield match["wire"] or match["python"], match["python"], match["type"]


def _properties(source: str) -> dict[str, Property]:
    """The properties of an input or output class; required are those with no default."""
    required, constants = _required(source), dict(_CONSTANT.findall(source))
    return {
        wire: Property(_parse(annotation), python in required, constants.get(python))
        for wire, python, annotation in _getters(source)
    }


def _required(source: str) -> set[str]:
    """The keyword parameters of `__init__` that have no default."""
    match = _SIGNATURE.search(source)
    if match is None:
        return set()
    function = ast.parse(f"def f(*,{match[1]}): pass").body[0]
    assert isinstance(function, ast.FunctionDef)  # nosec B101  # the text starts with def
    arguments = function.args
    return {
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None and not _optional(argument.annotation)
    }


def _optional(annotation: ast.expr | None) -> bool:
    """A parameter without a default may still be optional: the SDK lists required ones first, some with a value."""
    return annotation is not None and "Optional[" in ast.unparse(annotation)


@cache
def _parse(annotation: str) -> TypeRef:
    return _type(ast.parse(annotation.strip(), mode="eval").body)


def _type(node: ast.expr) -> TypeRef:
    """An annotation of the SDK: Input, Output and Optional are looked through."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _named(node.value)
    if isinstance(node, ast.Attribute):
        return TypeRef(_SCALARS.get(node.attr, "any"))
    if isinstance(node, ast.Name):
        return TypeRef(_SCALARS.get(node.id, "any"))
    if not isinstance(node, ast.Subscript):
        return ANY
    outer = ast.unparse(node.value).rsplit(".", 1)[-1]
    arguments = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "Sequence":
        return TypeRef("array", _type(arguments[0]))
    if outer == "Mapping":
        return TypeRef("map", _type(arguments[1]))
    if outer == "Union":
        return _union([_type(argument) for argument in arguments])
    return _type(arguments[0])


def _named(name: str) -> TypeRef:
    """A forward reference: an input class, an output class, or an enum (a string)."""
    short = name.rsplit(".", 1)[-1]
    if short.endswith(("Args", "ArgsDict", "Response", "Result")):
        return TypeRef("object", classes=(short.removesuffix("Dict"),))
    return TypeRef("string") if re.fullmatch(r"\w+", short) else _parse(name)


def _union(members: list[TypeRef]) -> TypeRef:
    objects = [member for member in members if member.kind == "object"]
    if objects:
        classes = tuple(dict.fromkeys(name for member in objects for name in member.classes))
        return TypeRef("object", classes=classes)
    kinds = {member.kind for member in members}
    return members[0] if len(kinds) == 1 else ANY
