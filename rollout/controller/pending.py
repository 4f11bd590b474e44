"""An intent without its done: the controller was killed or the service failed. The live endpoint tells which. Pure."""

from __future__ import annotations

from datetime import datetime

from contract.policy import VerdictAction
from rollout.controller.decision import GLANCE, Action, Decision
from rollout.controller.effects import Effect, EffectKind, Found, Purpose, find, same_weights, show_weights
from rollout.controller.ports import LiveEndpoint
from rollout.controller.state import Pending, RolloutState


def resolve(
    state: RolloutState, pending: Pending, live: LiveEndpoint, now: datetime, *, unwanted: str = ""
) -> Decision:
    """CONFIRM what is seen to have happened; REPEAT or ABANDON what is seen not to have.

    `unwanted`: why green should get no more traffic, if so.
    """
    effect = pending.effect
    found = find(effect, live)
    if found is Found.DONE and not _half_done(state, effect):
        return Decision(Action.CONFIRM, f"{effect} is seen to be done", "confirmed", effect)
    if found is Found.FAILED:
        failure = f"{effect.deployment} is Failed"
        return Decision(Action.CONFIRM, failure, "confirmed", effect, failure=failure)
    repeat = Decision(Action.REPEAT, f"{effect} is seen not to be done", "repeated", effect)
    if effect.purpose is Purpose.ROLL_BACK:
        return repeat
    if state.abort is not None:
        return Decision(Action.ABANDON, f"{effect}: not done, and not wanted since the abort", "abort", effect)
    if effect.kind is EffectKind.SET_WEIGHTS and not same_weights(live.weights, state.weights):
        reason = f"{effect}: not done, and somebody else set {show_weights(live.weights)}"
        return Decision(Action.ABANDON, reason, "drift", effect)
    if effect.purpose is Purpose.SHIFT and unwanted:
        return Decision(Action.ABANDON, f"{effect}: not done, and not wanted: {unwanted}", "failed", effect)
    return _unless_held_too_long(state, repeat, now)


def _half_done(state: RolloutState, effect: Effect) -> bool:
    """A deployment that scales may stand without its scaling, which the endpoint does not show: making it again is safe."""
    return effect.kind is EffectKind.DEPLOY and state.spec.scale is not None and state.abort is None


def _unless_held_too_long(state: RolloutState, repeat: Decision, now: datetime) -> Decision:
    verdicts = state.policy.verdicts
    longest = verdicts.longest_hold_minutes
    if state.held_since is None or now - state.held_since < longest * GLANCE:
        return repeat
    reason = f"{repeat.effect} could not be done for {longest:g} min: {state.reason}"
    if verdicts.after_longest_hold is VerdictAction.PAGE:
        return Decision(Action.PAGE, reason, "longest-hold", until=now + GLANCE)
    return Decision(Action.ABANDON, reason, "longest-hold", repeat.effect, failure=reason)
