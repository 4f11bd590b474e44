"""Components: commands and pipelines with typed inputs and outputs, kept as versioned assets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.arm.ids import parse
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError
from sandbox.ml.http import PROVIDER, user_error
from sandbox.ml.jobs.spec import FILE_TYPES, LITERAL, check_references

TYPE = f"{PROVIDER}/workspaces/components"
COMMAND, PIPELINE = "command", "pipeline"
KINDS = (COMMAND, PIPELINE)
#: Types of values, and how a value of the type is read.
VALUE_TYPES = ("string", "number", "integer", "boolean")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output as a component declares it."""

    type: str
    optional: bool = False
    default: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_value(self) -> bool:
        return self.type in VALUE_TYPES

    def check(self, value: str, where: str) -> None:
        """AzureError 400 when the value is not of the type, or not within `min`, `max` and `enum`."""
        try:
            number = float(int(value)) if self.type == "integer" else float(value) if self.type == "number" else None
        except ValueError as error:
            raise user_error(f"{where} is {value!r}; the component wants type {self.type}.") from error
        if self.type == "boolean" and value.lower() not in ("true", "false"):
            raise user_error(f"{where} is {value!r}; the component wants type boolean.")
        low, high = self.limits.get("min"), self.limits.get("max")
        if number is not None and (
            (low is not None and number < float(low)) or (high is not None and number > float(high))
        ):
            raise user_error(f"{where} is {value}; the component allows {low} to {high}.")
        allowed = self.limits.get("enum")
        if allowed and value not in [str(each) for each in allowed]:
            raise user_error(f"{where} is {value!r}; the component allows {', '.join(map(str, allowed))}.")


@dataclass(frozen=True, slots=True)
class Component:
    """One version of a component; `spec` is its own text."""

    kind: str
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    spec: Mapping[str, Any]

    @classmethod
    def read(cls, spec: Mapping[str, Any], where: str) -> Component:
        """AzureError 400 names what is wrong below `where`, 501 what is not imitated."""
        kind = str(spec.get("type", ""))
        if kind not in KINDS:
            raise AzureError(
                501, "NotImitatedBySandbox", f"{where}.type: the sandbox does not imitate components of type {kind!r}."
            )
        for key in ("command", "environment") if kind == COMMAND else ("jobs",):
            if not spec.get(key):
                raise user_error(f"{where}.{key}: a {kind} component needs it.")
        return cls(
            kind,
            {name: _port(entry, f"{where}.inputs.{name}") for name, entry in (spec.get("inputs") or {}).items()},
            {
                name: _port(entry, f"{where}.outputs.{name}", FILE_TYPES)
                for name, entry in (spec.get("outputs") or {}).items()
            },
            spec,
        )


def _port(entry: Any, where: str, allowed: frozenset[str] = FILE_TYPES | set(VALUE_TYPES)) -> Port:
    kind = str(entry.get("type", "")) if isinstance(entry, dict) else ""
    if kind not in allowed:
        raise user_error(f"{where}.type is {kind!r}; allowed are {', '.join(sorted(allowed))}.")
    default = entry.get("default")
    limits = {key: entry[key] for key in ("min", "max", "enum") if entry.get(key) is not None}
    return Port(kind, bool(entry.get("optional")), None if default is None else str(default), limits)


def asset_id(reference: Any) -> str | None:
    """The ARM id in `azureml:/subscriptions/...`; None for None. AzureError 501 for a registry's."""
    if reference is None:
        return None
    text = str(reference).removeprefix("azureml:")
    if text.startswith("//registries/"):
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox has no registries: '{reference}'.")
    return text


def check(arm: ArmState, properties: Mapping[str, Any]) -> None:
    """Before a version is kept: its text, and that the code, environment and components that it names are there."""
    where = "properties.componentSpec"
    spec = properties.get("componentSpec")
    if not isinstance(spec, dict):
        raise user_error(f"{where} must be an object.")
    component = Component.read(spec, where)
    if component.kind == COMMAND:
        ports = {"inputs": component.inputs, "outputs": component.outputs}
        check_references(spec["command"], ports, f"{where}.command", "it")
        _there(arm, spec.get("code"), f"{where}.code")
        _there(arm, spec["environment"], f"{where}.environment")
        return
    for name, node in spec["jobs"].items():
        _there(arm, node.get("componentId"), f"{where}.jobs.{name}.componentId")


def _there(arm: ArmState, reference: Any, where: str) -> None:
    identity = asset_id(reference)
    if identity is None:
        return
    if not identity.startswith("/subscriptions/") or arm.get(parse(identity).text) is None:
        raise user_error(f"{where}: '{reference}' was not found.")


def component_of(arm: ArmState, reference: Any, where: str) -> Component:
    """The component that an ARM id names; AzureError 400 when there is none."""
    identity = asset_id(reference)
    if identity is None:
        raise user_error(f"{where}: a step needs a component.")
    _there(arm, reference, where)
    resource = arm.get(identity)
    if resource is None or resource.type.lower() != f"{TYPE}/versions".lower():
        raise user_error(f"{where}: '{reference}' is not a component.")
    return Component.read(resource.properties["componentSpec"], where)


def value_entry(value: str) -> dict[str, Any]:
    """A job's input that is a value."""
    return {"jobInputType": LITERAL, "value": value}
