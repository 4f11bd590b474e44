"""The controller's ports, together with the clocks: everything it touches outside itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rollout.controller.ports import Announcer, Endpoints, JournalStore, Metrics, Prober


@dataclass(frozen=True, slots=True)
class World:
    """`now` is policy time, `real_now` epoch seconds."""

    endpoints: Endpoints
    metrics: Metrics
    prober: Prober
    store: JournalStore
    announcer: Announcer
    now: Callable[[], datetime]
    real_now: Callable[[], float]
