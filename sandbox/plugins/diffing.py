"""Differences between property maps: in detail for the engine, and as a change to carry over to other values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sandbox.plugins.protocol import provider_pb2

Equal = Callable[[str, Any, Any], bool]
Kind: TypeAlias = "provider_pb2.PropertyDiff.Kind.ValueType"
_Kind = provider_pb2.PropertyDiff


@dataclass(frozen=True, slots=True)
class Diff:
    """`detailed` maps property paths to a kind; `replaces` are the paths that can't change in place."""

    detailed: dict[str, Kind]
    replaces: list[str]

    @property
    def changed(self) -> list[str]:
        """The top-level properties that differ."""
        return sorted({path.split(".")[0].split("[")[0] for path in self.detailed})


def difference(old: Mapping[str, Any], new: Mapping[str, Any], immutable: Collection[str], equal: Equal) -> Diff:
    """What changed. `immutable` are paths with `[]` for any index; a change at or below one asks for a replacement."""
    detailed: dict[str, Kind] = {}
    _walk(old, new, "", "", detailed, _Rules(frozenset(immutable), equal))
    replaces = sorted(path for path, kind in detailed.items() if kind in _REPLACE.values())
    return Diff(detailed, replaces)


_REPLACE = {_Kind.ADD: _Kind.ADD_REPLACE, _Kind.DELETE: _Kind.DELETE_REPLACE, _Kind.UPDATE: _Kind.UPDATE_REPLACE}


@dataclass(frozen=True, slots=True)
class _Rules:
    immutable: frozenset[str]
    equal: Equal

    def kind(self, generic: str, kind: Kind) -> Kind:
        fixed = any(generic == path or generic.startswith((path + ".", path + "[")) for path in self.immutable)
        return _REPLACE[kind] if fixed else kind


_MISSING = object()


def _walk(old: Any, new: Any, path: str, generic: str, found: dict[str, Kind], rules: _Rules) -> None:
    """Compare two values at `path`; `generic` is the path with `[]` in place of the indexes."""
    if old is _MISSING or new is _MISSING:
        found[path] = rules.kind(generic, _Kind.ADD if old is _MISSING else _Kind.DELETE)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            inner = f"{path}.{key}" if path else key
            inner_generic = f"{generic}.{key}" if generic else key
            _walk(old.get(key, _MISSING), new.get(key, _MISSING), inner, inner_generic, found, rules)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _MISSING
            after = new[index] if index < len(new) else _MISSING
            _walk(before, after, f"{path}[{index}]", f"{generic}[]", found, rules)
    elif not rules.equal(generic, old, new):
        found[path] = rules.kind(generic, _Kind.UPDATE)


def carry_over(base: Any, old: Any, new: Any) -> Any:
    """`base` with what changed between `old` and `new`; what did not change there stays as it is in `base`."""
    if isinstance(base, Mapping) and isinstance(old, Mapping) and isinstance(new, Mapping):
        result = {key: value for key, value in base.items() if not (key in old and key not in new)}
        for key, value in new.items():
            if key in old and old[key] == value:
                continue
            result[key] = carry_over(base[key], old[key], value) if key in base and key in old else value
        return result
    if isinstance(base, list) and isinstance(old, list) and isinstance(new, list):
        both = min(len(base), len(old))
        return [
            (base[i] if old[i] == item else carry_over(base[i], old[i], item)) if i < both else item
            for i, item in enumerate(new)
        ]
    return new
