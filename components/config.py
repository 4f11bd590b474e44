"""The only place where Pulumi config is read: one parse into `Settings`, all problems at once.

`parse` is pure; `read` is the thin reader of the running program's config.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from components.config_errors import LOCATION_KEY, PROJECT, Problem, SettingsError, from_pydantic
from components.naming import Names
from components.settings import Settings
from components.strict import problems_of

__all__ = ["Settings", "SettingsError", "names_of", "parse", "read"]


def parse(stack: str, raw: Mapping[str, Any]) -> Settings:
    """The stack's settings. `raw`: key without namespace (and `azure-native:location`) to value.

    Raises `SettingsError` with every problem found: wrong values first; strictness and names once all values are right.
    """
    values = {key: value for key, value in raw.items() if key != LOCATION_KEY}
    clashing = [
        Problem(key, values.pop(key), "not a key of the stack file") for key in ("stack", "location") if key in values
    ]
    if stack in ("dev", "staging", "prod"):
        values.setdefault("environment", stack)
    values |= {"stack": stack} | ({"location": raw[LOCATION_KEY]} if LOCATION_KEY in raw else {})
    try:
        settings = Settings.model_validate(_with_shared_policy(values))
    except ValidationError as error:
        raise SettingsError(stack, [*clashing, *from_pydantic(error, Settings)]) from None
    if found := [*clashing, *problems_of(settings)]:
        raise SettingsError(stack, found)
    return settings


def read() -> Settings:
    """The settings of the running Pulumi program's stack."""
    import pulumi
    from pulumi.runtime.config import CONFIG, get_config_env

    flat: dict[str, Any] = {**(get_config_env() or {}), **CONFIG.get()}
    prefix = f"{PROJECT}:"
    raw = {key.removeprefix(prefix): decode(value) for key, value in flat.items() if key.startswith(prefix)}
    if LOCATION_KEY in flat:
        raw[LOCATION_KEY] = flat[LOCATION_KEY]
    return parse(pulumi.get_stack(), raw)


def decode(value: Any) -> Any:
    """Pulumi hands objects and lists over as JSON text; anything else stays text for pydantic."""
    if isinstance(value, str) and value[:1] in "{[" and value:
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def names_of(settings: Settings, subscription_id: str) -> Names:
    """The names of the stack's resources."""
    return Names(settings.workload, settings.stack, subscription_id, settings.location)


def _with_shared_policy(values: dict[str, Any]) -> dict[str, Any]:
    """`policy` is the base of every endpoint's own, key by key."""
    shared, endpoints = values.get("policy"), values.get("endpoints")
    if not isinstance(shared, Mapping) or not isinstance(endpoints, Mapping):
        return values
    merged = {
        name: {**block, "policy": _merge(shared, block.get("policy", {}))} if isinstance(block, Mapping) else block
        for name, block in endpoints.items()
    }
    return {**values, "endpoints": merged}


def _merge(base: Any, over: Any) -> Any:
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    return {**base, **{key: _merge(base[key], value) if key in base else value for key, value in over.items()}}
