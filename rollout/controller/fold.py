"""From lines to state: `replay` is a pure fold, so that any machine sees the same rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from rollout.analysis.verdict import Check, Verdict, combine
from rollout.controller import codec
from rollout.controller.effects import Effect, EffectKind, Purpose
from rollout.controller.messages import message_for
from rollout.controller.records import Kind, Record, parse
from rollout.controller.state import (
    TERMINAL,
    Abort,
    Condition,
    EndpointState,
    Parking,
    ParkStage,
    Pending,
    Phase,
    RolloutState,
)


def replay(data: bytes) -> EndpointState:
    """The state that the journal's bytes say; AuditBroken when the chain does not verify."""
    parsed = parse(data)
    parsed.report.raise_if_broken()
    return fold(parsed.records)


def fold(records: Iterable[Record]) -> EndpointState:
    """The state after `records`, from nothing."""
    state = EndpointState()
    for record in records:
        state = apply(state, record)
    return state


def apply(state: EndpointState, record: Record) -> EndpointState:
    """The state after one more line. A line under an older fencing number than one seen changes nothing."""
    if record.fencing < state.fencing:
        return replace(state, sequence=record.sequence, last_hash=record.hash, stale=(*state.stale, record.sequence))
    changed = _change(state, record)
    told = message_for(state.rollout, changed.rollout, record)
    return replace(
        changed,
        sequence=record.sequence,
        fencing=record.fencing,
        last_hash=record.hash,
        last_actor=record.actor,
        outbox=(*changed.outbox, told) if told else changed.outbox,
    )


def _change(state: EndpointState, record: Record) -> EndpointState:
    if record.kind is Kind.PLANNED:
        return _planned(state, record)
    if record.kind is Kind.TOLD:
        told = set(record.evidence["sequences"])
        return replace(state, outbox=tuple(item for item in state.outbox if item.sequence not in told))
    if record.kind in _PARKING:
        return replace(state, parking=_parking(state, record))
    handler = _HANDLERS.get(record.kind)
    if state.rollout is None or handler is None or record.rollout != state.rollout.id:
        return state
    rollout = handler(state.rollout, record)
    return replace(state, rollout=rollout, leftovers=_leftovers(state, rollout, record))


def _planned(state: EndpointState, record: Record) -> EndpointState:
    evidence, now = record.evidence, _time(record)
    rollout = RolloutState(
        id=record.rollout,
        endpoint=record.endpoint,
        spec=codec.spec_from_json(evidence["spec"]),
        blue=evidence["blue"],
        policy=codec.policy_from_json(evidence["policy"]),
        policy_version=record.policy,
        started_by=record.actor,
        started_at=now,
        weights=record.weights_after,
        previous_weights=record.weights_before,
        phase_since=now,
    )
    past = state.past if state.rollout is None else (*state.past, state.rollout)
    leftovers = {name: due for name, due in state.leftovers.items() if name != rollout.blue}
    return replace(state, rollout=rollout, past=past, leftovers=leftovers)


def _intent(rollout: RolloutState, record: Record) -> RolloutState:
    effect = Effect.from_json(record.evidence["effect"])
    rollout = replace(rollout, pending=Pending(record.sequence, effect, record.fencing, _time(record)))
    phase = _PHASE_OF_INTENT.get((effect.kind, effect.purpose))
    if phase is None or phase is rollout.phase:
        return rollout
    return _enter(rollout, phase, _time(record))


def _done(rollout: RolloutState, record: Record) -> RolloutState:
    evidence, pending = record.evidence, rollout.pending
    if pending is None or evidence.get("intent") != pending.sequence:
        return rollout
    rollout = replace(rollout, pending=None, failure=evidence.get("failure", ""), effect_done_real=record.real_time)
    if pending.effect.kind is EffectKind.RETIRE:
        return replace(rollout, condition=Condition.GOING, held_since=None, failure="")
    if evidence.get("abandoned") or not evidence["ok"]:
        return rollout
    if pending.effect.kind is EffectKind.DEPLOY:
        return _enter(rollout, Phase.SMOKING, _time(record))
    if pending.effect.kind is EffectKind.SMOKE:
        return _smoked(rollout, _checks(evidence), _time(record))
    if pending.effect.kind is EffectKind.SET_WEIGHTS:
        return _weighed(rollout, pending, record)
    return rollout


def _smoked(rollout: RolloutState, checks: tuple[Check, ...], now: datetime) -> RolloutState:
    rollout = replace(rollout, smoke=checks, checks=checks, smoked_at=now)
    if combine(checks) is not Verdict.PASS:
        return rollout
    return _enter(rollout, Phase.AWAITING_APPROVAL if rollout.approvals_missing else Phase.SHIFTING, now)


def _weighed(rollout: RolloutState, pending: Pending, record: Record) -> RolloutState:
    """Green may have had traffic since the intent: whoever confirms it may come much later."""
    now, effect = _time(record), pending.effect
    if effect.purpose is Purpose.REASSERT:
        return replace(rollout, reasserted=rollout.reasserted + 1, reassert_wanted=False)
    rollout = replace(rollout, weights=record.weights_after, previous_weights=record.weights_before)
    if effect.purpose is Purpose.ROLL_BACK:
        return _finish(rollout, Phase.ROLLED_BACK, now)
    rollout = replace(rollout, first_shift=rollout.first_shift or pending.since, step=effect.step, reasserted=0)
    return _finish(rollout, Phase.PROMOTED, now) if rollout.initial else _enter(rollout, Phase.BAKING, now)


def _verdict(rollout: RolloutState, record: Record) -> RolloutState:
    return replace(rollout, checks=_checks(record.evidence))


