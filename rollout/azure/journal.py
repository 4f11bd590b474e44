"""The journal in blob storage: one append blob per endpoint, under a lease that the service enforces.

`<container>/<endpoint>/journal.jsonl` is the live segment. Its metadata holds what has to survive a crash: `holder`,
`fencing` (rises with every holder) and `base` (the position of the segment's first byte in the whole journal).
An append names the position it expects, so two writers can't interleave, and the lease, so a controller that lost it
is refused by the service even if nobody wrote since.

Azure takes 50,000 appends to one blob. Before that the segment is copied to `<endpoint>/journal-<base>.jsonl` and
the live blob is put again, empty, with a new `base`: one atomic call under the same lease. A crash between the two
leaves a copy of what the live segment still holds; readers ignore it, the next rotation overwrites it.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from rollout.azure.errors import azure_errors, error_code
from rollout.errors import Busy, LeaseLost, NotFound, RolloutError

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

    from rollout.controller.ports import Lease

#: How long a rollout stands still after its controller died: a bad green keeps its traffic for that long. Azure takes
#: 15 to 60; a lease is renewed four times in it, so two renewals may fail and the third still comes in time.
LEASE_SECONDS = 20
_RENEWALS_PER_LEASE = 4
#: Azure's limit is 50,000; what is left is for a holder that appends while it rotates.
BLOCKS_BEFORE_ROTATION = 49_000
_CONSISTENT_READS = 5


@dataclass(frozen=True, slots=True)
class _Head:
    """What the live segment's metadata says."""

    base: int
    fencing: int
    holder: str
    since: str
    blocks: int
    size: int

    def metadata(self) -> dict[str, str]:
        return {
            "base": str(self.base),
            "fencing": str(self.fencing),
            "holder": quote(self.holder),  # metadata is ASCII only
            "since": self.since,
        }


class BlobLease:
    """The lease on one journal. A thread renews it, because a deployment takes longer than a lease lasts."""

    def __init__(self, lease: Any, fencing_number: int, seconds: int, asked_at: float) -> None:
        """`asked_at` (monotonic): when the lease was asked for; it can't have begun before."""
        self._lease, self._fencing_number, self._seconds = lease, fencing_number, seconds
        self._id, self._released = str(lease.id), False
        self._held_until = asked_at + seconds
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="journal-lease", daemon=True)
        self._thread.start()

    @property
    def id(self) -> str:
        return self._id

    @property
    def fencing_number(self) -> int:
        return self._fencing_number

    def renew(self) -> None:
        """Raises `LeaseLost`: somebody else may act by now. `Unavailable`: whether it is still held is not known."""
        with self._lock:
            if self._ended.is_set():
                raise LeaseLost(
                    "the journal's lease has ended", way_out="run the command again; it resumes from the journal"
                )
            asked_at = time.monotonic()
            try:
                with azure_errors("renew the journal's lease"):
                    self._lease.renew()
            except (Busy, NotFound) as error:
                self._ended.set()
                raise LeaseLost(
                    f"the journal's lease was lost: {error.message}",
                    way_out="see `rollout status`: another controller may have taken over",
                ) from error
            self._held_until = asked_at + self._seconds

    def release(self) -> None:
        """Give the lease back; one that is lost already is no error."""
        self._ended.set()
        with self._lock:
            if self._released:
                return
            self._released = True
            try:
                with azure_errors("release the journal's lease"):
                    self._lease.release()
            except (Busy, NotFound):
                return

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / _RENEWALS_PER_LEASE):
            try:
                self.renew()
            except Busy:
                return
            except RolloutError:
                # The service did not answer; the lease may still be ours until it runs out.
                if time.monotonic() > self._held_until:
                    self._ended.set()


