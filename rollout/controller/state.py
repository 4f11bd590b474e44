"""What a rollout is at one moment: a pure fold of the journal, nothing else.

    Planned -> Deploying -> Smoking -> AwaitingApproval -> Shifting(0) -> Baking(0) -> Shifting(1) ... -> Promoted
       any of these, or Promoted while blue is kept -> RollingBack -> RolledBack
       any of these before traffic moved, or with no blue to go back to -> Failed

Held and Paged are conditions beside the phase: Held ends by itself when the evidence comes, Paged only by a person
(`resume`, `rollback`), though a failure still sends traffic back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from contract.policy import RolloutPolicy
from rollout.analysis.verdict import Check
from rollout.controller.effects import Effect
from rollout.controller.ports import DeploymentSpec


class Phase(StrEnum):
    """Where a rollout is.

    PLANNED            started, nothing done
    DEPLOYING          green is being made, at 0 % of traffic
    SMOKING            green is tested alone
    AWAITING_APPROVAL  smoke passed; waits for people
    SHIFTING           a step's weights are being written
    BAKING             a step's weights are live and watched
    PROMOTED           green has all traffic; blue is kept for a while
    ROLLING_BACK       traffic is going back to blue
    ROLLED_BACK        blue has all traffic
    FAILED             over without a blue to go back to, or before any traffic moved
    """

    PLANNED = "Planned"
    DEPLOYING = "Deploying"
    SMOKING = "Smoking"
    AWAITING_APPROVAL = "AwaitingApproval"
    SHIFTING = "Shifting"
    BAKING = "Baking"
    PROMOTED = "Promoted"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    FAILED = "Failed"


TERMINAL = frozenset({Phase.PROMOTED, Phase.ROLLED_BACK, Phase.FAILED})


class Condition(StrEnum):
    """Beside the phase: going, waiting for evidence, or waiting for a person."""

    GOING = "Going"
    HELD = "Held"
    PAGED = "Paged"


@dataclass(frozen=True, slots=True)
class Abort:
    """A person's order to go back. `force` skips the look at blue's health."""

    by: str
    reason: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """An effect that was announced and not yet confirmed: it may or may not have happened."""

    sequence: int
    effect: Effect
    fencing: int
    since: datetime = datetime.min


@dataclass(frozen=True, slots=True)
class RolloutState:
    """One rollout. Times are policy time but `effect_done_real`, epoch seconds of the last confirmed effect."""

    id: str
    endpoint: str
    spec: DeploymentSpec
    blue: str | None
    policy: RolloutPolicy
    policy_version: str
    started_by: str
    started_at: datetime
    weights: Mapping[str, int]
    previous_weights: Mapping[str, int]
    phase: Phase = Phase.PLANNED
    step: int = 0
    phase_since: datetime = datetime.min
    first_shift: datetime | None = None
    effect_done_real: float = 0.0
    condition: Condition = Condition.GOING
    reason: str = ""
    code: str = ""
    held_since: datetime | None = None
    checks: tuple[Check, ...] = ()
    smoke: tuple[Check, ...] = ()
    smoked_at: datetime | None = None
    approvals: tuple[str, ...] = ()
    abort: Abort | None = None
    pending: Pending | None = None
    failure: str = ""
    reasserted: int = 0
    reassert_wanted: bool = False
    external: bool = False
    finished_at: datetime | None = None
    at_weight: int = 0

    @property
    def green(self) -> str:
        return self.spec.name

    @property
    def initial(self) -> bool:
        """The endpoint's first deployment: there is no blue, so no steps and no way back."""
        return self.blue is None

    @property
    def active(self) -> bool:
        """Whether there is anything left to do but to keep blue."""
        return self.phase not in TERMINAL or self.abort is not None

    @property
    def watched(self) -> bool:
        """Whether green has live traffic that may still be taken from it."""
        return self.phase in (Phase.SHIFTING, Phase.BAKING) and self.first_shift is not None

    @property
    def green_weight(self) -> int:
        return self.weights.get(self.green, 0)

    @property
    def approvals_missing(self) -> int:
        return max(0, self.policy.approvers_required - len(self.approvals))


class ParkStage(StrEnum):
    """How far parking, or going back from it, has come."""

    PARKING = "Parking"
    PARKED = "Parked"
    UNPARKING = "Unparking"


@dataclass(frozen=True, slots=True)
class Parking:
    """An endpoint whose deployments were taken away: what they were, and the traffic that they had."""

    stage: ParkStage
    deployments: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, int]
    mirror: Mapping[str, int]
    by: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """Something to tell the world, not told yet. `sequence` is the journal line that it is about."""

    sequence: int
    event_type: str
    subject: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class EndpointState:
    """Everything the journal of one endpoint says: the newest rollout, what waits to be told, what waits to be deleted."""

    rollout: RolloutState | None = None
    past: tuple[RolloutState, ...] = ()
    sequence: int = 0
    fencing: int = 0
    last_hash: str = ""
    last_actor: str = ""
    outbox: tuple[Message, ...] = ()
    leftovers: Mapping[str, datetime] = field(default_factory=dict)
    stale: tuple[int, ...] = ()
    parking: Parking | None = None
