"""Containers, and what is asked of the account as a whole."""

from __future__ import annotations

import time
from html import escape
from urllib.parse import urlsplit

from starlette.responses import Response

from sandbox.storage import conditions, leases
from sandbox.storage.auth import delegation_key
from sandbox.storage.call import Call
from sandbox.storage.errors import StorageError, bad_header
from sandbox.storage.listing import Page, blob_list, container_list
from sandbox.storage.model import Container, http_date, new_etag

_LARGEST_PAGE = 5000


async def create(call: Call) -> Response:
    with call.state.lock:
        if any(c.name == call.container for c in call.state.containers(call.account, call.container)):
            raise StorageError(409, "ContainerAlreadyExists", "The specified container already exists.")
        public = call.header("x-ms-blob-public-access")
        if public not in (None, "container", "blob"):
            raise bad_header("x-ms-blob-public-access", public, "container or blob")
        container = Container(call.account, call.container, new_etag(), time.time(), call.metadata, public)
        call.state.save_container(container)
    return Response(status_code=201, headers=_written(container))


async def get_properties(call: Call) -> Response:
    container = _readable(call)
    headers = {
        **_written(container),
        **leases.headers(container.lease, time.time()),
        **{f"x-ms-meta-{name}": value for name, value in container.metadata.items()},
        "x-ms-has-immutability-policy": "false",
        "x-ms-has-legal-hold": "false",
    }
    if container.public:
        headers["x-ms-blob-public-access"] = container.public
    return Response(headers=headers)


async def set_metadata(call: Call) -> Response:
    with call.state.lock:
        container = _readable(call)
        conditions.check(call.request.headers, container.etag, container.modified, writing=True)
        container = container.touched(metadata=call.metadata)
        call.state.save_container(container)
    return Response(headers=_written(container))


async def delete(call: Call) -> Response:
    with call.state.lock:
        container = call.state.container(call.account, call.container)
        conditions.check(call.request.headers, container.etag, container.modified, writing=True)
        leases.check_write(container.lease, call.header("x-ms-lease-id"), time.time(), "Container")
        call.state.delete_container(container)
    return Response(status_code=202)


async def list_blobs(call: Call) -> Response:
    _readable(call)
    page = _page(call)
    unknown = page.include - {"metadata", "copy", "deleted", "uncommittedblobs", "tags", "snapshots", "versions", ""}
    if unknown:
        raise StorageError(400, "InvalidQueryParameterValue", f"include={','.join(sorted(unknown))} is not known.")
    blobs = call.state.blobs(call.account, call.container, page.prefix)
    body = blob_list(_endpoint(call), call.container, blobs, page)
    return Response(body, media_type="application/xml")


async def list_containers(call: Call) -> Response:
    page = _page(call)
    body = container_list(_endpoint(call), call.state.containers(call.account, page.prefix), page)
    return Response(body, media_type="application/xml")


async def account_information(call: Call) -> Response:
    account = call.state.accounts.get(call.account)
    headers = {"x-ms-sku-name": account.sku, "x-ms-account-kind": account.kind, "x-ms-is-hns-enabled": "false"}
    return Response(headers=headers)


async def service_properties(_: Call) -> Response:
    retention = "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>"
    logging = f"<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>{retention}</Logging>"
    hours = f"<HourMetrics><Version>1.0</Version><Enabled>false</Enabled>{retention}</HourMetrics>"
    minutes = f"<MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled>{retention}</MinuteMetrics>"
    soft = "<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>"
    body = f"<StorageServiceProperties>{logging}{hours}{minutes}<Cors/>{soft}</StorageServiceProperties>"
    return Response('<?xml version="1.0" encoding="utf-8"?>' + body, media_type="application/xml")


async def user_delegation_key(call: Call) -> Response:
    """For a caller with an Entra token; signs a SAS without any account key."""
    if not (call.header("authorization") or "").lower().startswith("bearer "):
        raise StorageError(
            403, "AuthenticationFailed", "A user delegation key is given to callers with an Entra token only."
        )
    text = (await call.request.body()).decode()
    settings = call.state.sandbox.settings
    fields = {
        "skoid": settings.object_id,
        "sktid": settings.tenant_id,
        "skt": _between(text, "Start") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "ske": _between(text, "Expiry"),
        "sks": "b",
        "skv": call.header("x-ms-version") or "",
    }
    if not fields["ske"]:
        raise StorageError(400, "InvalidXmlDocument", "KeyInfo needs Expiry.")
    names = ("SignedOid", "SignedTid", "SignedStart", "SignedExpiry", "SignedService", "SignedVersion")
    shown = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in zip(names, fields.values(), strict=True))
    value = delegation_key(call.state.accounts.get(call.account), fields)
    body = f"<UserDelegationKey>{shown}<Value>{value}</Value></UserDelegationKey>"
    return Response('<?xml version="1.0" encoding="utf-8"?>' + body, media_type="application/xml")


def _between(text: str, tag: str) -> str:
    return text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0].strip()


def _readable(call: Call) -> Container:
    container = call.state.container(call.account, call.container)
    leases.check_read(container.lease, call.header("x-ms-lease-id"), time.time(), "Container")
    return container


def _written(container: Container) -> dict[str, str]:
    return {"etag": container.etag, "last-modified": http_date(container.modified)}


def _endpoint(call: Call) -> str:
    base = urlsplit(str(call.request.url))
    host_style = base.path.lstrip("/").split("/")[0].partition(".")[0] != call.account
    return f"https://{base.netloc}/" if host_style else f"https://{base.netloc}/{call.account}"


def _page(call: Call) -> Page:
    query = call.query
    text = query.get("maxresults", str(_LARGEST_PAGE))
    if not text.isdigit() or not int(text):
        raise StorageError(400, "OutOfRangeQueryParameterValue", f"maxresults={text}; allowed: 1 to {_LARGEST_PAGE}.")
    size = min(int(text), _LARGEST_PAGE)
    include = frozenset(query.get("include", "").split(","))
    return Page(query.get("prefix", ""), query.get("delimiter", ""), query.get("marker", ""), size, include)
