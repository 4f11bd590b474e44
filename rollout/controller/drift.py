"""Somebody else moved traffic: a lost update, a person's way back, or a riddle for a person. Pure."""

from __future__ import annotations

from datetime import datetime

from rollout.controller.decision import GLANCE, Action, Decision
from rollout.controller.effects import Effect, EffectKind, Purpose, same_weights, show_weights
from rollout.controller.ports import LiveEndpoint
from rollout.controller.state import Phase, RolloutState

#: Weights as they were before our write, this soon after it (real seconds): an update that was under way won.
LOST_UPDATE_SECONDS = 90.0

#: After so many rewrites in one step somebody is not losing updates but wants something else.
MOST_REASSERTS = 3


def classify(state: RolloutState, live: LiveEndpoint, real_now: float, now: datetime) -> Decision | None:
    """What to do about live weights that are not the journal's; None when they are."""
    if same_weights(live.weights, state.weights):
        return None
    seen = f"live weights are {show_weights(live.weights)}, not {show_weights(state.weights)}"
    if state.reassert_wanted:
        return _reassert(state, f"{seen}; a person resumed the rollout")
    was_before = same_weights(live.weights, state.previous_weights)
    soon = real_now - state.effect_done_real <= LOST_UPDATE_SECONDS
    if state.blue and same_weights(live.weights, {state.blue: 100}):
        if was_before and soon and not state.reasserted:
            return _reassert(state, f"{seen}, as before the last write: an update was lost")
        reason = f"{seen}: somebody sent all traffic back to {state.blue}"
        return Decision(Action.FINISH, reason, "external", outcome=Phase.ROLLED_BACK, external=True)
    if was_before and state.reasserted < MOST_REASSERTS:
        return _reassert(state, f"{seen}, as before the last write: an update was lost")
    return Decision(Action.PAGE, f"{seen}: somebody else moves traffic", "drift", until=now + GLANCE)


def _reassert(state: RolloutState, reason: str) -> Decision:
    effect = Effect(EffectKind.SET_WEIGHTS, weights=dict(state.weights), purpose=Purpose.REASSERT, step=state.step)
    return Decision(Action.EFFECT, reason, "reassert", effect)
