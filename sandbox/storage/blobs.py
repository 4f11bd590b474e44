"""Reading blobs and changing all but their content."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from starlette.responses import Response, StreamingResponse

from sandbox.storage import conditions, leases
from sandbox.storage.call import Call
from sandbox.storage.errors import StorageError, bad_header
from sandbox.storage.listing import block_list
from sandbox.storage.model import Blob, http_date
from sandbox.storage.uploads import MIB, content_headers, written

_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")
#: Azure computes a range's MD5 up to here.
_LARGEST_HASHED_RANGE = 4 * MIB


async def get_blob(call: Call) -> Response:
    blob = _read(call)
    start, end = _range(call, blob.length)
    partial = (start, end) != (0, blob.length)
    headers = {**shown(blob), "content-length": str(end - start)}
    content_md5 = headers.pop("content-md5", None)
    if call.header("x-ms-range") or call.header("range"):
        headers["content-range"] = f"bytes {start}-{end - 1}/{blob.length}"
        if content_md5:
            headers["x-ms-blob-content-md5"] = content_md5
    elif content_md5:
        headers["content-md5"] = content_md5
    path = call.state.file(blob.file)
    if call.header("x-ms-range-get-content-md5") == "true":
        headers["content-md5"] = await asyncio.to_thread(_range_md5, path, start, end)
    status = 206 if "content-range" in headers or partial else 200
    return StreamingResponse(_chunks(path, start, end), status, headers)


async def head_blob(call: Call) -> Response:
    blob = _read(call)
    return Response(headers={**shown(blob), "content-length": str(blob.length)})


async def delete_blob(call: Call) -> Response:
    with call.state.lock:
        _writable(call)
        call.state.delete_blob(call.account, call.container, call.blob)
    return Response(status_code=202, headers={"x-ms-delete-type-permanent": "true"})


async def get_metadata(call: Call) -> Response:
    blob = _read(call)
    return Response(headers={**written(blob), **_metadata(blob)})


async def set_metadata(call: Call) -> Response:
    with call.state.lock:
        blob = _writable(call).touched(metadata=call.metadata)
        call.state.save(blob)
    return Response(headers=written(blob))


async def set_properties(call: Call) -> Response:
    """Sets all of them: what the call leaves out is cleared, as in Azure."""
    with call.state.lock:
        blob = _writable(call)
        content = content_headers(call)
        content.setdefault("content-type", "application/octet-stream")
        blob = blob.touched(content=content)
        call.state.save(blob)
    return Response(headers=written(blob))


async def set_tier(call: Call) -> Response:
    tier = call.required("x-ms-access-tier")
    if tier not in ("Hot", "Cool", "Cold"):
        raise bad_header("x-ms-access-tier", tier, "Hot, Cool or Cold (Archive is not imitated)")
    with call.state.lock:
        blob = call.state.blob(call.account, call.container, call.blob)
        leases.check_read(blob.lease, call.header("x-ms-lease-id"), time.time())
        call.state.save(replace(blob, tier=tier))
    return Response()


async def seal(call: Call) -> Response:
    with call.state.lock:
        blob = _writable(call)
        if blob.kind != "AppendBlob":
            raise StorageError(409, "InvalidBlobType", "The blob type is invalid for this operation.")
        position = call.integer("x-ms-blob-condition-appendpos")
        if position is not None and position != blob.length:
            raise StorageError(
                412, "AppendPositionConditionNotMet", "The append position condition specified was not met."
            )
        blob = blob.touched(sealed=True)
        call.state.save(blob)
    return Response(headers={**written(blob), "x-ms-blob-sealed": "true"})


async def get_block_list(call: Call) -> Response:
    kind = call.query.get("blocklisttype", "committed").lower()
    if kind not in ("committed", "uncommitted", "all"):
        raise StorageError(
            400, "InvalidQueryParameterValue", f"blocklisttype '{kind}'; allowed: committed, uncommitted, all."
        )
    blob = call.state.find(call.account, call.container, call.blob)
    staged = call.state.staged(call.account, call.container, call.blob)
    if blob is None and not staged:
        call.state.blob(call.account, call.container, call.blob)
    committed = (blob.blocks if blob else ()) if kind != "uncommitted" else None
    body = block_list(committed, staged.values() if kind != "committed" else None)
    headers = {"etag": blob.etag, "x-ms-blob-content-length": str(blob.length)} if blob else {}
    return Response(body, headers=headers, media_type="application/xml")


def shown(blob: Blob) -> dict[str, str]:
    """The headers that describe a blob."""
    headers = {
        **{name: value for name, value in blob.content.items() if value},
        "etag": blob.etag,
        "last-modified": http_date(blob.modified),
        "x-ms-creation-time": http_date(blob.created),
        "x-ms-blob-type": blob.kind,
        "x-ms-server-encrypted": "true",
        "accept-ranges": "bytes",
        **leases.headers(blob.lease, time.time()),
        **blob.copy,
        **_metadata(blob),
    }
    if blob.kind == "AppendBlob":
        headers["x-ms-blob-committed-block-count"] = str(blob.append_count)
        if blob.sealed:
            headers["x-ms-blob-sealed"] = "true"
    else:
        headers |= {"x-ms-access-tier": blob.tier, "x-ms-access-tier-inferred": "true"}
    return headers


def _metadata(blob: Blob) -> dict[str, str]:
    return {f"x-ms-meta-{name}": value for name, value in blob.metadata.items()}


def _read(call: Call) -> Blob:
    blob = call.state.blob(call.account, call.container, call.blob)
    leases.check_read(blob.lease, call.header("x-ms-lease-id"), time.time())
    conditions.check(call.request.headers, blob.etag, blob.modified, writing=False)
    return blob


def _writable(call: Call) -> Blob:
    blob = call.state.blob(call.account, call.container, call.blob)
    conditions.check(call.request.headers, blob.etag, blob.modified, writing=True)
    leases.check_write(blob.lease, call.header("x-ms-lease-id"), time.time())
    return blob


def _range(call: Call, length: int) -> tuple[int, int]:
    """From (included) to (not included)."""
    text = call.header("x-ms-range") or call.header("range")
    if text is None:
        return 0, length
    match = _RANGE.match(text)
    if match is None:
        raise bad_header("x-ms-range", text, "bytes=from-to or bytes=from-")
    start = int(match[1])
    end = min(int(match[2]) + 1, length) if match[2] else length
    if start >= length or end <= start:
        raise StorageError(
            416, "InvalidRange", "The range specified is invalid for the current size of the resource.",
            {"content-range": f"bytes */{length}"},
        )  # fmt: skip
    return start, end


def _range_md5(path: Path, start: int, end: int) -> str:
    if end - start > _LARGEST_HASHED_RANGE:
        raise bad_header("x-ms-range-get-content-md5", "true", f"a range of at most {_LARGEST_HASHED_RANGE} bytes")
    with path.open("rb") as file:
        file.seek(start)
        # Azure's content check, not a signature.
        return base64.b64encode(hashlib.md5(file.read(end - start), usedforsecurity=False).digest()).decode()


async def _chunks(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    # Opened before the first chunk leaves: a write that replaces the blob meanwhile does not harm this reader.
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            size = min(MIB, end - start)
            chunk = file.read(size) if size < MIB else await asyncio.to_thread(file.read, size)
            if not chunk:
                raise OSError(f"{path} is shorter than its blob")
            start += len(chunk)
            yield chunk