class BlobJournal:
    """`JournalStore` of one endpoint. `lease_seconds`: 15 to 60, Azure's limits."""

    def __init__(
        self, container: ContainerClient, endpoint: str, *, lease_seconds: int = LEASE_SECONDS, max_blocks: int = 0
    ) -> None:
        self._container, self._endpoint = container, endpoint
        self._lease_seconds = lease_seconds
        self._max_blocks = max_blocks or BLOCKS_BEFORE_ROTATION
        self._live: BlobClient = container.get_blob_client(f"{endpoint}/journal.jsonl")

    @property
    def name(self) -> str:
        """Where the live segment is, for messages."""
        return f"{self._live.container_name}/{self._live.blob_name}"

    def acquire(self, holder: str) -> BlobLease:
        """Raises `Busy`, naming the holder and the way out, while another one has the lease."""
        from azure.core.exceptions import HttpResponseError

        self._ensure()
        asked_at = time.monotonic()
        with azure_errors(f"lease the journal {self.name}"):
            try:
                lease = self._live.acquire_lease(lease_duration=self._lease_seconds)
            except HttpResponseError as error:
                if error_code(error) != "LeaseAlreadyPresent":
                    raise
                raise self._taken() from error
            fencing = self._enter(lease, holder)
        return BlobLease(lease, fencing, self._lease_seconds, asked_at)

    def _enter(self, lease: Any, holder: str) -> int:
        """Write the holder's name and fencing number; the number comes back."""
        head = self._head()
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        mine = _Head(head.base, head.fencing + 1, holder, now, head.blocks, head.size)
        self._live.set_blob_metadata(mine.metadata(), lease=lease)
        return mine.fencing

    def read(self) -> tuple[bytes, int]:
        """All bytes of all segments in order, and the position after the last."""
        with azure_errors(f"read the journal {self.name}"):
            for _ in range(_CONSISTENT_READS):
                if (found := self._read_once()) is not None:
                    return found
        raise Busy(f"the journal {self.name} changed during each of {_CONSISTENT_READS} reads", way_out="try again")

    def append(self, line: bytes, position: int, lease: Lease) -> int:
        """Write `line` exactly at `position`; `Busy` if somebody wrote there first or the lease is gone."""
        from azure.core.exceptions import HttpResponseError

        if not isinstance(lease, BlobLease):
            raise TypeError(f"append needs the lease that acquire() gave, not {type(lease).__name__}")
        with azure_errors(f"append to the journal {self.name}"):
            head = self._head()
            if head.blocks >= self._max_blocks:
                head = self._rotate(head, lease)
            try:
                self._live.append_block(line, lease=lease.id, appendpos_condition=position - head.base)
            except HttpResponseError as error:
                if error_code(error) != "AppendPositionConditionNotMet" or not self._is_there(
                    line, position - head.base
                ):
                    raise
                # Our own append, answered by a lost connection and sent again by the SDK.
        return position + len(line)

    def _ensure(self) -> None:
        """Make the live segment when this endpoint never had one."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        with azure_errors(f"find the journal {self.name}"):
            if self._live.exists():
                return
            first = _Head(0, 0, "", "", 0, 0)
            try:
                self._live.create_append_blob(metadata=first.metadata(), match_condition=MatchConditions.IfMissing)
            except (ResourceExistsError, ResourceModifiedError):
                return  # another controller was faster

    def _head(self) -> _Head:
        properties = self._live.get_blob_properties()
        return _head_of(properties)

    def _taken(self) -> Busy:
        head = self._head()
        return Busy(
            f"endpoint {self._endpoint!r} is held by {head.holder or 'another controller'} since {head.since or 'now'}",
            way_out=f"let it finish; if it died, its lease ends by itself within {self._lease_seconds} s: try again then",
        )

    def _is_there(self, line: bytes, offset: int) -> bool:
        return self._live.get_blob_properties().size >= offset + len(line) and (
            self._live.download_blob(offset=offset, length=len(line)).readall() == line
        )

    def _segment(self, base: int) -> BlobClient:
        return self._container.get_blob_client(f"{self._endpoint}/journal-{base:020d}.jsonl")

    def _rotate(self, head: _Head, lease: BlobLease) -> _Head:
        content = self._live.download_blob().readall()
        self._segment(head.base).upload_blob(content, overwrite=True)
        fresh = _Head(head.base + len(content), head.fencing, head.holder, head.since, 0, 0)
        self._live.create_append_blob(metadata=fresh.metadata(), lease=lease.id)
        return fresh

    def _read_once(self) -> tuple[bytes, int] | None:
        """None when the live segment changed in between."""
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError

        try:
            download = self._live.download_blob()
            head, live = _head_of(download.properties), download.readall()
        except ResourceModifiedError:
            return None
        except ResourceNotFoundError as error:
            if error_code(error) == "BlobNotFound":
                return b"", 0  # this endpoint never had a rollout
            raise
        parts: list[bytes] = []
        position = 0
        while position < head.base:
            parts.append(self._segment(position).download_blob().readall())
            if not parts[-1]:
                raise RolloutError(f"the journal's segment at {position} is empty", way_out="restore the blob")
            position += len(parts[-1])
        return b"".join([*parts, live]), head.base + len(live)


def _head_of(properties: Any) -> _Head:
    metadata = {key.lower(): value for key, value in (properties.metadata or {}).items()}
    return _Head(
        base=int(metadata.get("base", 0)),
        fencing=int(metadata.get("fencing", 0)),
        holder=unquote(metadata.get("holder", "")),
        since=metadata.get("since", ""),
        blocks=int(properties.append_blob_committed_block_count or 0),
        size=int(properties.size or 0),
    )
