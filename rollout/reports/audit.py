"""The journal as an audit trail: who did what, when, on which evidence, and what it did to traffic. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rollout.controller.effects import Effect, show_weights
from rollout.controller.records import AuditReport, Kind, Record


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One line of the journal in words. `traffic` is empty unless the line changed it."""

    sequence: int
    time: str
    rollout: str
    actor: str
    fencing: int
    kind: str
    what: str
    traffic: str
    policy: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EffectCount:
    """How intents ended. `repeated`: confirmed more than once, which must never be; `resumed`: taken over by another."""

    intents: int
    done: int
    failed: int
    abandoned: int
    resumed: int
    repeated: int
    open: int


#: Column titles in the order of the row's fields.
COLUMNS = tuple(field.name for field in fields(AuditRow))

#: Lines that are bookkeeping rather than story.
_BOOKKEEPING = frozenset({Kind.TOLD})


def audit_rows(records: Iterable[Record], *, rollout: str = "", everything: bool = False) -> list[AuditRow]:
    """A row for each line, oldest first; of one `rollout` only if given; bookkeeping only with `everything`."""
    return [
        _row(record)
        for record in records
        if (not rollout or record.rollout == rollout) and (everything or record.kind not in _BOOKKEEPING)
    ]


def count_effects(records: Iterable[Record], *, rollout: str = "") -> EffectCount:
    """What became of every intent, from the journal alone."""
    chosen = [record for record in records if not rollout or record.rollout == rollout]
    done = [record.evidence for record in chosen if record.kind is Kind.DONE]
    intents = {record.sequence for record in chosen if record.kind is Kind.INTENT}
    endings = Counter(evidence["intent"] for evidence in done)
    return EffectCount(
        intents=len(intents),
        done=sum(bool(evidence["ok"]) for evidence in done),
        failed=sum(not evidence["ok"] and not evidence.get("abandoned") for evidence in done),
        abandoned=sum(bool(evidence.get("abandoned")) for evidence in done),
        resumed=len({record.evidence["intent"] for record in chosen if record.kind is Kind.RESUMED}),
        repeated=sum(count - 1 for count in endings.values()),
        open=len(intents - set(endings)),
    )


def audit_summary(report: AuditReport) -> str:
    """One sentence about the chain."""
    if not report.ok:
        return f"BROKEN at sequence {report.broken_at}: {report.problem}"
    extras = [
        f"{len(report.stale)} stale lines ignored ({', '.join(map(str, report.stale))})" if report.stale else "",
        f"torn lines repaired before {', '.join(map(str, report.repaired))}" if report.repaired else "",
        "the last line is torn; the next writer repairs it" if report.torn_tail else "",
    ]
    return "; ".join([f"{report.lines} lines verify, head {report.head[:12]}", *(extra for extra in extras if extra)])


def _row(record: Record) -> AuditRow:
    before, after = record.weights_before, record.weights_after
    return AuditRow(
        sequence=record.sequence,
        time=record.time[:19].replace("T", " "),
        rollout=record.rollout,
        actor=record.actor,
        fencing=record.fencing,
        kind=record.kind.value,
        what=_what(record),
        traffic="" if before == after else f"{show_weights(before)} -> {show_weights(after)}",
        policy=record.policy,
    )


def _what(record: Record) -> str:
    describe = _WORDS.get(record.kind)
    return describe(record.evidence) if describe else str(dict(record.evidence))


def _planned(evidence: Mapping[str, Any]) -> str:
    spec = evidence["spec"]
    steps = "/".join(str(step) for step in evidence["policy"]["steps"]) if evidence["blue"] else "initial, 100"
    return f"{spec['model']} as {spec['name']} beside {evidence['blue'] or 'nothing'}: {steps}"


def _intent(evidence: Mapping[str, Any]) -> str:
    return f"{Effect.from_json(evidence['effect'])}: {evidence['reason']}"


def _done(evidence: Mapping[str, Any]) -> str:
    effect = Effect.from_json(evidence["effect"])
    if evidence.get("abandoned"):
        return f"{effect}: abandoned; {evidence['detail']}"
    if not evidence["ok"]:
        return f"{effect}: failed; {evidence['failure']}"
    found = " (found done, not repeated)" if evidence.get("found") else ""
    return f"{effect}: {evidence['detail'] or _checks(evidence) or 'done'}{found}"


def _checks(evidence: Mapping[str, Any]) -> str:
    return "; ".join(f"{check['name']} {check['verdict']}: {check['detail']}" for check in evidence.get("checks", ()))


def _decision(evidence: Mapping[str, Any]) -> str:
    return f"{evidence['action'].replace('_', ' ')}: {evidence['reason']}"


def _resumed(evidence: Mapping[str, Any]) -> str:
    return (
        f"{Effect.from_json(evidence['effect'])}, begun under fencing {evidence['from_fencing']}: {evidence['found']}"
    )


_WORDS: Mapping[Kind, Callable[[Mapping[str, Any]], str]] = {
    Kind.PLANNED: _planned,
    Kind.INTENT: _intent,
    Kind.DONE: _done,
    Kind.VERDICT: _checks,
    Kind.DECISION: _decision,
    Kind.RESUMED: _resumed,
    Kind.APPROVAL: lambda evidence: f"approved by {evidence['who']} {evidence.get('note', '')}".rstrip(),
    Kind.ABORT: lambda evidence: f"{evidence['reason']}{' (forced)' if evidence.get('force') else ''}",
    Kind.RESUME: lambda evidence: str(evidence["reason"]),
    Kind.TOLD: lambda evidence: f"announced {', '.join(map(str, evidence['sequences']))}",
    Kind.PARK: lambda evidence: f"{evidence['reason']}: {', '.join(sorted(evidence.get('deployments', ()))) or 'goes on'}",
    Kind.PARKING: lambda evidence: f"{evidence['effect']}: {'done' if evidence['done'] else 'begun'} {_checks(evidence)}".rstrip(),
    Kind.PARKED: lambda evidence: "no deployment is left",
    Kind.UNPARK: lambda evidence: str(evidence["reason"]),
    Kind.UNPARKED: lambda evidence: "all deployments are back",
    Kind.REPAIRED: lambda evidence: f"closed a torn line of {evidence['remains_bytes']} bytes",
}
