"""Effects done for real, one at a time, and read back. The only place that changes the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rollout.analysis.verdict import Check, Verdict
from rollout.checks import smoke
from rollout.controller.effects import Effect, EffectKind, Purpose, same_weights, show_weights
from rollout.controller.ports import Endpoints, Prober, Weights
from rollout.controller.state import RolloutState
from rollout.errors import BadInput, Busy, NotAllowed, NotFound, RolloutError, Unavailable

#: Writes per effect while the read-back shows that an update was lost.
MOST_WRITES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went. `failure` is empty when it went well; `weights` is what was read back after a write."""

    failure: str = ""
    detail: str = ""
    checks: tuple[Check, ...] = ()
    weights: Mapping[str, int] | None = None
    writes: int = 0


@dataclass(frozen=True, slots=True)
class Hands:
    """What effects are done with. `still_ours` raises when the right to act on the endpoint was lost."""

    endpoints: Endpoints
    prober: Prober
    still_ours: Callable[[], None]


def perform(effect: Effect, state: RolloutState, hands: Hands) -> Outcome:
    """Do `effect`. Unavailable: it may or may not have happened, ask again. Busy: somebody else is at work; stop."""
    try:
        return _perform(effect, state, hands)
    except (Unavailable, Busy):
        raise
    except RolloutError as error:
        if effect.purpose is Purpose.ROLL_BACK:
            # The way back is never given up: asked again at the next tick.
            raise Unavailable(f"the way back was refused: {_said(error)}", way_out=error.way_out) from error
        if effect.kind is EffectKind.RETIRE:
            raise Unavailable(f"refused: {_said(error)}", way_out=error.way_out) from error
        return Outcome(failure=_said(error))


def _said(error: RolloutError) -> str:
    """What the journal keeps of it: a role that lacks an action is mended by other hands than a model that fails."""
    return f"{error.message} ({error.way_out})" if isinstance(error, NotAllowed) else error.message


def _perform(effect: Effect, state: RolloutState, hands: Hands) -> Outcome:
    endpoints = hands.endpoints
    if effect.kind is EffectKind.DEPLOY:
        endpoints.deploy(state.spec)
        return Outcome(detail=f"{effect.deployment} is made from {state.spec.model}")
    if effect.kind is EffectKind.SMOKE:
        return Outcome(checks=_smoke(effect, state, hands.prober))
    if effect.kind is EffectKind.RETIRE:
        endpoints.delete(effect.deployment)
        return Outcome(detail=f"{effect.deployment} is deleted")
    return _write_weights(effect, state, hands)


def _smoke(effect: Effect, state: RolloutState, prober: Prober) -> tuple[Check, ...]:
    policy = state.policy.smoke
    try:
        results = prober.probe(effect.deployment, policy.requests, smoke.timeout_ms(policy))
    except (BadInput, NotFound):
        raise  # nothing to ask green with: waiting does not help
    except RolloutError as error:
        return (Check("smoke", Verdict.PROVIDER_ERROR, _said(error)),)
    return smoke.judge(results, policy)


def _write_weights(effect: Effect, state: RolloutState, hands: Hands) -> Outcome:
    """Write, read back, write again while an update that was under way took our write away."""
    endpoints = hands.endpoints
    target: Weights = effect.weights or {}
    before: Weights = endpoints.live().weights
    if effect.purpose is Purpose.SHIFT and not same_weights(before, state.weights):
        raise Unavailable(f"live weights became {show_weights(before)} before the write; nothing was written")
    after = before
    for writes in range(1, MOST_WRITES + 1):
        endpoints.set_weights(target, hands.still_ours)
        after = endpoints.live().weights
        if same_weights(after, target):
            return Outcome(detail=f"read back: {show_weights(after)}", weights=after, writes=writes)
        lost = same_weights(after, before) or same_weights(after, state.weights)
        if not lost and effect.purpose is not Purpose.ROLL_BACK:
            break
    raise Unavailable(f"wrote {show_weights(target)}, read back {show_weights(after)}")
