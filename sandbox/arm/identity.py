"""Managed identities of resources: system-assigned ones are made, user-assigned ones are looked up."""

from __future__ import annotations

import uuid

from sandbox.arm.model import Json, Resource
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError

USER_ASSIGNED = "Microsoft.ManagedIdentity/userAssignedIdentities"
_KINDS = {"none", "systemassigned", "userassigned"}


def resolve(arm: ArmState, tenant_id: str, wanted: Resource, before: Resource | None) -> None:
    """Fill in `wanted.identity`'s principal ids; a system-assigned one keeps its id for the life of the resource."""
    if not wanted.identity:
        return
    kinds = {part.strip().lower() for part in str(wanted.identity.get("type", "")).split(",")}
    if not kinds <= _KINDS:
        raise AzureError(400, "InvalidIdentityType", f"The identity type '{wanted.identity.get('type')}' is not valid.")
    resolved: Json = {"type": wanted.identity["type"]}
    if "systemassigned" in kinds:
        old = (before.identity or {}) if before else {}
        resolved |= {"principalId": old.get("principalId") or str(uuid.uuid4()), "tenantId": tenant_id}
    if "userassigned" in kinds:
        named = wanted.identity.get("userAssignedIdentities") or {}
        resolved["userAssignedIdentities"] = {each: _user_assigned(arm, each) for each in named}
    wanted.identity = resolved


def _user_assigned(arm: ArmState, resource_id: str) -> Json:
    identity = arm.get(resource_id)
    if identity is None or identity.type != USER_ASSIGNED:
        raise AzureError(400, "FailedIdentityOperation", f"The user-assigned identity '{resource_id}' does not exist.")
    return {key: identity.properties[key] for key in ("principalId", "clientId")}
