"""What the world is told: an event per turn of the story, made by the fold, delivered at least once.

A listener that must not act twice goes by `data["id"]`. `data["head"]` is the journal's hash at that line: kept
elsewhere, it proves that nothing was cut off the journal later.
"""

from __future__ import annotations

from rollout.controller.records import Kind, Record
from rollout.controller.state import Condition, Message, Phase, RolloutState

STARTED = "Rollouts.Started"
APPROVAL_NEEDED = "Rollouts.ApprovalNeeded"
SHIFTED = "Rollouts.Shifted"
HELD = "Rollouts.Held"
PAGED = "Rollouts.Paged"
ROLLING_BACK = "Rollouts.RollingBack"
PROMOTED = "Rollouts.Promoted"
ROLLED_BACK = "Rollouts.RolledBack"
FAILED = "Rollouts.Failed"

_BY_PHASE = {
    Phase.AWAITING_APPROVAL: APPROVAL_NEEDED,
    Phase.BAKING: SHIFTED,
    Phase.ROLLING_BACK: ROLLING_BACK,
    Phase.PROMOTED: PROMOTED,
    Phase.ROLLED_BACK: ROLLED_BACK,
    Phase.FAILED: FAILED,
}
_BY_CONDITION = {Condition.HELD: HELD, Condition.PAGED: PAGED}


def message_for(before: RolloutState | None, after: RolloutState | None, record: Record) -> Message | None:
    """What to tell about the line that led from `before` to `after`, if anything."""
    if after is None:
        return None
    event = _event(before, after, record)
    if event is None:
        return None
    data: dict[str, object] = {
        "id": f"{record.rollout}-{record.sequence}",
        "head": record.hash,
        "rollout": after.id,
        "endpoint": after.endpoint,
        "model": after.spec.model,
        "green": after.green,
        "blue": after.blue,
        "phase": after.phase.value,
        "condition": after.condition.value,
        "weights": dict(after.weights),
        "reason": after.reason,
        "actor": record.actor,
        "time": record.time,
    }
    return Message(record.sequence, event, f"endpoints/{after.endpoint}/rollouts/{after.id}", data)


def _event(before: RolloutState | None, after: RolloutState, record: Record) -> str | None:
    if record.kind is Kind.PLANNED:
        return STARTED
    if before is None:
        return None
    if before.phase is not after.phase:
        return _BY_PHASE.get(after.phase)
    if before.condition is not after.condition or before.code != after.code:
        return _BY_CONDITION.get(after.condition)
    return None
