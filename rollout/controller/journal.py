"""The journal of one endpoint, open for writing under a lease. Each append goes to the exact end, or `Busy`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollout.controller import codec
from rollout.controller.fold import apply, fold
from rollout.controller.ports import JournalStore, Lease
from rollout.controller.records import GENESIS, Kind, Parsed, Record, parse
from rollout.controller.state import EndpointState
from rollout.errors import Busy


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and when it is: policy time and epoch seconds."""

    endpoint: str
    actor: str
    now: Callable[[], datetime]
    real_now: Callable[[], float]


class Journal:
    """Reads on opening, then appends; `state` always includes the newest line."""

    def __init__(self, store: JournalStore, lease: Lease, writer: Writer) -> None:
        """AuditBroken when the chain does not verify; Busy when a newer controller has already written."""
        self._store, self._lease, self._writer = store, lease, writer
        data, self._position = store.read()
        parsed = parse(data)
        parsed.report.raise_if_broken()
        self.state: EndpointState = fold(parsed.records)
        if self.state.fencing > lease.fencing_number:
            raise Busy(
                f"this controller's fencing number {lease.fencing_number} is older than {self.state.fencing},"
                f" under which {self.state.last_actor} wrote",
                way_out="run the command again",
            )
        self._opening = b"\n" if parsed.open_end else b""
        self._remains = parsed.remains

    @property
    def fencing(self) -> int:
        return self._lease.fencing_number

    def append(
        self,
        kind: Kind,
        evidence: Mapping[str, Any],
        *,
        rollout: str | None = None,
        weights: tuple[Mapping[str, int], Mapping[str, int]] | None = None,
        policy: str | None = None,
    ) -> Record:
        """Write one line about the current rollout (or `rollout`). `weights`: before and after, if they change."""
        if self._remains:
            self._repair()
        current = self.state.rollout
        standing = current.weights if current else {}
        before, after = weights or (standing, standing)
        record = Record(
            sequence=self.state.sequence + 1,
            time=self._writer.now().isoformat(),
            real_time=round(self._writer.real_now(), 3),
            rollout=rollout or (current.id if current else ""),
            endpoint=self._writer.endpoint,
            actor=self._writer.actor,
            fencing=self._lease.fencing_number,
            kind=kind,
            evidence=codec.redact(evidence),
            policy=policy or (current.policy_version if current else ""),
            weights_before=dict(before),
            weights_after=dict(after),
            previous=self.state.last_hash or GENESIS,
        ).sealed()
        self._position = self._store.append(self._opening + record.to_line(), self._position, self._lease)
        self._opening = b""
        self.state = apply(self.state, record)
        return record

    def _repair(self) -> None:
        """Close lines that were cut short, and account for them."""
        remains, self._remains = self._remains, ()
        digests = [hashlib.sha256(line).hexdigest() for line in remains]
        self.append(Kind.REPAIRED, {"remains_bytes": sum(map(len, remains)), "remains_sha256": digests})


def read_journal(store: JournalStore) -> tuple[EndpointState, Parsed]:
    """State and records without a lease, as far as the chain verifies; the report says if it does not."""
    data, _ = store.read()
    parsed = parse(data)
    return fold(parsed.records), parsed
