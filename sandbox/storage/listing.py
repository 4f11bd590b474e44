"""The blob service's XML: lists of containers, blobs and blocks."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote
from xml.etree import ElementTree  # nosec B405  # see read_block_list

from sandbox.storage import leases
from sandbox.storage.errors import StorageError
from sandbox.storage.model import Blob, Block, Container, http_date

_NOT_IN_XML = re.compile("[\x00-\x1f\ufffe\uffff]")
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'


@dataclass(frozen=True, slots=True)
class Page:
    """What a list call asked for. `marker` is the name to start at."""

    prefix: str
    delimiter: str
    marker: str
    size: int
    include: frozenset[str]


def read_block_list(body: bytes) -> list[tuple[str, str]]:
    """(Committed | Uncommitted | Latest, block id) in order; StorageError 400 for anything else."""
    # A document type could define entities that grow without end; a block list has none.
    if b"<!" in body:
        raise _bad_xml("a document type is not allowed")
    try:
        root = ElementTree.fromstring(body)  # nosec B314  # no document type, so no entities
    except ElementTree.ParseError as error:
        raise _bad_xml(str(error)) from error
    if root.tag != "BlockList" or any(item.tag not in ("Committed", "Uncommitted", "Latest") for item in root):
        raise _bad_xml("expected BlockList with Committed, Uncommitted or Latest")
    return [(item.tag, item.text or "") for item in root]


def block_list(committed: Sequence[Block] | None, uncommitted: Iterable[Block] | None) -> str:
    parts = []
    for name, blocks in (("CommittedBlocks", committed), ("UncommittedBlocks", uncommitted)):
        if blocks is not None:
            items = "".join(f"<Block><Name>{escape(b.id)}</Name><Size>{b.length}</Size></Block>" for b in blocks)
            parts.append(f"<{name}>{items}</{name}>")
    return f"{_DECLARATION}<BlockList>{''.join(parts)}</BlockList>"


def container_list(endpoint: str, containers: Sequence[Container], page: Page) -> str:
    from_marker = [c for c in containers if c.name >= page.marker]
    shown = from_marker[: page.size]
    left = from_marker[page.size].name if len(from_marker) > page.size else ""
    now = time.time()
    items = []
    for container in shown:
        properties = _properties(container.etag, container.modified, leases.headers(container.lease, now))
        metadata = _metadata(container.metadata) if "metadata" in page.include else ""
        items.append(
            f"<Container><Name>{escape(container.name)}</Name><Properties>{properties}</Properties>{metadata}</Container>"
        )
    head = f'<EnumerationResults ServiceEndpoint="{escape(endpoint)}">{_asked(page)}'
    return f"{_DECLARATION}{head}<Containers>{''.join(items)}</Containers><NextMarker>{escape(left)}</NextMarker></EnumerationResults>"


def blob_list(endpoint: str, container: str, blobs: Iterable[Blob], page: Page) -> str:
    """One page; with a delimiter, names that share their next part come as one BlobPrefix."""
    items: list[str] = []
    left, last_prefix = "", None
    now = time.time()
    for blob in blobs:
        prefix = _common_prefix(blob.name, page)
        entry = prefix or blob.name
        if entry < page.marker or (prefix is not None and prefix == last_prefix):
            continue
        if len(items) == page.size:
            left = entry
            break
        last_prefix = prefix
        items.append(f"<BlobPrefix>{_name(prefix)}</BlobPrefix>" if prefix else _blob(blob, page, now))
    head = (
        f'<EnumerationResults ServiceEndpoint="{escape(endpoint)}" ContainerName="{escape(container)}">{_asked(page)}'
    )
    return f"{_DECLARATION}{head}<Blobs>{''.join(items)}</Blobs><NextMarker>{escape(left)}</NextMarker></EnumerationResults>"


def _common_prefix(name: str, page: Page) -> str | None:
    if not page.delimiter:
        return None
    at = name.find(page.delimiter, len(page.prefix))
    return name[: at + len(page.delimiter)] if at >= 0 else None


def _blob(blob: Blob, page: Page, now: float) -> str:
    content = blob.content
    named = {
        "Creation-Time": http_date(blob.created),
        "Content-Length": str(blob.length),
        "Content-Type": content.get("content-type", ""),
        "Content-Encoding": content.get("content-encoding", ""),
        "Content-Language": content.get("content-language", ""),
        "Content-MD5": content.get("content-md5", ""),
        "Cache-Control": content.get("cache-control", ""),
        "Content-Disposition": content.get("content-disposition", ""),
        "BlobType": blob.kind,
        "ServerEncrypted": "true",
    }
    if blob.kind == "BlockBlob":
        named |= {"AccessTier": blob.tier, "AccessTierInferred": "true"}
    extra = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in named.items())
    properties = extra + _properties(blob.etag, blob.modified, leases.headers(blob.lease, now))
    metadata = _metadata(blob.metadata) if "metadata" in page.include else ""
    return f"<Blob>{_name(blob.name)}<Properties>{properties}</Properties>{metadata}</Blob>"


def _name(name: str) -> str:
    """XML can't hold most control characters: a name with any is sent percent-encoded, and says so."""
    if _NOT_IN_XML.search(name):
        return f'<Name Encoded="true">{quote(name)}</Name>'
    return f"<Name>{escape(name)}</Name>"


def _properties(etag: str, modified: float, lease: dict[str, str]) -> str:
    named = {"Last-Modified": http_date(modified), "Etag": etag.strip('"')}
    for header, name in (("status", "LeaseStatus"), ("state", "LeaseState"), ("duration", "LeaseDuration")):
        if f"x-ms-lease-{header}" in lease:
            named[name] = lease[f"x-ms-lease-{header}"]
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in named.items())


def _metadata(metadata: dict[str, str]) -> str:
    return "<Metadata>" + "".join(f"<{k}>{escape(v)}</{k}>" for k, v in metadata.items()) + "</Metadata>"


def _asked(page: Page) -> str:
    text = f"<Prefix>{escape(page.prefix)}</Prefix>" if page.prefix else ""
    text += f"<Marker>{escape(page.marker)}</Marker>" if page.marker else ""
    text += f"<MaxResults>{page.size}</MaxResults>"
    return text + (f"<Delimiter>{escape(page.delimiter)}</Delimiter>" if page.delimiter else "")


def _bad_xml(detail: str) -> StorageError:
    return StorageError(400, "InvalidXmlDocument", f"The XML specified is not syntactically valid: {detail}.")
