"""Microsoft.ManagedIdentity and Microsoft.Authorization: identities, role assignments, roles, locks."""

from __future__ import annotations

import uuid

from sandbox.arm.catalogue.common import made_once, new_guid, now, one_of, versions
from sandbox.arm.conditions import parse as parse_condition
from sandbox.arm.ids import parse
from sandbox.arm.model import Change, Json, Resource, ResourceType, Scope, View
from sandbox.arm.roles import DEFINITION_TYPE, role_exists
from sandbox.kernel.errors import AzureError

IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_IDENTITY_VERSIONS = versions(
    "2018-11-30 2022-01-31-preview 2023-01-31 2023-07-31-preview 2024-11-30 2025-01-31-preview 2025-05-31-preview"
)
_ANYWHERE: frozenset[Scope] = frozenset({"group", "subscription", "extension"})
_PRINCIPALS = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")


def _before_identity(change: Change) -> None:
    made_once(change, principalId=new_guid, clientId=new_guid)


def _computed_identity(identity: Resource, view: View) -> Json:
    return {"tenantId": view.sandbox.settings.tenant_id}


def _validate_federated(change: Change) -> None:
    audiences = change.resource.properties["audiences"]
    if not isinstance(audiences, list) or len(audiences) != 1:
        raise AzureError(400, "BadRequest", "'properties.audiences' must hold exactly one value.")
    parent = change.resource.id.rsplit("/", 2)[0]
    wanted = [change.resource.properties[name] for name in ("issuer", "subject")]
    for other in change.arm.children(parent, change.resource.type):
        if other.key != change.resource.key and [other.properties[name] for name in ("issuer", "subject")] == wanted:
            raise AzureError(
                409,
                "Conflict",
                f"Issuer and subject combination already exists for this Managed Identity: '{other.name}'.",
            )


def _validate_assignment(change: Change) -> None:
    properties = change.resource.properties
    if not role_exists(change.arm, str(properties["roleDefinitionId"])):
        raise AzureError(
            400,
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{properties['roleDefinitionId']}' does not exist. The sandbox's"
            " built-in roles are in sandbox/arm/roles.py.",
        )
    if properties.get("principalType") is not None:
        one_of(change, "properties.principalType", properties["principalType"], _PRINCIPALS)
    if not _is_guid(change.resource.name):
        raise AzureError(
            400,
            "InvalidRoleAssignmentId",
            f"The role assignment ID '{change.resource.name}' is not valid: it must be a GUID.",
        )
    if properties.get("condition"):
        parse_condition(str(properties["condition"]), properties.get("conditionVersion"))
    _refuse_twin(change)


def _refuse_twin(change: Change) -> None:
    keys = ("principalId", "roleDefinitionId")
    wanted = [str(change.resource.properties[key]).lower() for key in keys]
    scope = parse(change.resource.id).scope.lower()
    for other in change.arm.of_type(ASSIGNMENT):
        same = parse(other.id).scope.lower() == scope and [str(other.properties[key]).lower() for key in keys] == wanted
        if same and other.key != change.resource.key:
            raise AzureError(
                409, "RoleAssignmentExists", f"The role assignment already exists. Its ID is '{other.name}'."
            )


def _before_assignment(change: Change) -> None:
    made_once(change, createdOn=now, createdBy=lambda: change.caller.object_id)
    change.resource.properties |= {"updatedOn": now(), "updatedBy": change.caller.object_id}
    change.resource.properties.setdefault("principalType", "ServicePrincipal")


def _computed_assignment(assignment: Resource, view: View) -> Json:
    return {"scope": parse(assignment.id).scope}


def _is_guid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _validate_definition(change: Change) -> None:
    if not change.resource.properties.get("assignableScopes"):
        raise AzureError(
            400, "RoleDefinitionScopesEmpty", "'properties.assignableScopes' must name at least one scope."
        )
    for other in change.arm.of_type(DEFINITION_TYPE):
        same = other.properties.get("roleName") == change.resource.properties["roleName"]
        if same and other.key != change.resource.key:
            raise AzureError(
                409,
                "RoleDefinitionWithSameNameExists",
                f"A role named '{other.properties['roleName']}' already exists.",
            )


def _before_definition(change: Change) -> None:
    made_once(change, createdOn=now)
    change.resource.properties.setdefault("type", "CustomRole")


def _validate_lock(change: Change) -> None:
    one_of(
        change, "properties.level", change.resource.properties["level"], ("CanNotDelete", "ReadOnly", "NotSpecified")
    )


TYPES = (
    ResourceType(
        name=IDENTITY,
        versions=_IDENTITY_VERSIONS,
        provisioned=False,
        name_rule=(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}", "3-128 letters, digits, - and _"),
        before_put=_before_identity,
        computed=_computed_identity,
    ),
    ResourceType(
        name=f"{IDENTITY}/federatedIdentityCredentials",
        versions=_IDENTITY_VERSIONS,
        location="none",
        taggable=False,
        provisioned=False,
        required=("issuer", "subject", "audiences"),
        validate=_validate_federated,
    ),
    ResourceType(
        name=ASSIGNMENT,
        versions=versions(
            "2015-07-01 2018-01-01-preview 2020-04-01-preview 2020-08-01-preview 2020-10-01-preview 2022-04-01"
        ),
        scopes=_ANYWHERE,
        listing="around",
        location="none",
        taggable=False,
        provisioned=False,
        patchable=False,
        required=("principalId", "roleDefinitionId"),
        immutable=("properties.principalId", "properties.roleDefinitionId"),
        validate=_validate_assignment,
        before_put=_before_assignment,
        computed=_computed_assignment,
    ),
    ResourceType(
        name=DEFINITION_TYPE,
        versions=versions("2018-01-01-preview 2022-04-01 2022-05-01-preview"),
        scopes=_ANYWHERE,
        listing="around",
        location="none",
        taggable=False,
        provisioned=False,
        patchable=False,
        required=("roleName", "permissions"),
        validate=_validate_definition,
        before_put=_before_definition,
    ),
    ResourceType(
        name="Microsoft.Authorization/locks",
        versions=versions("2016-09-01 2017-04-01 2020-05-01"),
        scopes=_ANYWHERE,
        location="none",
        taggable=False,
        provisioned=False,
        patchable=False,
        required=("level",),
        validate=_validate_lock,
    ),
)
