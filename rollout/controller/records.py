"""Lines of the journal: canonical JSON, each carrying the hash of the one before. Pure.

Lines cut short (the writer died) are tolerated at the end; the next writer closes them with a newline and a
`repaired` line that names the hashes of the remains. What ends without a newline but is whole counts as written.
The chain shows any change, gap or swap; that the newest lines were cut off shows only against a head kept
elsewhere (`expected_head`): every announcement carries it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout.errors import AuditBroken

GENESIS = "0" * 64


class Kind(StrEnum):
    """What a line says.

    PLANNED    a rollout begins: spec, policy, blue, plan
    INTENT     an effect is about to be done
    DONE       it was done (or failed), and what was read back
    RESUMED    another controller found an intent without its done, and looked what had become of it
    VERDICT    the checks changed
    DECISION   what follows from them: advance, hold, page, roll back, finish
    APPROVAL   a person agrees
    ABORT      a person wants traffic back on blue
    RESUME     a person lets a paged rollout go on
    TOLD       announcements that were delivered
    REPAIRED   the remains of a half-written line, closed
    PARK       an order to park, with what is live: all that is needed to make it again
    PARKING    a step of parking or of going back: before it, and when it is done
    PARKED     nothing is left of the endpoint's deployments
    UNPARK     an order to make the parked deployments again
    UNPARKED   they are there, tested, and have their traffic
    NOTE       anything else
    """

    PLANNED = "planned"
    INTENT = "intent"
    DONE = "done"
    RESUMED = "resumed"
    VERDICT = "verdict"
    DECISION = "decision"
    APPROVAL = "approval"
    ABORT = "abort"
    RESUME = "resume"
    TOLD = "told"
    REPAIRED = "repaired"
    PARK = "park"
    PARKING = "parking"
    PARKED = "parked"
    UNPARK = "unpark"
    UNPARKED = "unparked"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `time` is policy time (ISO 8601, UTC), `real_time` epoch seconds."""

    sequence: int
    time: str
    real_time: float
    rollout: str
    endpoint: str
    actor: str
    fencing: int
    kind: Kind
    evidence: Mapping[str, Any]
    policy: str
    weights_before: Mapping[str, int]
    weights_after: Mapping[str, int]
    previous: str
    hash: str = ""

    def sealed(self) -> Record:
        """This record with its hash."""
        return Record(**{**_fields(self), "hash": self.digest()})

    def digest(self) -> str:
        """sha256 over the canonical JSON of everything but the hash."""
        body = {key: value for key, value in _fields(self).items() if key != "hash"}
        return hashlib.sha256(canonical(body)).hexdigest()

    def to_line(self) -> bytes:
        return canonical(_fields(self)) + b"\n"


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What `verify` found. `head` is the hash of the newest line."""

    ok: bool
    lines: int
    head: str
    broken_at: int | None = None
    problem: str = ""
    stale: tuple[int, ...] = ()
    torn_tail: bool = False
    repaired: tuple[int, ...] = ()

    def raise_if_broken(self) -> None:
        """AuditBroken that names the sequence number."""
        if not self.ok:
            raise AuditBroken(
                f"the journal does not verify at sequence {self.broken_at}: {self.problem}",
                way_out="compare with the storage account's versions; traffic was not touched",
            )


@dataclass(frozen=True, slots=True)
class Parsed:
    """The journal's records in order, and at its end the remains of torn lines that nobody has closed yet."""

    records: tuple[Record, ...]
    report: AuditReport
    remains: tuple[bytes, ...] = ()
    #: Whether the last line, torn or whole, still lacks its newline.
    open_end: bool = False


def canonical(value: Any) -> bytes:
    """The one way to write `value`: keys sorted, no spaces, ASCII; ValueError for NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def parse(data: bytes) -> Parsed:
    """Every line up to the first that does not verify; the report says whether and where that was."""
    *lines, tail = data.split(b"\n")
    reader = _Reader()
    open_end = bool(tail)
    for line in [*lines, tail]:
        if line and not reader.take(line):
            break
    return Parsed(tuple(reader.records), reader.report(), tuple(reader.remains), open_end)


def verify(data: bytes, expected_head: str = "") -> AuditReport:
    """Whether the chain holds; `expected_head` also finds lines that were cut off at the end."""
    parsed = parse(data)
    report = parsed.report
    if report.ok and expected_head and expected_head not in {record.hash for record in parsed.records}:
        missing = parsed.records[-1].sequence + 1 if parsed.records else 1
        problem = f"no line has the expected hash {expected_head[:12]}: the newest lines were removed"
        return AuditReport(False, report.lines, report.head, missing, problem, report.stale)
    return report


class _Reader:
    """Takes line after line, checking each against the one before."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.remains: list[bytes] = []
        self.problem = ""
        self.stale: list[int] = []
        self.repaired: list[int] = []
        self._fencing = 0

    @property
    def head(self) -> str:
        return self.records[-1].hash if self.records else GENESIS

    @property
    def next_sequence(self) -> int:
        return self.records[-1].sequence + 1 if self.records else 1

    def take(self, line: bytes) -> bool:
        """Whether the line was good, or may yet turn out to be the accounted remains of a torn one."""
        record = _decode(line)
        if record is None:
            self.remains.append(line)
            return True
        self.problem = self._problem_of(record, line) or self._unaccounted(record)
        if self.problem:
            return False
        if record.fencing < self._fencing:
            self.stale.append(record.sequence)
        self._fencing = max(self._fencing, record.fencing)
        self.records.append(record)
        return True

    def _unaccounted(self, record: Record) -> str:
        """What follows torn lines has to be the repair that names them all."""
        if not self.remains:
            return ""
        named = record.evidence.get("remains_sha256") if record.kind is Kind.REPAIRED else None
        if named != [hashlib.sha256(line).hexdigest() for line in self.remains]:
            return "the line can't be read, and no repair accounts for it"
        self.repaired.append(record.sequence)
        self.remains = []
        return ""

    def _problem_of(self, record: Record, line: bytes) -> str:
        if record.digest() != record.hash or record.to_line().rstrip(b"\n") != line:
            return "the line was changed: its hash does not match its content"
        if record.sequence != self.next_sequence:
            return f"found sequence {record.sequence}: lines were removed, repeated or reordered"
        if record.previous != self.head:
            return "the line does not follow from the one before it"
        return ""

    def report(self) -> AuditReport:
        return AuditReport(
            ok=not self.problem,
            lines=len(self.records),
            head=self.head,
            broken_at=self.next_sequence if self.problem else None,
            problem=self.problem,
            stale=tuple(self.stale),
            torn_tail=bool(self.remains) and not self.problem,
            repaired=tuple(self.repaired),
        )


def _decode(line: bytes) -> Record | None:
    """The record that the line holds, whatever its hash; None when it holds none."""
    try:
        document = json.loads(line)
        return Record(**{**document, "kind": Kind(document["kind"])})
    except (ValueError, TypeError, KeyError):
        return None


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in Record.__dataclass_fields__}
