"""What ARM refuses before it keeps anything: names, places, parents, unknown keys, changed constants, locks."""

from __future__ import annotations

import re
from typing import Any

from sandbox.arm.ids import GROUP_TYPE, SUBSCRIPTION_TYPE, ResourceId, parse
from sandbox.arm.model import Change, Json, Resource, ResourceType
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError, not_imitated
from sandbox.kernel.tls import REGIONS

LOCK_TYPE = "Microsoft.Authorization/locks"
_COMMON_KEYS = {"id", "name", "type", "location", "tags", "properties", "identity", "sku", "kind", "etag", "systemData"}
_BUSY = {"Creating", "Updating", "Deleting"}


def check_version(resource_type: ResourceType, method: str, path: str, version: str | None) -> None:
    """AzureError 400 without an api-version, 501 for one that the sandbox does not know for the type."""
    if not version:
        raise AzureError(
            400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
        )
    if version not in resource_type.versions:
        raise not_imitated(method, path, version)


def check_place(resource_type: ResourceType, identity: ResourceId) -> None:
    """AzureError 400 where the type can't live: e.g. a storage account right below a subscription."""
    above = parse(identity.scope).type if identity.scope else SUBSCRIPTION_TYPE
    place = {GROUP_TYPE: "group", SUBSCRIPTION_TYPE: "subscription"}.get(above, "extension")
    if place not in resource_type.scopes and not (place != "extension" and "extension" in resource_type.scopes):
        raise AzureError(
            400, "InvalidResourceType", f"A resource of type {resource_type.name} can't be made at '{identity.scope}'."
        )


def check_parent(arm: ArmState, identity: ResourceId, subscription: str) -> None:
    """The subscription, the group, the parent or the scope must be there."""
    check_scope(arm, identity.text, subscription)
    if len(identity.names) > 1 and arm.get(identity.parent) is None:
        raise AzureError(
            404,
            "ParentResourceNotFound",
            f"Failed to perform 'write' on resource(s) of type '{_short(identity.type)}', because the parent resource"
            f" '{identity.parent}' could not be found.",
        )
    above = identity.scope and parse(identity.scope).type
    if above and above not in (GROUP_TYPE, SUBSCRIPTION_TYPE) and arm.get(identity.scope) is None:
        raise not_there(identity.scope)


def check_scope(arm: ArmState, resource_id: str, subscription: str) -> None:
    """AzureError 404 when the id's subscription is not the sandbox's, or its group does not exist."""
    parts = resource_id.strip("/").split("/")
    if parts[0].lower() != "subscriptions" or len(parts) < 2:
        raise not_imitated("requests", resource_id)
    if parts[1].lower() != subscription.lower():
        raise AzureError(404, "SubscriptionNotFound", f"The subscription '{parts[1]}' could not be found.")
    if len(parts) > 4 and parts[2].lower() == "resourcegroups" and arm.get("/".join(parts[:4])) is None:
        raise group_not_found(parts[3])


def group_not_found(name: str) -> AzureError:
    return AzureError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")


def not_there(resource_id: str) -> AzureError:
    """Azure's 404, in the words that it has for groups and for resources."""
    identity = parse(resource_id)
    if identity.type == GROUP_TYPE:
        return group_not_found(identity.name)
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{identity.type}/{identity.name}' under resource group '{identity.group}' was not found."
        " For more details please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def check_body(resource_type: ResourceType, identity: ResourceId, body: Json) -> None:
    """Keys that ARM does not know, and an id or a name that contradicts the URL."""
    for key in body:
        if key not in _COMMON_KEYS | resource_type.keys:
            raise AzureError(
                400,
                "InvalidRequestContent",
                "The request content was invalid and could not be deserialized: 'Could not find member"
                f" '{key}' on object of type 'ResourceDefinition'.'",
            )
    for key, kind in (("properties", dict), ("tags", dict), ("identity", dict), ("sku", dict), ("location", str)):
        if body.get(key) is not None and not isinstance(body[key], kind):
            raise AzureError(
                400, "InvalidRequestContent", f"The request content was invalid: '{key}' has a wrong type."
            )
    if "name" in body and str(body["name"]).lower() not in (identity.name.lower(), "/".join(identity.names).lower()):
        raise AzureError(
            400, "InvalidRequestContent", f"The name '{body['name']}' does not match the URL's '{identity.name}'."
        )


