"""GET of one and of many: what a list holds, by where it is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox.arm.ids import GROUP_TYPE, parse
from sandbox.arm.model import Resource, ResourceType
from sandbox.kernel.errors import AzureError

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

_CLAUSE = re.compile(r"^(\w+(?:/\w+)?)\s+eq\s+'([^']*)'$", re.IGNORECASE)
_AT_SCOPE = re.compile(r"^atScope\(\)$", re.IGNORECASE)
_ASSIGNED_TO = re.compile(r"^assignedTo\('([^']*)'\)$", re.IGNORECASE)


def listed(arm: ArmState, kind: ResourceType, scope: str, query: Mapping[str, str]) -> list[Resource]:
    """The resources of one type at `scope` (a subscription, a group, a parent or any resource)."""
    found = [each for each in arm.of_type(kind.name) if _belongs(kind, each, scope.lower(), query)]
    for clause in _clauses(query):
        if not _AT_SCOPE.match(clause):
            found = [each for each in found if _fits(each, clause)]
    return found


def listed_any(arm: ArmState, scope: str, query: Mapping[str, str]) -> list[Resource]:
    """The top-level resources of every type below `scope`."""
    found = [each for each in arm.children(scope) if _is_top_level(each)]
    for clause in _clauses(query):
        found = [each for each in found if _fits(each, clause)]
    return found


def _belongs(kind: ResourceType, resource: Resource, scope: str, query: Mapping[str, str]) -> bool:
    own = parse(resource.id)
    if kind.listing == "below":
        return resource.key.startswith(scope + "/")
    at = own.scope.lower()
    if kind.listing == "scope" or at == scope:
        return at == scope
    at_scope = any(_AT_SCOPE.match(clause) for clause in _clauses(query))
    return scope.startswith(at + "/") or (not at_scope and at.startswith(scope + "/"))


def _is_top_level(resource: Resource) -> bool:
    identity = parse(resource.id)
    return len(identity.names) == 1 and identity.type != GROUP_TYPE and bool(parse(identity.scope).group)


def _clauses(query: Mapping[str, str]) -> list[str]:
    text = query.get("$filter", "")
    return [clause.strip() for clause in re.split(r"\s+and\s+", text, flags=re.IGNORECASE) if clause.strip()]


def _fits(resource: Resource, clause: str) -> bool:
    if (match := _ASSIGNED_TO.match(clause)) is not None:
        return bool(resource.properties.get("principalId") == match[1])
    match = _CLAUSE.match(clause)
    if match is None:
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox does not imitate $filter={clause}.")
    name, value = match[1].lower(), match[2].lower()
    values = {
        "resourcetype": resource.type,
        "location": resource.location or "",
        "name": resource.name,
        **{key.lower(): each for key, each in resource.properties.items() if isinstance(each, str)},
    }
    if name in ("tagname", "tagvalue"):
        pairs = (resource.tags or {}).items()
        return any(value == (key if name == "tagname" else each).lower() for key, each in pairs)
    return str(values.get(name, "")).lower() == value
