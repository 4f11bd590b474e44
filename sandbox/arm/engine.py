"""PUT, PATCH and DELETE of any type in the catalogue: check, keep, do the service's work."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from sandbox.arm import checks
from sandbox.arm.identity import resolve
from sandbox.arm.ids import GROUP_TYPE, ResourceId, spelled
from sandbox.arm.model import Change, Json, Resource, ResourceType
from sandbox.arm.operations import Operation
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError
from sandbox.kernel.tokens import Principal

_PATCH_IGNORES = ("id", "name", "type", "etag", "systemData")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a write led to. `operation` runs for types that take long; `created` is for the status code."""

    resource: Resource
    created: bool
    operation: Operation | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The request's If-Match and If-None-Match."""

    match: str | None = None
    none_match: str | None = None


class Engine:
    """Writes that go by the catalogue. Reads and actions are the app's."""

    def __init__(self, arm: ArmState, tenant_id: str, subscription_id: str) -> None:
        self._arm, self._tenant_id, self._subscription_id = arm, tenant_id, subscription_id

    async def put(
        self, kind: ResourceType, identity: ResourceId, body: Json, caller: Principal, conditions: Conditions
    ) -> Outcome:
        """Create or replace. What `body` leaves out is gone, but for what the service itself made."""
        checks.check_place(kind, identity)
        checks.check_parent(self._arm, identity, self._subscription_id)
        before = self._arm.get(identity.text)
        checks.check_etag(before, conditions.match, conditions.none_match)
        checks.check_body(kind, identity, body)
        wanted = _from_body(kind, identity, body, before)
        return await self._write(kind, identity, Change(self._arm, wanted, before, caller))

    async def patch(
        self, kind: ResourceType, identity: ResourceId, body: Json, caller: Principal, conditions: Conditions
    ) -> Outcome:
        """Merge `body` into what is there (RFC 7386)."""
        checks.check_scope(self._arm, identity.text, self._subscription_id)
        before = self._arm.get(identity.text)
        if before is None:
            raise checks.not_there(identity.text)
        checks.check_etag(before, conditions.match, conditions.none_match)
        checks.check_body(kind, identity, body)
        merged = _merge(before.stored(), {key: value for key, value in body.items() if key not in _PATCH_IGNORES})
        # Tags are replaced as a whole.
        merged["tags"] = body.get("tags", before.tags)
        wanted = Resource.from_document(merged)
        return await self._write(kind, identity, Change(self._arm, wanted, before, caller))

    async def delete(
        self, identity: ResourceId, conditions: Conditions, *, kind: ResourceType
    ) -> Operation | bool | None:
        """The operation for types that take long, else whether there was something to delete."""
        if kind.name != GROUP_TYPE:
            checks.check_scope(self._arm, identity.text, self._subscription_id)
        before = self._arm.get(identity.text)
        if before is None:
            if kind.name == GROUP_TYPE:
                raise checks.not_there(identity.text)
            return False
        checks.check_etag(before, conditions.match, None)
        checks.check_locks(self._arm, identity, "delete")
        if kind.may_delete is not None:
            kind.may_delete(Change(self._arm, before, before, Principal("", "")))
        if not (kind.long or kind.long_delete):
            await self.remove(before)
            return True
        if before.provisioning_state == "Creating":
            checks.check_idle(before)
        before.provisioning_state = "Deleting"
        self._arm.put(before)
        return self._arm.operations.start(self.remove(before), before.id)

    async def remove(self, resource: Resource) -> None:
        """Delete the resource and what is in it, the innermost first, with the services' own work."""
        inner = sorted(self._arm.children(resource.id), key=lambda each: each.id.count("/"), reverse=True)
        for each in (*inner, resource):
            kind = self._arm.type(each.type)
            if kind is not None and kind.before_delete is not None:
                await kind.before_delete(Change(self._arm, each, each, Principal("", "")))
            self._arm.delete(each.id)

    async def _write(self, kind: ResourceType, identity: ResourceId, change: Change) -> Outcome:
        self._check(kind, identity, change)
        created = change.before is None
        if kind.before_put is not None:
            kind.before_put(change)
        operation = None
        if kind.long:
            change.resource.provisioning_state = "Creating" if created else "Updating"
            self._arm.put(change.resource, change.caller)
            operation = self._arm.operations.start(self._finish(kind, change), change.resource.id)
        else:
            self._arm.put(change.resource, change.caller)
            await self._finish(kind, change)
        stored = self._arm.get(identity.text)
        return Outcome(stored or change.resource, created, operation)

    def _check(self, kind: ResourceType, identity: ResourceId, change: Change) -> None:
        wanted, before = change.resource, change.before
        checks.check_idle(before)
        checks.check_locks(self._arm, identity, "write")
        if before is None:
            checks.check_name(self._arm, kind, identity)
        checks.check_location(self._arm, kind, wanted, before)
        if not kind.taggable and wanted.tags:
            raise AzureError(400, "InvalidRequestContent", f"The resource type {kind.name} does not support tags.")
        checks.check_constants(kind, wanted, before)
        resolve(self._arm, self._tenant_id, wanted, before)
        if kind.validate is not None:
            kind.validate(change)

    async def _finish(self, kind: ResourceType, change: Change) -> None:
        """The service's own work, then Succeeded."""
        if kind.after_put is not None:
            await kind.after_put(change)
        current = self._arm.get(change.resource.id)
        if current is None:
            raise AzureError(409, "ResourceDeleted", f"'{change.resource.name}' was deleted while it was being made.")
        if kind.provisioned and current.properties.get("provisioningState") != "Succeeded":
            current.provisioning_state = "Succeeded"
            self._arm.put(current, change.caller)


def _from_body(kind: ResourceType, identity: ResourceId, body: Json, before: Resource | None) -> Resource:
    document: Json = {key: copy.deepcopy(body[key]) for key in body if key not in ("etag", "systemData")}
    document |= {
        "id": before.id if before else spelled(identity, kind.name),
        "name": before.name if before else identity.name,
        "type": kind.name,
        "properties": {**copy.deepcopy(dict(kind.defaults)), **_without_state(body.get("properties") or {})},
    }
    resource = Resource.from_document(document)
    if before is not None:
        resource.private = before.private
        resource.system_data = before.system_data
    return resource


def _without_state(properties: Json) -> Json:
    return {key: value for key, value in properties.items() if key != "provisioningState" and value is not None}


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
