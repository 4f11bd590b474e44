"""How traffic may move: the rollout policy of one endpoint, as the stack file sets it.

Durations are in minutes of the policy clock (`rollout.clock`), rates are shares
in [0, 1], latencies are milliseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Weight = Annotated[int, Field(ge=1, le=100)]
Minutes = Annotated[float, Field(ge=0.0)]
Milliseconds = Annotated[float, Field(gt=0.0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VerdictAction(StrEnum):
    """What the controller does about a verdict."""

    ADVANCE = "advance"
    HOLD = "hold"
    ROLL_BACK = "roll_back"
    PAGE = "page"


class SmokePolicy(_Frozen):
    """The check of green alone, pinned by header, before it takes live traffic."""

    requests: int = Field(default=40, ge=1, le=10_000, description="scoring requests to green alone")
    max_p95_ms: Milliseconds = Field(default=2000.0, description="highest P95 of them")
    min_success_rate: Share = Field(default=0.95, description="lowest share that is answered well")


class WindowPolicy(_Frozen):
    """Fixed windows that operators know; a breach has to last the whole window."""

    max_error_rate: Share = Field(default=0.05, description="highest error rate of green")
    error_rate_minutes: Minutes = Field(default=5.0, description="how long it has to be above")
    max_p95_ms: Milliseconds = Field(default=3000.0, description="highest P95 of green")
    p95_minutes: Minutes = Field(default=5.0, description="how long it has to be above")
    min_availability: Share = Field(default=0.99, description="lowest availability of green")
    availability_minutes: Minutes = Field(default=10.0, description="how long it has to be below")


class SequentialPolicy(_Frozen):
    """Anytime-valid test of green's error rate against blue's at the same time.

    `tolerated_increase` is the share by which green may be worse than blue;
    `false_rollback_budget` bounds the chance that this test sends back a green within it; the fixed windows
    have no such bound, and the test of `tolerated_slowdown`, when on, spends as much again.
    `tolerated_slowdown` is green's P95 as a multiple of blue's in the same minute; None: reported, not judged.
    """

    enabled: bool = Field(default=True, description="test green against blue")
    tolerated_increase: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        default=0.01, description="errors that green may have more than blue, as a share of requests"
    )
    tolerated_slowdown: Annotated[float, Field(ge=1.0)] | None = Field(
        default=None, description="green's P95 as a multiple of blue's; none: reported, not judged"
    )
    false_rollback_budget: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        default=0.01, description="chance that a good green is sent back"
    )


class VerdictPolicy(_Frozen):
    """Verdict to action. `no_data` is never read as health.

    `shared_outage`: green fails a window and blue fails the same one at the same time.
    `bad_rollback_target`: traffic should go back, but blue is not fit to take it.
    """

    failed: VerdictAction = Field(default=VerdictAction.ROLL_BACK, description="a check failed")
    shared_outage: VerdictAction = Field(default=VerdictAction.PAGE, description="blue fails as green does")
    bad_rollback_target: VerdictAction = Field(
        default=VerdictAction.PAGE, description="blue is not fit to take the traffic"
    )
    no_data: VerdictAction = Field(default=VerdictAction.HOLD, description="no metrics came in")
    insufficient_data: VerdictAction = Field(default=VerdictAction.HOLD, description="too few requests to judge")
    provider_error: VerdictAction = Field(default=VerdictAction.HOLD, description="Azure Monitor did not answer")
    longest_hold_minutes: Minutes = Field(default=30.0, description="how long a hold may last")
    after_longest_hold: VerdictAction = Field(default=VerdictAction.ROLL_BACK, description="and what is done then")

    @field_validator("*")
    @classmethod
    def _no_evidence_never_advances(cls, value: object) -> object:
        if value is VerdictAction.ADVANCE:
            raise ValueError(
                "'advance' is not allowed: only a pass advances traffic; use 'hold', 'roll_back' or 'page'"
            )
        return value

    @field_validator("after_longest_hold")
    @classmethod
    def _holds_end(cls, value: VerdictAction) -> VerdictAction:
        if value is VerdictAction.HOLD:
            raise ValueError("'hold' is not allowed: use 'roll_back' or 'page'")
        return value


class RolloutPolicy(_Frozen):
    """One endpoint's way from blue to green."""

    steps: tuple[Weight, ...] = Field(
        default=(10, 50, 100), description="green's share of the traffic, in percent, step by step"
    )
    bake_minutes: Minutes = Field(default=10.0, description="how long each step is watched")
    min_requests: int = Field(default=20, ge=1, description="green requests a step needs before it can pass")
    smoke: SmokePolicy = Field(default=SmokePolicy(), description="green alone")
    windows: WindowPolicy = Field(default=WindowPolicy(), description="fixed windows")
    sequential: SequentialPolicy = Field(default=SequentialPolicy(), description="green against blue")
    verdicts: VerdictPolicy = Field(default=VerdictPolicy(), description="what follows")
    approvers_required: int = Field(default=0, ge=0, le=10, description="people who have to agree before traffic moves")
    keep_blue_hours: float = Field(default=24.0, ge=0.0, description="how long the deployment that lost is kept")

    @field_validator("steps")
    @classmethod
    def _steps_rise_to_100(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if list(steps) != sorted(set(steps)) or not steps or steps[-1] != 100:
            raise ValueError(f"{list(steps)} must rise strictly and end at 100, e.g. [10, 50, 100]")
        return steps


class Gates(_Frozen):
    """What a model has to be to be registered for this stack; metrics are those of the positive class. None: not asked."""

    accuracy: Share = Field(default=0.75, description="lowest accuracy")
    precision: Share = Field(default=0.70, description="lowest precision")
    recall: Share = Field(default=0.65, description="lowest recall")
    f1: Share | None = Field(default=None, description="lowest F1")
    auc: Share | None = Field(default=None, description="lowest area under the ROC curve")
    max_cv_std: Share | None = Field(default=0.05, description="highest deviation of a metric between folds")
    max_latency_ms: Milliseconds | None = Field(default=300.0, description="highest P95 of one row, in milliseconds")
    max_memory_mb: Annotated[float, Field(gt=0)] | None = Field(default=2048.0, description="most memory, in MB")
    max_size_mb: Annotated[float, Field(gt=0)] | None = Field(default=500.0, description="largest model, in MB")
    max_odds_gap: Share | None = Field(
        default=None, description="largest gap in true or false positive rate between the groups of a segment"
    )
    not_worse_than_baseline: bool = Field(
        default=False, description="refused when what serves now is better, and not by chance (p < 0.05)"
    )
    complete_card: bool = Field(default=False, description="the model card has every field filled in")


class ModelTrust(_Frozen):
    """Whose signatures on models this stack believes."""

    require_signed: bool = Field(default=False, description="no model is deployed unless one of the keys signed it")
    public_keys: tuple[str, ...] = Field(default=(), description="PEM public keys that models are verified with")
    vault_uri: str = Field(default="", description="https URL of the key vault that holds the signing key")
    key_secret: str = Field(default="", description="name of the secret with the signing key; none: it is not here")
