"""`decide`: from what is known to the one thing to do next. No I/O, no clock of its own.

The questions are asked in this order; the first that has an answer decides:
is it over? can the endpoint be read? is an effect pending? does a person want it stopped? did somebody else move
traffic? and then what the phase is about. A paged rollout never goes forward, but a failure still takes it back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from contract.policy import RolloutPolicy, VerdictAction
from rollout.analysis.verdict import Check, Verdict, combine, leading
from rollout.controller import drift, pending, retreat
from rollout.controller.decision import GLANCE, Action, Decision
from rollout.controller.effects import Effect, EffectKind, Purpose
from rollout.controller.evidence import Evidence
from rollout.controller.judgement import step_checks
from rollout.controller.state import TERMINAL, Condition, Phase, RolloutState


def decide(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    """The next thing to do about this rollout."""
    return _respect_page(state, _decide(state, evidence, policy, now), now)


def _decide(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    if state.pending is None and not state.active:
        return Decision(Action.WAIT, state.reason, "over")
    if evidence.live is None:
        return _unreadable(state, evidence, policy, now)
    if evidence.live.provisioning_state in ("Creating", "Updating", "Deleting"):
        reason = f"the endpoint is {evidence.live.provisioning_state}"
        return hold_or_worse(state, evidence, policy, now, Decision(Action.HOLD, reason, "endpoint-busy"))
    if state.pending is not None:
        failing = combine(step_checks(state, evidence, policy, now)) is Verdict.FAIL
        return pending.resolve(state, state.pending, evidence.live, now, unwanted="green fails" if failing else "")
    if state.phase is Phase.ROLLING_BACK:
        return _write_back(state)
    if state.abort is not None:
        reason = f"{state.abort.by}: {state.abort.reason}"
        return retreat.go_back(state, evidence, Decision(Action.ROLL_BACK, reason, "abort"), now)
    moved = drift.classify(state, evidence.live, evidence.real_now, now)
    return moved or _BY_PHASE[state.phase](state, evidence, policy, now)


def hold_or_worse(
    state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime, hold: Decision
) -> Decision:
    """`hold`, or what follows when the longest hold is over."""
    longest = policy.verdicts.longest_hold_minutes
    if state.held_since is None or now - state.held_since < longest * GLANCE:
        return replace(hold, action=Action.HOLD, until=hold.until or now + GLANCE)
    reason = f"held for {longest:g} min, the longest allowed: {hold.reason}"
    over = replace(hold, reason=reason, code="longest-hold", until=now + GLANCE)
    unreachable = evidence.live is None or hold.code == "endpoint-busy"
    if policy.verdicts.after_longest_hold is VerdictAction.PAGE or unreachable or state.phase in TERMINAL:
        return replace(over, action=Action.PAGE)
    return retreat.go_back(state, evidence, replace(over, action=Action.ROLL_BACK), now)


def _unreadable(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    check = Check("endpoint", Verdict.PROVIDER_ERROR, evidence.live_error or "the endpoint could not be read")
    if evidence.gone and state.abort is not None:
        reason = f"{state.abort.by}: {state.abort.reason}; the endpoint does not exist, there is no traffic to move"
        return Decision(Action.FINISH, reason, "abort", checks=(check,), outcome=Phase.FAILED)
    hold = Decision(Action.HOLD, check.detail, "provider-error", checks=(check,))
    return hold_or_worse(state, evidence, policy, now, hold)


def _deploy(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    if state.failure:
        return retreat.give_up(state, f"{state.green} could not be deployed: {state.failure}", "deploy")
    return Decision(Action.EFFECT, "green is made at 0 % of traffic", "deploy", Effect(EffectKind.DEPLOY, state.green))


def _smoke(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    again = Effect(EffectKind.SMOKE, state.green)
    if state.failure:
        check = Check("smoke", Verdict.FAIL, state.failure)
        return _by_verdict(state, evidence, policy, now, (check,), "smoke")
    if not state.smoke:
        return Decision(Action.EFFECT, "green is tested alone", "smoke", again)
    answer = _by_verdict(state, evidence, policy, now, state.smoke, "smoke")
    rested = state.smoked_at is None or now - state.smoked_at >= GLANCE
    if answer.action is Action.HOLD and rested and state.condition is Condition.HELD:
        return Decision(Action.EFFECT, f"tested again: {answer.reason}", "smoke", again)
    return answer


def _await_approval(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    missing = state.approvals_missing
    reason = f"smoke test passed; {missing} approval{'s' if missing > 1 else ''} missing"
    return Decision(Action.WAIT, reason, "approval", checks=state.smoke, until=now + GLANCE)


def _shift(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    if state.failure:
        check = Check("weights", Verdict.FAIL, f"the shift was refused: {state.failure}")
        return _by_verdict(state, evidence, policy, now, (check,), "shift-refused")
    deployment, *others = step_checks(state, evidence, policy, now)
    if deployment.verdict is not Verdict.PASS:
        return _by_verdict(state, evidence, policy, now, (deployment,), "deployment")
    if combine(others) is Verdict.FAIL:
        return _by_verdict(state, evidence, policy, now, (deployment, *others), "")
    weight = 100 if state.initial else policy.steps[state.step]
    weights = {state.green: weight}
    if state.blue and weight < 100:
        weights[state.blue] = 100 - weight
    effect = Effect(EffectKind.SET_WEIGHTS, weights=weights, purpose=Purpose.SHIFT, step=state.step)
    return Decision(Action.EFFECT, f"green gets {weight} %", "shift", effect)


def _bake(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> Decision:
    checks = step_checks(state, evidence, policy, now)
    verdict = combine(checks)
    if verdict is Verdict.FAIL:
        return _by_verdict(state, evidence, policy, now, checks, "")
    end = state.phase_since + policy.bake_minutes * GLANCE
    if now < end:
        left = (end - now) / GLANCE
        reason = f"baking at {state.green_weight} %, {left:.1f} min left"
        return Decision(Action.WAIT, reason, "bake", checks=checks, until=min(end, now + GLANCE))
    if verdict is Verdict.PASS:
        reason = f"passed {state.green_weight} % after {policy.bake_minutes:g} min"
        return Decision(Action.ADVANCE, reason, "passed", checks=checks)
    return _by_verdict(state, evidence, policy, now, checks, "")


def _write_back(state: RolloutState) -> Decision:
    assert state.blue is not None  # nosec B101  # `retreat` never starts a rollback without blue
    effect = Effect(EffectKind.SET_WEIGHTS, weights={state.blue: 100}, purpose=Purpose.ROLL_BACK, step=state.step)
    return Decision(Action.EFFECT, f"all traffic back to {state.blue}: {state.reason}", state.code, effect)


def _by_verdict(
    state: RolloutState,
    evidence: Evidence,
    policy: RolloutPolicy,
    now: datetime,
    checks: tuple[Check, ...],
    code: str,
) -> Decision:
    """What the policy says about the check that weighs most."""
    check = leading(checks)
    assert check is not None  # nosec B101  # callers pass at least one
    verdicts = policy.verdicts
    shared = check.verdict is Verdict.FAIL and check.shared
    wanted = (
        verdicts.shared_outage
        if shared
        else {
            Verdict.FAIL: verdicts.failed,
            Verdict.NO_DATA: verdicts.no_data,
            Verdict.INSUFFICIENT_DATA: verdicts.insufficient_data,
            Verdict.PROVIDER_ERROR: verdicts.provider_error,
        }[check.verdict]
    )
    code = code or ("shared-outage" if shared else check.verdict.value)
    reason = f"{check.name}: {check.detail}"
    decision = Decision(Action(wanted.value), reason, code, checks=checks, until=now + GLANCE)
    if wanted is VerdictAction.ROLL_BACK:
        return retreat.go_back(state, evidence, decision, now)
    if wanted is VerdictAction.HOLD:
        return hold_or_worse(state, evidence, policy, now, decision)
    return decision


def _respect_page(state: RolloutState, decision: Decision, now: datetime) -> Decision:
    """While a person is waited for, nothing goes forward, and a lesser reason does not replace the page's."""
    if state.condition is not Condition.PAGED:
        return decision
    forward = decision.action in (Action.HOLD, Action.WAIT, Action.ADVANCE)
    if decision.action in (Action.EFFECT, Action.REPEAT) and decision.effect is not None:
        forward = decision.effect.purpose is not Purpose.ROLL_BACK
    if not forward:
        return decision
    return replace(decision, action=Action.PAGE, reason=state.reason, code=state.code, effect=None, until=now + GLANCE)


_BY_PHASE: dict[Phase, Callable[[RolloutState, Evidence, RolloutPolicy, datetime], Decision]] = {
    Phase.PLANNED: _deploy,
    Phase.DEPLOYING: _deploy,
    Phase.SMOKING: _smoke,
    Phase.AWAITING_APPROVAL: _await_approval,
    Phase.SHIFTING: _shift,
    Phase.BAKING: _bake,
}
