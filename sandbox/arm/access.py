"""Who may do what: role assignments and the actions of their roles. The sandbox's owner may do everything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from sandbox.arm.conditions import parse as parse_condition
from sandbox.arm.ids import SUBSCRIPTION_TYPE, parse
from sandbox.arm.roles import permissions_of
from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.tokens import Principal

ASSIGNMENT_TYPE = "Microsoft.Authorization/roleAssignments"
#: What handing out a user-assigned identity takes.
ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
_GROUP_ACTIONS = "Microsoft.Resources/subscriptions/resourceGroups"
#: Who may start an operation may ask how it goes; its address is below the subscription, where few have a role.
_OPERATION = re.compile(
    r"^/subscriptions/[^/]+/providers/[^/]+/locations/[^/]+/operation(Statuses|Results)/[^/]+$", re.I
)
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}


def check_access(sandbox: Sandbox, principal: Principal, method: str, path: str) -> None:
    """AzureError 403 unless a role assignment at or above `path` allows the call."""
    # As the routes read it: slashes more at either end change nothing of what is meant.
    path = "/" + path.strip("/")
    if not path.lower().startswith("/subscriptions/") or _OPERATION.search(path):
        return
    check_action(sandbox, principal, action_of(method, path), path)


def check_action(sandbox: Sandbox, principal: Principal, action: str, scope: str) -> None:
    """AzureError 403 unless a role assignment at or above the resource `scope` has the action."""
    if not may(sandbox, principal, action, scope):
        raise AzureError(
            403,
            "AuthorizationFailed",
            f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have authorization to"
            f" perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted,"
            " please refresh your credentials.",
        )


def may(sandbox: Sandbox, principal: Principal, action: str, scope: str, *, data: bool = False) -> bool:
    """Whether a role assignment at or above `scope` has the action; `data`: among the services' own actions."""
    if principal == sandbox.owner:
        return True
    arm: ArmState = sandbox.states["arm"]
    return granted(arm, principal.object_id, action, scope, data=data)


def granted(arm: ArmState, object_id: str, action: str, scope: str, *, data: bool = False) -> bool:
    """The same of any object id, e.g. a resource's identity."""
    return any(
        _allows(arm, str(assignment.properties["roleDefinitionId"]), action, data)
        for assignment in arm.of_type(ASSIGNMENT_TYPE)
        if assignment.properties.get("principalId") == object_id
        and _inside(scope, parse(assignment.id).scope)
        and _holds(assignment.properties, action, scope)
    )


def check_linked(sandbox: Sandbox, principal: Principal, body: Mapping[str, Any]) -> None:
    """AzureError 403 unless the caller may hand out each user-assigned identity that the body names."""
    named = (body.get("identity") or {}).get("userAssignedIdentities") or {}
    for identity in named:
        if not may(sandbox, principal, ASSIGN, str(identity)):
            raise AzureError(
                403,
                "LinkedAuthorizationFailed",
                f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have authorization"
                f" to perform action '{ASSIGN}' over the linked scope '{identity}'.",
            )


def _holds(assignment: Mapping[str, Any], action: str, scope: str) -> bool:
    text = assignment.get("condition")
    return not text or parse_condition(str(text), assignment.get("conditionVersion")).holds(action, scope)


def _inside(path: str, scope: str) -> bool:
    return path.lower() == scope.lower() or path.lower().startswith(scope.lower().rstrip("/") + "/")


def action_of(method: str, path: str) -> str:
    """The action's name as role definitions have it, e.g. Microsoft.Storage/storageAccounts/listKeys/action."""
    at = path.lower().rfind("/providers/")
    if at < 0:
        depth = len(path.strip("/").split("/"))
        return f"{SUBSCRIPTION_TYPE if depth < 3 else _GROUP_ACTIONS}/{_VERBS.get(method, 'action')}"
    parts = path[at + len("/providers/") :].strip("/").split("/")
    name = "/".join([parts[0], *parts[1::2]])
    return f"{name}/{_VERBS.get(method, 'action')}"


def _allows(arm: ArmState, role_definition_id: str, action: str, data: bool) -> bool:
    grants, denials = ("dataActions", "notDataActions") if data else ("actions", "notActions")
    for permission in permissions_of(arm, role_definition_id):
        granted = any(_covers(pattern, action) for pattern in permission.get(grants) or [])
        denied = any(_covers(pattern, action) for pattern in permission.get(denials) or [])
        if granted and not denied:
            return True
    return False


def _covers(pattern: str, action: str) -> bool:
    return fnmatchcase(action.lower(), pattern.lower())
