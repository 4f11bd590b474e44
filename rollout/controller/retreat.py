"""Going back: whether, and whether the place to go back to is fit. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from contract.policy import VerdictAction
from rollout.analysis.verdict import Verdict
from rollout.controller.decision import GLANCE, Action, Decision
from rollout.controller.effects import show_weights
from rollout.controller.evidence import Evidence
from rollout.controller.judgement import target_check
from rollout.controller.state import Phase, RolloutState


def go_back(state: RolloutState, evidence: Evidence, why: Decision, now: datetime) -> Decision:
    """ROLL_BACK for the reason `why`, or what has to come before it, or FINISH when no traffic is on green."""
    assert evidence.live is not None  # nosec B101  # decide() asks no further without it
    if not evidence.live.weights.get(state.green) and not state.green_weight:
        return _nothing_moved(state, evidence, why)
    if state.blue is None or state.blue not in evidence.live.deployments:
        gone = f"{state.blue} does not exist any more" if state.blue else "there is no other deployment"
        if state.abort is not None and state.abort.force:
            where = f"{why.reason} (forced); {gone}, traffic stands at {show_weights(evidence.live.weights)}"
            return replace(why, action=Action.FINISH, reason=where, outcome=Phase.FAILED, until=None)
        gone += "; `rollout rollback --force` leaves traffic as it is and ends the rollout"
        return _page(why, f"traffic should go back ({why.reason}), but {gone}", now)
    if state.abort is not None and state.abort.force:
        return replace(why, action=Action.ROLL_BACK, reason=f"{why.reason} (forced)", until=None)
    if evidence.target is None and not evidence.target_error:
        return replace(why, action=Action.CHECK_TARGET, until=None)
    return _by_target(state, evidence, why, now)


def give_up(state: RolloutState, reason: str, code: str) -> Decision:
    """The end before any traffic moved; says where it stands."""
    where = f"{reason}; traffic stands at {show_weights(state.weights)}"
    return Decision(Action.FINISH, where, code, outcome=Phase.FAILED)


def _nothing_moved(state: RolloutState, evidence: Evidence, why: Decision) -> Decision:
    assert evidence.live is not None  # nosec B101  # see go_back
    outcome = Phase.ROLLED_BACK if why.code == "abort" and state.blue else Phase.FAILED
    reason = f"{why.reason}; no traffic was on {state.green}, it stands at {show_weights(evidence.live.weights)}"
    return replace(why, action=Action.FINISH, reason=reason, outcome=outcome, until=None)


def _by_target(state: RolloutState, evidence: Evidence, why: Decision, now: datetime) -> Decision:
    target = target_check(state, evidence, now)
    checks = (*why.checks, target)
    if target.verdict is Verdict.PASS:
        return replace(why, action=Action.ROLL_BACK, checks=checks, until=None)
    if target.verdict in (Verdict.PROVIDER_ERROR, Verdict.NO_DATA):
        # Green is known to be bad, blue is there and Succeeded: going back is the lesser risk.
        reason = f"{why.reason} ({target.detail})"
        return replace(why, action=Action.ROLL_BACK, reason=reason, checks=checks, until=None)
    wanted = state.policy.verdicts.bad_rollback_target
    if wanted is VerdictAction.ROLL_BACK:
        return replace(why, action=Action.ROLL_BACK, reason=f"{why.reason} (although {target.detail})", checks=checks)
    reason = f"traffic should go back ({why.reason}), but {target.detail}"
    longest = state.policy.verdicts.longest_hold_minutes * GLANCE
    if wanted is VerdictAction.HOLD and (state.held_since is None or now - state.held_since < longest):
        return Decision(Action.HOLD, reason, "bad-target", checks=checks, until=now + GLANCE)
    return replace(_page(why, reason, now), checks=checks)


def _page(why: Decision, reason: str, now: datetime) -> Decision:
    return replace(why, action=Action.PAGE, reason=reason, code="bad-target", until=now + GLANCE)
