"""The blob service over HTTP: one table of operations, everything else is 501."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.kernel.context import Sandbox
from sandbox.kernel.http import create_app
from sandbox.storage import blobs, containers, leasing, uploads
from sandbox.storage.auth import authorise
from sandbox.storage.call import Call, read_call
from sandbox.storage.errors import StorageError, not_imitated
from sandbox.storage.state import StorageState

Operation = Callable[[Call], Awaitable[Response]]
_DEFAULT_VERSION = "2021-12-02"
_METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]

#: (level, method, restype, comp) to the operation and the SAS permissions any one of which allows it.
OPERATIONS: dict[tuple[str, str, str, str], tuple[Operation, str]] = {
    ("account", "GET", "", "list"): (containers.list_containers, "l"),
    ("account", "GET", "service", "properties"): (containers.service_properties, "r"),
    ("account", "GET", "account", "properties"): (containers.account_information, "racwdl"),
    ("account", "HEAD", "account", "properties"): (containers.account_information, "racwdl"),
    ("account", "POST", "service", "userdelegationkey"): (containers.user_delegation_key, ""),
    ("container", "PUT", "container", ""): (containers.create, "cw"),
    ("container", "GET", "container", ""): (containers.get_properties, "r"),
    ("container", "HEAD", "container", ""): (containers.get_properties, "r"),
    ("container", "GET", "container", "metadata"): (containers.get_properties, "r"),
    ("container", "HEAD", "container", "metadata"): (containers.get_properties, "r"),
    ("container", "PUT", "container", "metadata"): (containers.set_metadata, "w"),
    ("container", "DELETE", "container", ""): (containers.delete, "d"),
    ("container", "GET", "container", "list"): (containers.list_blobs, "l"),
    ("container", "PUT", "container", "lease"): (leasing.lease, "w"),
    ("container", "GET", "account", "properties"): (containers.account_information, "racwdl"),
    ("container", "HEAD", "account", "properties"): (containers.account_information, "racwdl"),
    ("blob", "PUT", "", ""): (uploads.put_blob, "cw"),
    ("blob", "PUT", "", "block"): (uploads.put_block, "cw"),
    ("blob", "PUT", "", "blocklist"): (uploads.put_block_list, "cw"),
    ("blob", "PUT", "", "appendblock"): (uploads.append_block, "aw"),
    ("blob", "PUT", "", "metadata"): (blobs.set_metadata, "w"),
    ("blob", "PUT", "", "properties"): (blobs.set_properties, "w"),
    ("blob", "PUT", "", "tier"): (blobs.set_tier, "w"),
    ("blob", "PUT", "", "seal"): (blobs.seal, "aw"),
    ("blob", "PUT", "", "lease"): (leasing.lease, "wd"),
    ("blob", "GET", "", ""): (blobs.get_blob, "r"),
    ("blob", "HEAD", "", ""): (blobs.head_blob, "r"),
    ("blob", "GET", "", "metadata"): (blobs.get_metadata, "r"),
    ("blob", "HEAD", "", "metadata"): (blobs.get_metadata, "r"),
    ("blob", "GET", "", "blocklist"): (blobs.get_block_list, "r"),
    ("blob", "DELETE", "", ""): (blobs.delete_blob, "d"),
    ("blob", "GET", "account", "properties"): (containers.account_information, "racwdl"),
    ("blob", "HEAD", "account", "properties"): (containers.account_information, "racwdl"),
}


def create(sandbox: Sandbox) -> ASGIApp:
    """The blob service over `sandbox.states["storage"]`."""
    state: StorageState = sandbox.states["storage"]

    async def answer(request: Request) -> Response:
        try:
            response = await _answer(read_call(request, state))
        except StorageError as error:
            response = error.response(request.method)
        response.headers["x-ms-version"] = request.headers.get("x-ms-version", _DEFAULT_VERSION)
        if (sent := request.headers.get("x-ms-client-request-id")) is not None:
            response.headers["x-ms-client-request-id"] = sent
        return response

    return create_app("blob", sandbox, [Route("/{path:path}", answer, methods=_METHODS)])


async def _answer(call: Call) -> Response:
    level = "blob" if call.blob else "container" if call.container else "account"
    method, restype, comp = call.request.method, call.query.get("restype", ""), call.query.get("comp", "")
    operation = OPERATIONS.get((level, method, restype, comp))
    refused = "snapshot" in call.query or "versionid" in call.query
    if operation is None or refused:
        raise not_imitated(
            method,
            f"{call.raw_path} (restype={restype or '-'}, comp={comp or '-'})"
            + (" of a snapshot or version" if refused else ""),
        )
    handler, permissions = operation
    authorise(call, permissions)
    return await handler(call)
