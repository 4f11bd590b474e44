"""What is known of the world at one tick. `Evidence` is data; `gather` is the reading of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollout.controller.ports import Endpoints, LiveEndpoint, Metrics, MinuteSample, ProbeResult
from rollout.controller.state import RolloutState
from rollout.errors import NotFound, RolloutError

#: How far before green's first request blue is looked at, so that the test knows what blue is like.
LOOK_BACK = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Evidence:
    """`live` is None when the endpoint could not be read; an error text says why a source is missing.
    `gone`: the service says that there is no such endpoint.

    `target` holds what blue answered when traffic is about to go back to it: None before it was asked.
    """

    live: LiveEndpoint | None = None
    live_error: str = ""
    gone: bool = False
    green: Sequence[MinuteSample] = ()
    blue: Sequence[MinuteSample] = ()
    metrics_error: str = ""
    target: Sequence[ProbeResult] | None = None
    target_error: str = ""
    real_now: float = 0.0


def gather(state: RolloutState, endpoints: Endpoints, metrics: Metrics, now: datetime, real_now: float) -> Evidence:
    """Live endpoint, and while green has live traffic the minutes of both sides. A source that fails is told, not raised."""
    try:
        live = endpoints.live()
    except RolloutError as error:
        return Evidence(live_error=error.message, gone=isinstance(error, NotFound), real_now=real_now)
    if not state.watched or state.first_shift is None:
        return Evidence(live=live, real_now=real_now)
    names = [name for name in (state.green, state.blue) if name]
    try:
        samples = metrics.minutes(names, state.first_shift - LOOK_BACK, now)
    except RolloutError as error:
        return Evidence(live=live, metrics_error=error.message, real_now=real_now)
    return Evidence(
        live=live,
        green=[sample for sample in samples if sample.deployment == state.green],
        blue=[sample for sample in samples if sample.deployment == state.blue],
        real_now=real_now,
    )
