"""One tick: read, decide, do one thing after the other until there is something to wait for.

Before an effect its intent is in the journal, after it what was read back; killed in between, the next tick finds
the intent and looks what became of it. Whatever happens, an effect that was confirmed is never done again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from rollout.analysis.verdict import Check
from rollout.controller.decide import decide
from rollout.controller.decision import GLANCE, RESTING, Action, Decision
from rollout.controller.effects import Effect, EffectKind, Purpose, strip
from rollout.controller.evidence import Evidence, gather
from rollout.controller.journal import Journal
from rollout.controller.judgement import TARGET_GLANCE, TARGET_REQUESTS, target_timeout_ms
from rollout.controller.perform import Hands, Outcome, perform
from rollout.controller.ports import Lease, Weights
from rollout.controller.records import Kind
from rollout.controller.state import Condition, Phase, RolloutState
from rollout.controller.world import World
from rollout.errors import RolloutError, Unavailable

#: A tick ends after so many decisions even if there is more to do, so that no mistake loops for ever.
MOST_DECISIONS = 24


@dataclass(frozen=True, slots=True)
class TickResult:
    """What one tick did. `next_at` is policy time; None: nothing is left to do."""

    phase: Phase | None
    condition: Condition
    reason: str
    effects: tuple[str, ...]
    next_at: datetime | None
    finished: bool
    #: Why events could not be sent that no later tick will send either, until somebody mends it.
    untold: RolloutError | None = None


class Executor:
    """Drives the endpoint's current rollout under one lease."""

    def __init__(self, world: World, journal: Journal, lease: Lease) -> None:
        self._world, self._journal, self._lease = world, journal, lease
        self._effects: list[str] = []
        self._exposure: dict[str, Any] = {}
        self._live_weights: Weights | None = None
        self._untold: RolloutError | None = None

    def run(self) -> TickResult:
        """Decide and act until there is something to wait for. Busy when the lease is lost."""
        decision: Decision | None = None
        if self._journal.state.parking is not None:
            return self._parked()
        for _ in range(MOST_DECISIONS):
            if self._journal.state.rollout is None:
                break
            decision = self._decide()
            if not self._carry_out(decision):
                break
        self._tell()
        return self._result(decision)

    def _decide(self) -> Decision:
        state, world = self._state(), self._world
        now = world.now()
        if state.active or state.pending:
            evidence = gather(state, world.endpoints, world.metrics, now, world.real_now())
            decision = decide(state, evidence, state.policy, now)
            if decision.action is not Action.CHECK_TARGET:
                return self._noted(decision, evidence)
            evidence = self._ask_target(evidence)
            return self._noted(decide(state, evidence, state.policy, world.now()), evidence)
        return self._retirement(now)

    def _noted(self, decision: Decision, evidence: Evidence) -> Decision:
        """The checks go into the journal when one of them changed its verdict."""
        if decision.checks and _outline(decision.checks) != _outline(self._state().checks):
            self._journal.append(
                Kind.VERDICT, {"checks": _documents(decision.checks), **_exposure(self._state(), evidence)}
            )
        self._exposure = _exposure(self._state(), evidence)
        self._live_weights = evidence.live.weights if evidence.live else None
        return decision

    def _ask_target(self, evidence: Evidence) -> Evidence:
        state = self._state()
        blue, timeout = state.blue or "", target_timeout_ms(state.policy)
        try:
            results = list(self._world.prober.probe(blue, TARGET_GLANCE, timeout))
            if any(result.status == 200 for result in results):
                results += self._world.prober.probe(blue, TARGET_REQUESTS - TARGET_GLANCE, timeout)
        except RolloutError as error:
            return replace(evidence, target_error=error.message)
        return replace(evidence, target=tuple(results))

    def _retirement(self, now: datetime) -> Decision:
        """Over: what is left is to delete the deployment that lost, once it has been kept long enough."""
        state, leftovers = self._state(), self._journal.state.leftovers
        over = Decision(Action.WAIT, state.reason, "over", until=min(leftovers.values(), default=None))
        due = sorted(name for name, when in leftovers.items() if when <= now)
        if not due:
            return over
        try:
            live = self._world.endpoints.live()
        except RolloutError as error:
            return replace(over, reason=error.message, until=now + GLANCE)
        for name in due:
            if not live.weights.get(name) and not live.mirror.get(name):
                reason = f"{name} has no traffic and was kept long enough"
                return Decision(Action.EFFECT, reason, "retire", Effect(EffectKind.RETIRE, name))
        return replace(over, reason=f"{', '.join(due)}: kept, as it has traffic", until=now + timedelta(hours=1))

    def _carry_out(self, decision: Decision) -> bool:
        """Whether there may be more to do in this tick."""
        if decision.action in RESTING:
            self._rest(decision)
            return False
        if decision.action in (Action.EFFECT, Action.REPEAT):
            return self._do(decision)
        if decision.action is Action.CONFIRM:
            self._resumed("done" if not decision.failure else "failed")
            self._done(decision.effect, Outcome(failure=decision.failure, detail=decision.reason), found=True)
        elif decision.action is Action.ABANDON:
            self._resumed("not-done")
            self._done(decision.effect, Outcome(failure=decision.failure, detail=decision.reason), abandoned=True)
        else:
            self._settle(decision)
        return True

    def _do(self, decision: Decision) -> bool:
        effect = decision.effect
        assert effect is not None  # nosec B101  # EFFECT and REPEAT carry one
        if effect.kind in (EffectKind.DEPLOY, EffectKind.SMOKE):
            self._tell()  # these take long; weights never wait for a topic
        if decision.action is Action.REPEAT:
            self._resumed("not-done")
        else:
            self._journal.append(
                Kind.INTENT, {"effect": effect.to_json(), "reason": decision.reason, "code": decision.code}
            )
        self._lease.renew()
        hands = Hands(self._world.endpoints, self._world.prober, self._lease.renew)
        try:
            outcome = perform(effect, self._state(), hands)
        except Unavailable as error:
            self._rest(self._unavailable(effect, error))
            return False
        self._effects.append(str(effect))
        self._done(effect, outcome)
        return True

    def _unavailable(self, effect: Effect, error: Unavailable) -> Decision:
        """An effect of which nobody knows whether it happened. The way back that fails wakes somebody up."""
        reason = f"{effect}: {error.message}"
        action = Action.PAGE if effect.purpose is Purpose.ROLL_BACK else Action.HOLD
        if self._state().condition is Condition.PAGED:
            action = Action.PAGE
        return Decision(action, reason, "provider-error", until=self._world.now() + GLANCE / 4)

    def _resumed(self, found: str) -> None:
        pending = self._state().pending
        assert pending is not None  # nosec B101  # only pending effects are resumed
        evidence = {"intent": pending.sequence, "effect": pending.effect.to_json(), "found": found}
        if pending.fencing != self._journal.fencing:
            self._journal.append(Kind.RESUMED, {**evidence, "from_fencing": pending.fencing})

    def _done(self, effect: Effect | None, outcome: Outcome, *, found: bool = False, abandoned: bool = False) -> None:
        state = self._state()
        assert effect is not None  # nosec B101  # callers pass the decision's
        assert state.pending is not None  # nosec B101  # the intent is in the journal
        evidence: dict[str, Any] = {"intent": state.pending.sequence, "effect": effect.to_json()}
        evidence |= {"ok": not outcome.failure and not abandoned, "detail": outcome.detail}
        evidence |= {"failure": outcome.failure} if outcome.failure else {}
        evidence |= {"found": True} if found else {}
        evidence |= {"abandoned": True} if abandoned else {}
        evidence |= {"writes": outcome.writes} if outcome.writes else {}
        evidence |= {"checks": _documents(outcome.checks)} if outcome.checks else {}
        moved = effect.kind is EffectKind.SET_WEIGHTS and evidence["ok"]
        after = strip(effect.weights or {}) if moved else state.weights
        self._journal.append(Kind.DONE, evidence, weights=(state.weights, after))

    def _settle(self, decision: Decision) -> None:
        """ADVANCE, ROLL_BACK, FINISH: no effect by themselves, but the phase follows from them."""
        state = self._state()
        evidence = _decided(decision) | self._exposure
        if decision.action is Action.FINISH and decision.outcome is not None:
            evidence |= {"phase": decision.outcome.value, "external": decision.external}
        standing = self._live_weights if decision.action is Action.FINISH and self._live_weights is not None else None
        after = strip(standing if standing is not None else state.weights)
        self._journal.append(Kind.DECISION, evidence, weights=(state.weights, after))

    def _rest(self, decision: Decision) -> None:
        """HOLD, PAGE, WAIT: in the journal only when it is news."""
        state = self._state()
        condition = {Action.HOLD: Condition.HELD, Action.PAGE: Condition.PAGED}.get(decision.action, Condition.GOING)
        calm = condition is Condition.GOING and state.condition is Condition.GOING
        if calm or (condition is state.condition and decision.code == state.code):
            return
        self._journal.append(Kind.DECISION, _decided(decision))

    def _tell(self) -> None:
        """Deliver what is in the outbox, in order; what can't be delivered stays there and never stops a rollout."""
        told: list[int] = []
        for message in self._journal.state.outbox:
            try:
                self._world.announcer.announce(message.event_type, message.subject, message.data)
            except RolloutError as error:
                self._untold = None if isinstance(error, Unavailable) else error
                break
            told.append(message.sequence)
        if told:
            self._journal.append(Kind.TOLD, {"sequences": told})

    def _state(self) -> RolloutState:
        state = self._journal.state.rollout
        assert state is not None  # nosec B101  # run() asks before
        return state

    def _parked(self) -> TickResult:
        """What is parked is left alone: nothing to watch, and nothing to retire but what the journal has to make again."""
        state, parking = self._journal.state.rollout, self._journal.state.parking
        assert parking is not None  # nosec B101  # run() asks before
        reason = f"{parking.stage.value.lower()} by {parking.by}: {parking.reason}"
        return TickResult(state.phase if state else None, Condition.GOING, reason, (), None, True)

    def _result(self, decision: Decision | None) -> TickResult:
        state = self._journal.state.rollout
        if state is None or decision is None:
            return TickResult(None, Condition.GOING, "no rollout", (), None, True, self._untold)
        reason = decision.reason if decision.action in RESTING else state.reason
        more = None if decision.action in RESTING else self._world.now()
        until = decision.until if decision.action in RESTING else more
        return TickResult(
            state.phase, state.condition, reason, tuple(self._effects), until, not state.active, self._untold
        )


def _decided(decision: Decision) -> dict[str, Any]:
    evidence: dict[str, Any] = {"action": decision.action.value, "reason": decision.reason, "code": decision.code}
    if decision.checks:
        evidence["checks"] = _documents(decision.checks)
    return evidence


def _documents(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [check.to_json() for check in checks]


def _outline(checks: tuple[Check, ...]) -> list[tuple[str, str, bool]]:
    return [(check.name, check.verdict.value, check.shared) for check in checks]


def _exposure(state: RolloutState, evidence: Evidence) -> dict[str, Any]:
    """How many requests green has answered and failed so far, as far as the metrics know."""
    if state.first_shift is None or not evidence.green:
        return {}
    first = state.first_shift.replace(second=0, microsecond=0)
    seen = [sample for sample in evidence.green if sample.minute >= first]
    return {"green_requests": sum(s.requests for s in seen), "green_errors": sum(s.errors for s in seen)}
