"""The off-hours timer's work: idle endpoints are parked on weekday evenings and come back in the morning.

It is the same code as `rollout park` and `rollout unpark`: journal, lease and smoke test. Every run looks anew, so one
that was killed or refused is made good by the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from contract.policy import SmokePolicy
from rollout.controller.controller import Controller, Patience
from rollout.controller.fold import fold
from rollout.controller.idle import why_not_idle
from rollout.controller.ports import JournalStore
from rollout.controller.records import parse
from rollout.controller.state import EndpointState, ParkStage
from rollout.controller.world import World
from rollout.errors import Busy, NotFound, RolloutError

log = logging.getLogger("rollout.handlers")

#: Only what it parked itself does it bring back: a person who parks has a reason.
ACTOR = "functions/off-hours"
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class OffHours:
    """Monday to Friday `stop` begins them and `start` ends them, so a weekend is one long night."""

    stop: time
    start: time
    zone: ZoneInfo
    idle_minutes: int

    def are_on(self, now: datetime) -> bool:
        """Whether the last of both times that came is `stop`."""
        local = now.astimezone(self.zone)
        # Monday morning looks back to Friday
        days = [local.date() - timedelta(days=back) for back in range(4)]
        switches = [
            (datetime.combine(day, at, self.zone), off)
            for day in days
            if day.weekday() <= _FRIDAY
            for at, off in ((self.stop, True), (self.start, False))
        ]
        return max((moment, off) for moment, off in switches if moment <= local)[1]


class Sleeper(Protocol):
    """An endpoint that can rest. Both say what was done or why nothing was."""

    name: str

    def rest(self, idle_minutes: int) -> str: ...

    def wake(self) -> str: ...


class Parked:
    """One endpoint: its journal, and the world, made only when there may be something to do."""

    def __init__(
        self, name: str, journal: Callable[[], JournalStore], world: Callable[[], World], smoke: SmokePolicy
    ) -> None:
        self.name, self._journal, self._world, self._smoke = name, journal, world, smoke

    def rest(self, idle_minutes: int) -> str:
        state, last = self._read()
        if state.parking is not None and (state.parking.by != ACTOR or state.parking.stage is ParkStage.PARKED):
            return f"{state.parking.stage.value} by {state.parking.by}"
        world = self._world()
        if state.parking is None and (why := self._why_not(state, last, world, idle_minutes)):
            return f"left: {why}"
        done = self._controller(world).park(f"off hours, idle for {idle_minutes} min")
        return "; ".join(done.effects) or done.reason

    def wake(self) -> str:
        state, _ = self._read()
        if state.parking is None or state.parking.by != ACTOR:
            return "not parked" if state.parking is None else f"parked by {state.parking.by}"
        done = self._controller(self._world()).unpark("working hours", self._smoke)
        return "; ".join(done.effects) or done.reason

    def _why_not(self, state: EndpointState, last: datetime | None, world: World, idle_minutes: int) -> str:
        """Somebody at work on the endpoint is as much as somebody who asks it."""
        if state.rollout is not None and state.rollout.active:
            return f"rollout {state.rollout.id} is under way"
        if last is not None and world.now() - last < timedelta(minutes=idle_minutes):
            return f"{state.last_actor} worked on it at {last:%H:%M} UTC"
        if not world.endpoints.live().deployments:
            return "there is no deployment"
        return why_not_idle(world, idle_minutes)

    def _controller(self, world: World) -> Controller:
        return Controller(self.name, world, ACTOR, patience=Patience(seconds=0.0))

    def _read(self) -> tuple[EndpointState, datetime | None]:
        """The state, and when the journal was last written."""
        try:
            data, _ = self._journal().read()
        except NotFound:
            return EndpointState(), None
        parsed = parse(data)
        parsed.report.raise_if_broken()
        last = datetime.fromisoformat(parsed.records[-1].time) if parsed.records else None
        return fold(parsed.records), last


def keep_hours(endpoints: Iterable[Sleeper], hours: OffHours, now: datetime) -> dict[str, str]:
    """What became of each endpoint. One that fails does not keep the others waiting; the failures are raised last."""
    off, done, failures = hours.are_on(now), {}, []
    for each in endpoints:
        try:
            done[each.name] = each.rest(hours.idle_minutes) if off else each.wake()
        except Busy as error:
            done[each.name] = f"left: {error.message}"
        except RolloutError as error:
            log.error("off hours %s: %s", each.name, error.message)
            failures.append(each.name)
            continue
        log.info("off hours %s: %s", each.name, done[each.name])
    if failures:
        raise RolloutError(f"the off hours of {', '.join(failures)} failed", way_out="see the traces above")
    return done