def check_name(arm: ArmState, resource_type: ResourceType, identity: ResourceId) -> None:
    """The type's own rule, and names that must be free in the whole cloud."""
    if resource_type.name_rule is not None:
        pattern, words = resource_type.name_rule
        if re.fullmatch(pattern, identity.name) is None:
            raise AzureError(
                400, "InvalidResourceName", f"'{identity.name}' is not a valid name of {resource_type.name}: {words}."
            )
    if resource_type.global_name:
        for other in arm.of_type(resource_type.name):
            if other.name.lower() == identity.name.lower() and other.key != identity.key:
                raise AzureError(409, resource_type.global_name, f"The name '{identity.name}' is already taken.")


def check_location(arm: ArmState, resource_type: ResourceType, wanted: Resource, before: Resource | None) -> None:
    """Fills in or refuses `wanted.location`."""
    if resource_type.location == "none":
        wanted.location = None
        return
    if resource_type.location == "global":
        wanted.location = wanted.location or "global"
    if resource_type.location == "parent" and not wanted.location:
        parent = arm.get(parse(wanted.id).parent)
        wanted.location = parent.location if parent else None
    if not wanted.location:
        raise AzureError(400, "LocationRequired", "The location property is required for this definition.")
    wanted.location = wanted.location.replace(" ", "").lower()
    if wanted.location not in (*REGIONS, "global"):
        raise AzureError(
            400,
            "LocationNotAvailableForResourceType",
            f"The provided location '{wanted.location}' is not available for resource type '{resource_type.name}'."
            f" List of available regions for the resource type is '{','.join(REGIONS)}'.",
        )
    if before is not None and before.location != wanted.location:
        code = "InvalidResourceGroupLocation" if resource_type.name == GROUP_TYPE else "InvalidResourceLocation"
        raise AzureError(
            409,
            code,
            f"The resource '{wanted.name}' already exists in location '{before.location}'. A resource with the same"
            f" name cannot be created in location '{wanted.location}'. Please select a new resource name.",
        )


def check_constants(resource_type: ResourceType, wanted: Resource, before: Resource | None) -> None:
    """Properties that must be given, and those that can't change any more."""
    document = wanted.document()
    for path in resource_type.required:
        if value_at(document, f"properties.{path}") in (None, ""):
            raise AzureError(400, "InvalidRequestContent", f"The required property 'properties.{path}' is missing.")
    if before is None:
        return
    old = before.document()
    for path in resource_type.immutable:
        if value_at(old, path) != value_at(document, path):
            raise AzureError(409, "PropertyChangeNotAllowed", f"Changing property '{path}' is not allowed.")


def check_etag(before: Resource | None, match: str | None, none_match: str | None) -> None:
    """If-Match and If-None-Match; AzureError 412."""
    missed = match is not None and (before is None or (match != "*" and match != before.etag))
    exists = none_match == "*" and before is not None
    if missed or exists:
        raise AzureError(412, "PreconditionFailed", "The condition of the request's If-Match header is not met.")


def check_idle(before: Resource | None) -> None:
    if before is not None and before.provisioning_state in _BUSY:
        raise AzureError(
            409,
            "AnotherOperationInProgress",
            f"Another operation on '{before.name}' is in progress ({before.provisioning_state}). Retry when it ended.",
        )


def check_locks(arm: ArmState, identity: ResourceId, verb: str) -> None:
    """AzureError 409 when a management lock at, above or (for a delete) below the id forbids `verb`."""
    if identity.type.lower() == LOCK_TYPE.lower():
        return
    for lock in arm.of_type(LOCK_TYPE):
        scope = parse(lock.id).scope.lower()
        above = identity.key == scope or identity.key.startswith(scope + "/")
        below = verb == "delete" and scope.startswith(identity.key + "/")
        stops = lock.properties.get("level") == "ReadOnly" or verb == "delete"
        if (above or below) and stops:
            raise AzureError(
                409,
                "ScopeLocked",
                f"The scope '{identity.text}' cannot perform {verb} operation because following scope(s) are locked:"
                f" '{parse(lock.id).scope}'. Please remove the lock and try again.",
            )


def check_references(change: Change, paths: tuple[str, ...]) -> None:
    """Properties that hold ids of resources that must exist."""
    for path in paths:
        target = value_at(change.resource.properties, path)
        if target and change.arm.get(str(target)) is None:
            raise AzureError(
                400,
                "InvalidResourceReference",
                f"'{path}' of '{change.resource.name}' refers to '{target}', which does not exist.",
            )


def value_at(document: Json, path: str) -> Any:
    """The value at a dotted path; None when there is none."""
    value: Any = document
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _short(type_name: str) -> str:
    return type_name.split("/", 1)[1]
