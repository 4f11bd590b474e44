"""What to do next, as data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rollout.analysis.verdict import Check
from rollout.controller.effects import Effect
from rollout.controller.state import Phase

#: How soon to look again, in policy time: metrics have a grain of one minute.
GLANCE = timedelta(minutes=1)


class Action(StrEnum):
    """One of these is the outcome of every `decide`.

    EFFECT        change the world (announced in the journal first)
    REPEAT        do a pending effect again: it is seen not to have happened
    CONFIRM       a pending effect is seen to have happened (or failed): say so, do nothing
    ABANDON       a pending effect has not happened and is no longer wanted
    CHECK_TARGET  ask blue some requests, then decide again
    ADVANCE       the step is passed
    ROLL_BACK     traffic goes back
    FINISH        the rollout is over
    HOLD          wait for evidence, up to the longest hold
    PAGE          wait for a person
    WAIT          nothing to do until then
    """

    EFFECT = "effect"
    REPEAT = "repeat"
    CONFIRM = "confirm"
    ABANDON = "abandon"
    CHECK_TARGET = "check_target"
    ADVANCE = "advance"
    ROLL_BACK = "roll_back"
    FINISH = "finish"
    HOLD = "hold"
    PAGE = "page"
    WAIT = "wait"


#: After these the tick is over.
RESTING = frozenset({Action.HOLD, Action.PAGE, Action.WAIT})


@dataclass(frozen=True, slots=True)
class Decision:
    """`code` is the short stable name of the reason; `until` the policy time to look again, None for never."""

    action: Action
    reason: str
    code: str = ""
    effect: Effect | None = None
    checks: tuple[Check, ...] = ()
    until: datetime | None = None
    outcome: Phase | None = None
    failure: str = ""
    external: bool = False
