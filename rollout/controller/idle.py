"""Whether anybody asks an endpoint. What can't be known is no idleness."""

from __future__ import annotations

from datetime import timedelta

from rollout.controller.world import World
from rollout.errors import RolloutError


def why_not_idle(world: World, minutes: int) -> str:
    """Why it does not count as idle for so long; empty when nobody asked."""
    now = world.now()
    try:
        live = world.endpoints.live()
        samples = world.metrics.minutes(sorted(live.deployments), now - timedelta(minutes=minutes), now)
    except RolloutError as error:
        return f"whether it is idle is not known: {error.message}"
    requests = sum(sample.requests for sample in samples)
    return f"{requests} requests in the last {minutes} min" if requests else ""
