"""What the controller shows of a rollout: plain data for tables, JSON and exit codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout.analysis.verdict import Check, Verdict, combine
from rollout.controller.effects import show_weights
from rollout.controller.state import Condition, EndpointState, Phase, RolloutState
from rollout.errors import GateFailed, OnHold, RolledBack, RolloutError


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A rollout as of the newest journal line. `live_weights` is None when the endpoint was not or could not be read.

    `next_at` is the policy time at which something will happen by itself: a bake ends, the longest hold is over, or
    what is left over is deleted. `at_weight`: green's share when it was sent back.
    """

    id: str
    endpoint: str
    model: str
    green: str
    blue: str | None
    phase: Phase
    step: int
    steps: tuple[int, ...]
    condition: Condition
    reason: str
    code: str
    weights: Mapping[str, int]
    live_weights: Mapping[str, int] | None
    checks: tuple[Check, ...]
    verdict: Verdict
    next_at: datetime | None
    started_by: str
    started_at: datetime
    finished_at: datetime | None
    approvals: tuple[str, ...]
    approvals_missing: int
    pending: str
    aborted_by: str
    external: bool
    at_weight: int
    active: bool
    policy_version: str
    last_actor: str
    sequence: int

    @property
    def title(self) -> str:
        """'Baking 10 %', 'Held at Smoking', 'Promoted'."""
        text = self.phase.value
        if self.phase in (Phase.SHIFTING, Phase.BAKING):
            text = f"{text} {self.steps[self.step]} %"
        return text if self.condition is Condition.GOING else f"{self.condition.value} at {text}"


def view_of(state: RolloutState, endpoint: EndpointState, live_weights: Mapping[str, int] | None = None) -> RolloutView:
    """The view of `state`, which is the endpoint's current rollout or a past one."""
    checks = state.checks or state.smoke
    return RolloutView(
        id=state.id,
        endpoint=state.endpoint,
        model=state.spec.model,
        green=state.green,
        blue=state.blue,
        phase=state.phase,
        step=state.step,
        steps=(100,) if state.initial else state.policy.steps,
        condition=state.condition,
        reason=state.reason,
        code=state.code,
        weights=dict(state.weights),
        live_weights=None if live_weights is None else dict(live_weights),
        checks=checks,
        verdict=combine(checks),
        next_at=_next_at(state, endpoint),
        started_by=state.started_by,
        started_at=state.started_at,
        finished_at=state.finished_at,
        approvals=state.approvals,
        approvals_missing=state.approvals_missing,
        pending=str(state.pending.effect) if state.pending else "",
        aborted_by=state.abort.by if state.abort else "",
        external=state.external,
        at_weight=state.at_weight,
        active=state.active,
        policy_version=state.policy_version,
        last_actor=endpoint.last_actor,
        sequence=endpoint.sequence,
    )


def error_for(view: RolloutView) -> RolloutError | None:
    """The error (and so the exit code) that this state of affairs means to a caller; None while all is well."""
    if view.phase is Phase.ROLLED_BACK:
        return RolledBack(f"{view.model} was rolled back: {view.reason}", way_out="rollout history shows the evidence")
    if view.phase is Phase.FAILED:
        failed = GateFailed if view.code in ("smoke", "deploy") else RolloutError
        way_out = "start a new rollout" if view.code == "abort" else "mend what it names, then start a new rollout"
        return failed(f"{view.model} failed: {view.reason}", way_out=way_out)
    if view.condition is Condition.PAGED:
        return OnHold(f"waits for a person: {view.reason}", way_out="rollout resume, or rollout rollback [--force]")
    if view.phase is Phase.AWAITING_APPROVAL:
        missing = view.approvals_missing
        return OnHold(
            f"waits for {missing} approval(s); traffic: {show_weights(view.weights)}", way_out="rollout approve"
        )
    if view.condition is Condition.HELD:
        return OnHold(f"waits for evidence: {view.reason}", way_out="it goes on by itself; rollout rollback ends it")
    return None


def _next_at(state: RolloutState, endpoint: EndpointState) -> datetime | None:
    minute = timedelta(minutes=1)
    if not state.active:
        is_current = endpoint.rollout is not None and endpoint.rollout.id == state.id
        return min(endpoint.leftovers.values(), default=None) if is_current else None
    if state.condition is Condition.HELD and state.held_since is not None:
        return state.held_since + state.policy.verdicts.longest_hold_minutes * minute
    if state.phase is Phase.BAKING and state.condition is Condition.GOING:
        return state.phase_since + state.policy.bake_minutes * minute
    return None
