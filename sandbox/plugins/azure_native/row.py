"""What a row of the catalogue holds, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from sandbox.plugins.azure_native import sdk

#: Properties that ARM keeps beside `properties`, for nearly every type.
ENVELOPE = frozenset(
    {
        "etag", "eTag", "extendedLocation", "id", "identity", "kind", "location", "managedBy", "name", "plan",
        "sku", "systemData", "tags", "type", "zones",
    }
)  # fmt: skip
_NONE: Mapping[str, Any] = MappingProxyType({})
_PARAMETER = re.compile(r"\{(\w+)\}")
GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One resource type: where it lives, and how its SDK shape differs from ARM's.

    Inputs that are not in the path go into the body: those of ENVELOPE at the top, the
    rest into `properties`, unless the type has `properties` as an input of its own.

    inner        envelope names that this type keeps in `properties`
    rename       SDK name -> ARM name, for properties of the type itself
    immutable    a change of these replaces the resource (the path's parameters always do)
    query        inputs that travel in the query string
    keep_unset   sub-resources that an update must not wipe when the program leaves them out
    laid_out     an input named `properties` is one property among others: ARM's are laid out all the same
    container    ARM wants `properties` even where there is nothing to put in
    singleton    exists with its parent: created by an update, and set to this body by a delete
    """

    token: str
    path: str
    inner: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=lambda: _NONE)
    immutable: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()
    keep_unset: tuple[str, ...] = ()
    laid_out: bool = False
    container: bool = False
    singleton: Mapping[str, Any] | None = None

    @property
    def module(self) -> str:
        return self.token.split(":")[0]

    @cached_property
    def type(self) -> sdk.SdkType:
        """The SDK's class of this token."""
        return sdk.resource_type(self.module, self.token.split(":")[1])

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The inputs that make the path, the subscription apart; the last is the resource's name."""
        return tuple(name for name in _PARAMETER.findall(self.path) if name != "subscriptionId")

    @property
    def name_parameter(self) -> str:
        return self.parameters[-1]

    @cached_property
    def flattened(self) -> bool:
        """Whether the SDK lays the content of `properties` out among the inputs."""
        return self.laid_out or "properties" not in self.type.inputs

    def is_top(self, name: str) -> bool:
        """Whether ARM has this property beside `properties`."""
        return not self.flattened or (name in ENVELOPE and name not in self.inner)

    def answers_at_top(self, name: str) -> bool:
        """The same of an output. Of a key the SDK takes `properties` as a block, and lays them out in its answer."""
        laid_out = self.flattened or "properties" not in self.type.outputs
        return not laid_out or (name in ENVELOPE and name not in self.inner)

    @cached_property
    def body_inputs(self) -> dict[str, sdk.Property]:
        """The inputs that are sent in the body."""
        apart = {*self.parameters, *self.query}
        own_names = self.type.inputs.keys() - apart
        return {name: self.type.inputs[name] for name in sorted(own_names)}

    @property
    def located(self) -> bool:
        return "location" in self.body_inputs

    def resource_id(self, inputs: Mapping[str, Any], subscription_id: str) -> str:
        """The ARM id for these inputs."""
        values = {**inputs, "subscriptionId": subscription_id}
        filled = _PARAMETER.sub(lambda match: str(values[match[1]]).strip("/"), self.path)
        return "/" + filled.lstrip("/")  # a scope may be given with its slash or without

    def parse_id(self, resource_id: str) -> dict[str, str]:
        """The path's inputs from an ARM id; ValueError shows the form that is expected."""
        pattern = "".join(_id_pattern(part) for part in re.split(r"(\{\w+\})", self.path))
        match = re.fullmatch(pattern, resource_id, re.IGNORECASE)
        if match is None:
            raise ValueError(f"'{resource_id}' is not the id of a {self.token}; expected {self.path}")
        return {name: value for name, value in match.groupdict().items() if name != "subscriptionId"}

    @property
    def random_name(self) -> bool:
        """Whether a name that the program leaves out gets a random suffix; children copy their logical name."""
        return self.name_parameter in ("endpointName", "customDomainName") or (
            "/providers/" not in self.path or self.path.rsplit("/providers/", 1)[1].count("{") == 1
        )

    @property
    def uuid_name(self) -> bool:
        return self.name_parameter in ("roleAssignmentName", "roleDefinitionId")


def _id_pattern(part: str) -> str:
    """A parameter at the start of the path is a scope: it spans slashes."""
    if not part.startswith("{"):
        return re.escape(part)
    name = part[1:-1]
    return f"(?P<{name}>.+?)" if name in ("scope", "resourceUri") else f"(?P<{name}>[^/]+)"


@dataclass(frozen=True, kw_only=True, slots=True)
class NestedClass:
    """How a class inside a type differs from ARM: `keep` stay, the others go to its `properties`; `rename`."""

    keep: frozenset[str] | None = None
    rename: Mapping[str, str] = field(default_factory=lambda: _NONE)


def row(token: str, path: str, **differences: Any) -> Row:
    """A row; collections may be given as tuples. A path without a leading slash or brace is below a resource group."""
    full = path if path.startswith(("/", "{")) else f"{GROUP}/providers/{path}"
    for name in ("inner", "immutable", "query"):
        if name in differences:
            differences[name] = frozenset(differences[name])
    return Row(token=token, path=full, **differences)


def wrapped(*keep: str) -> NestedClass:
    """A class that ARM wraps in `properties`, all but the fields in `keep`."""
    return NestedClass(keep=frozenset(keep))
