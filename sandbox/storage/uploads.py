"""Writing content: Put Blob, Put Block, Put Block List, Append Block, Put Blob From URL and Copy Blob."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import time
import uuid

from starlette.responses import Response

from sandbox.storage import conditions, leases
from sandbox.storage.call import Call
from sandbox.storage.copying import source_blob
from sandbox.storage.errors import StorageError, bad_header, not_imitated
from sandbox.storage.listing import read_block_list
from sandbox.storage.model import CONTENT_HEADERS, Blob, Block, Content, http_date

MIB = 1 << 20
_LARGEST_PUT = 5000 * MIB
_LARGEST_BLOCK = 4000 * MIB
_LARGEST_APPEND = 100 * MIB
_MOST_BLOCKS = 50_000


async def put_blob(call: Call) -> Response:
    if call.header("x-ms-copy-source"):
        return await copy_blob(call)
    kind = call.required("x-ms-blob-type")
    if kind not in ("BlockBlob", "AppendBlob"):
        raise not_imitated("Put Blob with x-ms-blob-type", kind)
    file, md5 = await _receive(call, _LARGEST_PUT)
    if kind == "AppendBlob" and call.state.file(file).stat().st_size:
        call.state.drop_files({file})
        raise StorageError(400, "InvalidHeaderValue", "An append blob is created empty: Content-Length must be 0.")
    content = content_headers(call)
    if kind == "BlockBlob":
        content.setdefault("content-md5", md5)
    return _commit(call, Content(file, content, call.metadata, kind), md5)


async def put_block(call: Call) -> Response:
    if call.header("x-ms-copy-source"):
        raise not_imitated("Put Block", "From URL")
    block_id = call.query.get("blockid", "")
    _check_block_id(call, block_id)
    file, md5 = await _receive(call, _LARGEST_BLOCK)
    with call.state.lock:
        blob = call.state.find(call.account, call.container, call.blob)
        _check_lease(call, blob, file)
        call.state.stage(call.account, call.container, call.blob, block_id, file)
    return Response(status_code=201, headers={"content-md5": md5, "x-ms-request-server-encrypted": "true"})


async def put_block_list(call: Call) -> Response:
    wanted = read_block_list(await call.request.body())
    state = call.state
    blob = state.find(call.account, call.container, call.blob)
    if blob is not None and blob.kind != "BlockBlob":
        raise _wrong_type()
    staged = state.staged(call.account, call.container, call.blob)
    blocks = _choose(wanted, {block.id: block for block in blob.blocks} if blob else {}, staged)
    file = state.new_file()
    await asyncio.to_thread(state.join, blocks, file)
    offset, placed = 0, []
    for block in blocks:
        placed.append(Block(block.id, file, offset, block.length))
        offset += block.length
    # As in Azure: of a block list the service knows no MD5 but the one that the caller gives.
    return _commit(call, Content(file, content_headers(call), call.metadata, blocks=tuple(placed)))


async def append_block(call: Call) -> Response:
    if call.header("x-ms-copy-source"):
        raise not_imitated("Append Block", "From URL")
    body = await call.request.body()
    if not body or len(body) > _LARGEST_APPEND:
        raise StorageError(
            413, "RequestBodyTooLarge", f"An append block is 1 to {_LARGEST_APPEND} bytes; this one has {len(body)}."
        )
    _check_md5(call, hashlib.md5(body, usedforsecurity=False).digest())
    with call.state.lock:
        blob = call.state.blob(call.account, call.container, call.blob)
        if blob.kind != "AppendBlob":
            raise _wrong_type()
        conditions.check(call.request.headers, blob.etag, blob.modified, writing=True)
        leases.check_write(blob.lease, call.header("x-ms-lease-id"), time.time())
        _check_append(call, blob, len(body))
        grown = call.state.append(blob, body)
    headers = {"x-ms-blob-append-offset": str(blob.length), "x-ms-blob-committed-block-count": str(grown.append_count)}
    return Response(status_code=201, headers={**written(grown), **headers})


async def copy_blob(call: Call) -> Response:
    """From another blob of this sandbox; done when the answer leaves."""
    source = source_blob(call)
    state, file = call.state, call.state.new_file()
    whole = Block("", source.file, 0, source.length)
    await asyncio.to_thread(state.join, [whole], file)
    copy_id = str(uuid.uuid4())
    copy = {
        "x-ms-copy-id": copy_id,
        "x-ms-copy-status": "success",
        "x-ms-copy-source": call.required("x-ms-copy-source").partition("?")[0],
        "x-ms-copy-progress": f"{source.length}/{source.length}",
        "x-ms-copy-completion-time": http_date(time.time()),
    }
    blocks = tuple(Block(block.id, file, block.offset, block.length) for block in source.blocks)
    given = {name: value for name, value in content_headers(call).items() if call.header(f"x-ms-blob-{name}")}
    headers, metadata = {**source.content, **given}, call.metadata or source.metadata
    response = _commit(call, Content(file, headers, metadata, source.kind, blocks, source.append_count, copy))
    response.headers.update({"x-ms-copy-id": copy_id, "x-ms-copy-status": "success"})
    # Put Blob From URL is a write like any other, Copy Blob an operation that has been accepted.
    response.status_code = 201 if call.header("x-ms-blob-type") else 202
    return response


def content_headers(call: Call) -> dict[str, str]:
    """The properties that the call sets on the blob."""
    headers = call.request.headers
    content = {shown: headers[given] for given, shown in CONTENT_HEADERS.items() if headers.get(given)}
    if not call.query.get("comp"):
        content.setdefault("content-type", headers.get("content-type") or "application/octet-stream")
    return content


def written(blob: Blob) -> dict[str, str]:
    """What every answer to a write tells."""
    return {"etag": blob.etag, "last-modified": http_date(blob.modified), "x-ms-request-server-encrypted": "true"}


def _commit(call: Call, content: Content, md5: str | None = None) -> Response:
    state = call.state
    content.headers.setdefault("content-type", "application/octet-stream")
    try:
        with state.lock:
            old = state.find(call.account, call.container, call.blob)
            _check_conditions(call, old)
            leases.check_write(old.lease if old else None, call.header("x-ms-lease-id"), time.time())
            blob = state.commit(call.account, call.container, call.blob, content)
    except StorageError:
        state.drop_files({content.file})
        raise
    return Response(status_code=201, headers=written(blob) | ({"content-md5": md5} if md5 else {}))


def _check_conditions(call: Call, old: Blob | None) -> None:
    headers = call.request.headers
    if old is not None and headers.get("if-none-match") == "*":
        raise StorageError(409, "BlobAlreadyExists", "The specified blob already exists.")
    conditions.check(headers, old.etag if old else None, old.modified if old else None, writing=True)


def _check_lease(call: Call, blob: Blob | None, file: str) -> None:
    try:
        call.state.container(call.account, call.container)
        leases.check_write(blob.lease if blob else None, call.header("x-ms-lease-id"), time.time())
        if blob is not None and blob.kind != "BlockBlob":
            raise _wrong_type()
    except StorageError:
        call.state.drop_files({file})
        raise


def _check_append(call: Call, blob: Blob, size: int) -> None:
    if blob.sealed:
        raise StorageError(409, "BlobIsSealed", "The specified append blob is sealed.")
    position = call.integer("x-ms-blob-condition-appendpos")
    if position is not None and position != blob.length:
        raise StorageError(
            412, "AppendPositionConditionNotMet", "The append position condition specified was not met.",
        )  # fmt: skip
    most = call.integer("x-ms-blob-condition-maxsize")
    if most is not None and blob.length + size > most:
        raise StorageError(412, "MaxBlobSizeConditionNotMet", "The max blob size condition specified was not met.")
    if blob.append_count >= _MOST_BLOCKS:
        raise StorageError(409, "BlockCountExceedsLimit", f"An append blob has at most {_MOST_BLOCKS} blocks.")


def _choose(wanted: list[tuple[str, str]], committed: dict[str, Block], staged: dict[str, Block]) -> list[Block]:
    if len(wanted) > _MOST_BLOCKS:
        raise StorageError(400, "BlockListTooLong", f"A block list has at most {_MOST_BLOCKS} blocks.")
    pools = {"Committed": [committed], "Uncommitted": [staged], "Latest": [staged, committed]}
    blocks = []
    for kind, block_id in wanted:
        found = next((pool[block_id] for pool in pools[kind] if block_id in pool), None)
        if found is None:
            raise StorageError(400, "InvalidBlockList", "The specified block list is invalid.")
        blocks.append(found)
    return blocks


def _check_block_id(call: Call, block_id: str) -> None:
    try:
        decoded = base64.b64decode(block_id, validate=True)
    except binascii.Error as error:
        raise _bad_block_id(block_id) from error
    if not 1 <= len(decoded) <= 64:
        raise _bad_block_id(block_id)


def _bad_block_id(block_id: str) -> StorageError:
    return StorageError(
        400, "InvalidQueryParameterValue", f"blockid '{block_id}' is not valid; allowed: 1 to 64 bytes as base64."
    )


async def _receive(call: Call, limit: int) -> tuple[str, str]:
    """Stream the body to disk; gives the file and the base64 MD5."""
    call.state.container(call.account, call.container)
    for name in ("x-ms-content-crc64", "x-ms-structured-body"):
        if call.header(name):
            raise not_imitated("uploads with", name)
    # Azure's content check, not a signature.
    digest, file, size = hashlib.md5(usedforsecurity=False), call.state.new_file(), 0
    try:
        with call.state.file(file).open("wb") as target:
            async for chunk in call.request.stream():
                size += len(chunk)
                if size > limit:
                    raise StorageError(413, "RequestBodyTooLarge", f"The request body is larger than {limit} bytes.")
                digest.update(chunk)
                target.write(chunk)
        _check_md5(call, digest.digest())
    except BaseException:
        call.state.drop_files({file})
        raise
    return file, base64.b64encode(digest.digest()).decode()


def _check_md5(call: Call, digest: bytes) -> None:
    given = call.header("content-md5")
    if given is None:
        return
    try:
        wanted = base64.b64decode(given, validate=True)
    except binascii.Error as error:
        raise bad_header("content-md5", given, "an MD5 as base64") from error
    if wanted != digest:
        raise StorageError(
            400, "Md5Mismatch", "The MD5 value specified in the request did not match the one that the server computed."
        )


def _wrong_type() -> StorageError:
    return StorageError(409, "InvalidBlobType", "The blob type is invalid for this operation.")