def _decision(rollout: RolloutState, record: Record) -> RolloutState:
    evidence, now = record.evidence, _time(record)
    rollout = replace(rollout, reason=evidence["reason"], code=evidence.get("code", ""))
    if "checks" in evidence:
        rollout = replace(rollout, checks=_checks(evidence))
    action = evidence["action"]
    if action == "advance":
        return _advance(rollout, now)
    if action == "roll_back":
        return _enter(replace(rollout, at_weight=rollout.green_weight), Phase.ROLLING_BACK, now)
    if action == "finish":
        rollout = replace(rollout, external=bool(evidence.get("external")), weights=record.weights_after)
        return _finish(rollout, Phase(evidence["phase"]), now)
    condition = {"hold": Condition.HELD, "page": Condition.PAGED}.get(action, Condition.GOING)
    held_since = None if condition is Condition.GOING else rollout.held_since or now
    return replace(rollout, condition=condition, held_since=held_since)


def _advance(rollout: RolloutState, now: datetime) -> RolloutState:
    if rollout.step + 1 < len(rollout.policy.steps):
        return _enter(replace(rollout, step=rollout.step + 1), Phase.SHIFTING, now)
    return _finish(rollout, Phase.PROMOTED, now)


def _approval(rollout: RolloutState, record: Record) -> RolloutState:
    who = record.evidence["who"]
    if who in rollout.approvals:
        return rollout
    rollout = replace(rollout, approvals=(*rollout.approvals, who))
    if rollout.phase is Phase.AWAITING_APPROVAL and not rollout.approvals_missing:
        return _enter(rollout, Phase.SHIFTING, _time(record))
    return rollout


def _abort(rollout: RolloutState, record: Record) -> RolloutState:
    evidence = record.evidence
    return replace(
        rollout, abort=Abort(record.actor, evidence["reason"], bool(evidence.get("force"))), finished_at=None
    )


def _resume(rollout: RolloutState, record: Record) -> RolloutState:
    """A person has looked: evidence counts anew from here, and the rollout's own weights are right again."""
    now = _time(record)
    calm = replace(
        rollout,
        condition=Condition.GOING,
        held_since=None,
        reason="",
        code="",
        checks=(),
        failure="",
        reasserted=0,
        reassert_wanted=bool(record.evidence.get("reassert")),
        first_shift=now if rollout.first_shift else None,
        smoke=() if rollout.phase is Phase.SMOKING else rollout.smoke,
        abort=None,
        finished_at=None if rollout.phase not in TERMINAL else now,
    )
    return replace(calm, phase_since=now) if rollout.phase is Phase.BAKING else calm


def _enter(rollout: RolloutState, phase: Phase, now: datetime) -> RolloutState:
    return replace(rollout, phase=phase, phase_since=now, condition=Condition.GOING, held_since=None)


def _finish(rollout: RolloutState, phase: Phase, now: datetime) -> RolloutState:
    return replace(_enter(rollout, phase, now), finished_at=now, abort=None, pending=None)


def _leftovers(state: EndpointState, rollout: RolloutState, record: Record) -> Mapping[str, datetime]:
    """What is no longer needed, and from when it may be deleted."""
    left = dict(state.leftovers)
    if record.kind is Kind.DONE and record.evidence["ok"]:
        effect = Effect.from_json(record.evidence["effect"])
        if effect.kind is EffectKind.RETIRE:
            left.pop(effect.deployment, None)
    if rollout.phase is not Phase.PROMOTED and rollout.blue:
        left.pop(rollout.blue, None)
    loser = {Phase.PROMOTED: rollout.blue, Phase.ROLLED_BACK: rollout.green, Phase.FAILED: rollout.green}
    was = state.rollout.phase if state.rollout else None
    name = loser.get(rollout.phase)
    if was is not rollout.phase and name and not rollout.active:
        left[name] = _time(record) + timedelta(hours=rollout.policy.keep_blue_hours)
    return left


def _parking(state: EndpointState, record: Record) -> Parking | None:
    evidence, known = record.evidence, state.parking
    if record.kind is Kind.PARK and known is None:
        return Parking(
            stage=ParkStage.PARKING,
            deployments=evidence["deployments"],
            weights=evidence["traffic"],
            mirror=evidence["mirror"],
            by=record.actor,
            reason=evidence["reason"],
            since=_time(record),
        )
    stage = _PARKING[record.kind]
    return None if known is None or stage is None else replace(known, stage=stage)


def _checks(evidence: Mapping[str, Any]) -> tuple[Check, ...]:
    return tuple(Check.from_json(document) for document in evidence.get("checks", ()))


def _time(record: Record) -> datetime:
    return codec.moment_from(record.time)


_PHASE_OF_INTENT: Mapping[tuple[EffectKind, Purpose | None], Phase] = {
    (EffectKind.DEPLOY, None): Phase.DEPLOYING,
    (EffectKind.SMOKE, None): Phase.SMOKING,
    (EffectKind.SET_WEIGHTS, Purpose.SHIFT): Phase.SHIFTING,
    (EffectKind.SET_WEIGHTS, Purpose.ROLL_BACK): Phase.ROLLING_BACK,
}

#: The stage that a line leads to; None: nothing is parked any more.
_PARKING: Mapping[Kind, ParkStage | None] = {
    Kind.PARK: ParkStage.PARKING,
    Kind.PARKED: ParkStage.PARKED,
    Kind.UNPARK: ParkStage.UNPARKING,
    Kind.UNPARKED: None,
}

_HANDLERS: Mapping[Kind, Callable[[RolloutState, Record], RolloutState]] = {
    Kind.INTENT: _intent,
    Kind.DONE: _done,
    Kind.VERDICT: _verdict,
    Kind.DECISION: _decision,
    Kind.APPROVAL: _approval,
    Kind.ABORT: _abort,
    Kind.RESUME: _resume,
}
