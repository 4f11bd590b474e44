"""Versioned assets that are documents: environments, data, code and components. Models are in `models.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sandbox.arm.model import Resource
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError
from sandbox.ml import components
from sandbox.ml.conda import CondaError, EnvironmentSpec
from sandbox.ml.http import PROVIDER, Call, user_error

#: azure-ai-ml compares the whole message.
_PATH_CHANGED = "Asset paths cannot be updated."
#: What it asks for when it wants a component and no version of it: the newest.
_DEFAULT_VERSION = "azureml_default"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of asset: its place in the path, what of it can't change, and its defaults."""

    plural: str
    singular: str
    fixed: tuple[str, ...]
    defaults: Mapping[str, Any]
    check: Callable[[ArmState, dict[str, Any]], None] = lambda _arm, _properties: None
    #: The name under which azure-ai-ml keeps what has no name of its own; not listed.
    anonymous: str = ""

    @property
    def type(self) -> str:
        return f"{PROVIDER}/workspaces/{self.plural}"


def _check_environment(_arm: ArmState, properties: dict[str, Any]) -> None:
    if properties.get("build") and not properties.get("inferenceConfig"):
        raise AzureError(
            501,
            "NotImitatedBySandbox",
            "The sandbox does not build Docker contexts, but runs those of custom containers (inferenceConfig); give a conda file.",
        )
    try:
        EnvironmentSpec.from_conda(properties.get("condaFile") or "")
    except CondaError as error:
        raise user_error(f"The environment's conda file is invalid: {error}.") from error


_COMMON: Mapping[str, Any] = {"isAnonymous": False, "isArchived": False, "tags": {}, "properties": {}}
ENVIRONMENTS = Kind(
    "environments", "environment", ("condaFile", "image", "inferenceConfig", "build"),
    {**_COMMON, "environmentType": "UserCreated", "osType": "Linux"}, _check_environment,
)  # fmt: skip
DATA = Kind("data", "data", ("dataUri", "dataType"), _COMMON)
CODES = Kind("codes", "code", ("codeUri",), _COMMON)
COMPONENTS = Kind("components", "component", ("componentSpec",), _COMMON, components.check, "azureml_anonymous")
KINDS = (ENVIRONMENTS, DATA, CODES, COMPONENTS)


# The store


def version_of(call: Call, kind: Kind) -> Resource:
    """AzureError 404 in the words that azure-ai-ml passes on."""
    resource = call.arm.get(call.id(kind.plural, call["name"], "versions", call["version"]))
    if call["version"] == _DEFAULT_VERSION:
        resource = max(versions_of(call, kind, call["name"]), key=created_at, default=None)
    if resource is None:
        raise missing(call, kind, call["name"], call["version"])
    return resource


def missing(call: Call, kind: Kind, name: str, version: str | None = None) -> AzureError:
    what = f"{name} and version {version}" if version else name
    return user_error(f"Could not find {kind.singular} with name {what} in workspace {call.workspace.name}.", 404)


def versions_of(call: Call, kind: Kind, name: str) -> list[Resource]:
    return call.arm.children(call.id(kind.plural, name), f"{kind.type}/versions")


def container_properties(versions: list[Resource]) -> dict[str, Any]:
    """What a container tells of its versions: the newest, and the number that comes next."""
    newest = max(versions, key=created_at, default=None)
    numbers = [int(version.name) for version in versions if version.name.isdigit()]
    return {
        "latestVersion": newest.name if newest else None,
        "nextVersion": str(max(numbers, default=0) + 1),
        "isArchived": False,
        "tags": {},
        "properties": {},
    }


def created_at(resource: Resource) -> str:
    return str(resource.system_data.get("createdAt", ""))


T = TypeVar("T")


def selected(call: Call, resources: list[Resource]) -> list[Resource]:
    """As `$orderBy`, `$top`, `$skip`, `listViewType` and `tags` ask."""
    return selected_of(call, resources, created_at, lambda each: each.properties)


def selected_of(
    call: Call, items: list[T], created: Callable[[T], str], properties: Callable[[T], dict[str, Any]]
) -> list[T]:
    """The same for anything that has a time of creation and properties."""
    view = call.query.get("listViewType", "ActiveOnly").lower()
    if view != "all":
        items = [each for each in items if bool(properties(each).get("isArchived")) == (view == "archivedonly")]
    for wanted in filter(None, call.query.get("tags", "").split(",")):
        items = [each for each in items if _tagged(properties(each).get("tags") or {}, wanted)]
    # Newest first unless asked otherwise, as the service answers.
    order = call.query.get("$orderBy", "").lower().split()
    descending = not order or order[-1] == "desc"
    items = sorted(items, key=created, reverse=descending)
    skip, top = _number(call, "$skip", 0), _number(call, "$top", len(items))
    return items[skip : skip + top]


def _tagged(tags: Mapping[str, str], wanted: str) -> bool:
    key, has_value, value = wanted.partition("=")
    return key in tags and (not has_value or tags[key] == value)


def _number(call: Call, name: str, default: int) -> int:
    value = call.query.get(name, "")
    if value and not value.isdigit():
        raise user_error(f"{name}={value!r} must be a whole number.")
    return int(value) if value else default


# Writing


def save_version(call: Call, kind: Kind, properties: dict[str, Any]) -> tuple[Resource, bool]:
    """Keep the version, and its container; 409 when it exists and differs in what can't change."""
    kind.check(call.arm, properties)
    name, version = call["name"], call["version"]
    identity = call.id(kind.plural, name, "versions", version)
    old = call.arm.get(identity)
    if old is not None:
        refuse_change(kind, old.properties, properties, name, version)
    container = call.id(kind.plural, name)
    principal = call.request.state.principal
    if call.arm.get(container) is None:
        call.arm.put(call.arm.new(container), principal)
    resource = old or call.arm.new(identity)
    resource.properties = properties | {"provisioningState": "Succeeded"}
    return call.arm.put(resource, principal), old is None


def refuse_change(kind: Kind, old: dict[str, Any], new: dict[str, Any], name: str, version: str) -> None:
    """AzureError when a part of the asset that can't change would."""
    for key in kind.fixed:
        if key in new and _plain(old.get(key)) != _plain(new[key]):
            if key.lower().endswith("uri"):
                raise user_error(_PATH_CHANGED)
            raise user_error(
                f"The {kind.singular} {name}:{version} exists and its {key} can't be changed; use another version.", 409
            )


def _plain(value: Any) -> Any:
    return value.strip().rstrip("/").lower() if isinstance(value, str) else value


def drop_nulls(properties: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in properties.items() if value is not None}
