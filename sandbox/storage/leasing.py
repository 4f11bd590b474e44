"""The Lease Blob and Lease Container calls."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace

from starlette.responses import Response

from sandbox.storage import conditions, leases
from sandbox.storage.call import Call
from sandbox.storage.errors import StorageError, bad_header
from sandbox.storage.leases import Lease
from sandbox.storage.model import Blob, Container, http_date

_STATUS = {"acquire": 201, "renew": 200, "change": 200, "release": 200, "break": 202}


async def lease(call: Call) -> Response:
    """Acquire, renew, change, release or break; the ETag stays as it is."""
    action = (call.header("x-ms-lease-action") or "").lower()
    if action not in _STATUS:
        raise bad_header("x-ms-lease-action", action, ", ".join(_STATUS))
    with call.state.lock:
        held = _held(call)
        conditions.check(call.request.headers, held.etag, held.modified, writing=True)
        after, headers = _act(call, action, held.lease)
        if isinstance(held, Blob):
            call.state.save(replace(held, lease=after))
        else:
            call.state.save_container(replace(held, lease=after))
    shown = {"etag": held.etag, "last-modified": http_date(held.modified), **headers}
    return Response(status_code=_STATUS[action], headers=shown)


def _held(call: Call) -> Blob | Container:
    if call.blob:
        return call.state.blob(call.account, call.container, call.blob)
    return call.state.container(call.account, call.container)


def _act(call: Call, action: str, held: Lease | None) -> tuple[Lease | None, dict[str, str]]:
    now = time.time()
    if action == "acquire":
        duration = call.integer("x-ms-lease-duration")
        taken = leases.acquire(held, _proposed(call), leases.INFINITE if duration is None else duration, now)
        return taken, {"x-ms-lease-id": taken.id}
    if action == "break":
        broken, seconds = leases.break_(held, call.integer("x-ms-lease-break-period"), now)
        return broken, {"x-ms-lease-time": str(seconds)}
    lease_id = call.required("x-ms-lease-id")
    if action == "release":
        leases.release(held, lease_id)
        return None, {}
    if action == "renew":
        taken = leases.renew(held, lease_id, now)
    else:
        proposed = _proposed(call)
        if proposed is None:
            raise StorageError(400, "MissingRequiredHeader", "x-ms-proposed-lease-id is mandatory to change a lease.")
        taken = leases.change(held, lease_id, proposed, now)
    return taken, {"x-ms-lease-id": taken.id}


def _proposed(call: Call) -> str | None:
    value = call.header("x-ms-proposed-lease-id")
    if value is None:
        return None
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise bad_header("x-ms-proposed-lease-id", value, "a GUID") from error
