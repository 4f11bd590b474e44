"""What a principal's roles have to hold for a call to the blob service."""

from __future__ import annotations

from sandbox.arm.access import may
from sandbox.kernel.tokens import Principal
from sandbox.storage.call import Call
from sandbox.storage.errors import StorageError

ACCOUNT = "Microsoft.Storage/storageAccounts"
_SERVICE = f"{ACCOUNT}/blobServices"
_CONTAINERS = f"{_SERVICE}/containers"
_VERBS = {"GET": "read", "HEAD": "read", "DELETE": "delete"}


def check_role(call: Call, principal: Principal) -> None:
    """StorageError 403 unless a role at the container, the account or above it allows the call."""
    action, data = needed(call)
    sandbox = call.state.sandbox
    found = next((each for each in sandbox.states["arm"].of_type(ACCOUNT) if each.name == call.account), None)
    account = found.id if found is not None else f"/unknown/{call.account}"
    scope = f"{account}/blobServices/default" + (f"/containers/{call.container}" if call.container else "")
    if not may(sandbox, principal, action, scope, data=data):
        raise StorageError(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation using this permission."
            f" ({'data action' if data else 'action'} {action} for '{principal.object_id}')",
        )


def needed(call: Call) -> tuple[str, bool]:
    """The action that Azure asks for, and whether it is a data action: blobs are data, containers are not."""
    method, query = call.request.method, call.query
    if query.get("comp") == "userdelegationkey":
        return f"{_SERVICE}/generateUserDelegationKey/action", False
    if call.blob:
        # An append needs write or add/action, a new blob too; the sandbox asks for write.
        return f"{_CONTAINERS}/blobs/{_verb(method)}", True
    if call.container:
        listing = query.get("comp") == "list"
        # Listing blobs is reading data; the container's own properties are not.
        return (f"{_CONTAINERS}/blobs/read", True) if listing else (f"{_CONTAINERS}/{_verb(method)}", False)
    return (f"{_CONTAINERS}/read", False) if query.get("comp") == "list" else (f"{_SERVICE}/read", False)


def _verb(method: str) -> str:
    return _VERBS.get(method, "write")
