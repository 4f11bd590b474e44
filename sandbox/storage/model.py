"""What the blob service keeps about a container and a blob."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass, field, replace
from email.utils import formatdate
from typing import Any, Self

from sandbox.storage.leases import Lease, from_document

#: Properties that a caller may set, by the header that sets them (`x-ms-blob-...`) and the one that shows them.
CONTENT_HEADERS = {
    "x-ms-blob-content-type": "content-type",
    "x-ms-blob-content-encoding": "content-encoding",
    "x-ms-blob-content-language": "content-language",
    "x-ms-blob-content-disposition": "content-disposition",
    "x-ms-blob-cache-control": "cache-control",
    "x-ms-blob-content-md5": "content-md5",
}
_ticks = itertools.count(1)


def new_etag() -> str:
    """Never given twice, also across restarts."""
    return f'"0x8D{(time.time_ns() // 1000) * 16 + next(_ticks) % 16:X}"'


@dataclass(frozen=True, slots=True)
class Container:
    """`modified` in epoch seconds, as everywhere in this module."""

    account: str
    name: str
    etag: str
    modified: float
    metadata: dict[str, str] = field(default_factory=dict)
    public: str | None = None
    lease: Lease | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        return cls(**{**document, "lease": from_document(document["lease"])})

    def touched(self, **changes: Any) -> Self:
        """With a new ETag and time of change."""
        return replace(self, etag=new_etag(), modified=time.time(), **changes)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a block blob: base64 id, the file that holds it, where, how much."""

    id: str
    file: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Blob:
    """`file` (below the blobs folder) holds the content; only its first `length` bytes count."""

    account: str
    container: str
    name: str
    kind: str  # BlockBlob or AppendBlob
    file: str
    length: int
    etag: str
    created: float
    modified: float
    content: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    append_count: int = 0
    sealed: bool = False
    tier: str = "Hot"
    copy: dict[str, str] = field(default_factory=dict)
    lease: Lease | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        blocks = tuple(Block(**block) for block in document["blocks"])
        return cls(**{**document, "blocks": blocks, "lease": from_document(document["lease"])})

    def touched(self, **changes: Any) -> Self:
        """With a new ETag and time of change. A lease that had expired is gone: it can't be renewed after a write."""
        now = time.time()
        lease = self.lease
        if lease is not None and lease.state(now) == "expired":
            lease = None
        return replace(self, **{"lease": lease, "etag": new_etag(), "modified": now, **changes})


@dataclass(frozen=True, slots=True)
class Content:
    """What a write puts in place of a blob's old content."""

    file: str
    headers: dict[str, str]
    metadata: dict[str, str] = field(default_factory=dict)
    kind: str = "BlockBlob"
    blocks: tuple[Block, ...] = ()
    append_count: int = 0
    copy: dict[str, str] = field(default_factory=dict)


def http_date(epoch: float) -> str:
    return formatdate(epoch, usegmt=True)
