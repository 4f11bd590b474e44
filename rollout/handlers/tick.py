"""The timer's work: one tick of every rollout that is under way. A tick is idempotent, so another driver does no harm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from rollout.controller.controller import Controller
from rollout.controller.fold import replay
from rollout.controller.ports import JournalStore
from rollout.controller.world import World
from rollout.errors import Busy, NotFound, RolloutError

log = logging.getLogger("rollout.handlers")

ACTOR = "functions/tick"


class Driven:
    """One endpoint: its journal, and the world that a tick acts on, made only when there is a rollout."""

    def __init__(self, name: str, journal: Callable[[], JournalStore], world: Callable[[], World]) -> None:
        self.name, self._journal, self._world = name, journal, world

    def tick(self) -> bool:
        """Whether a rollout was under way."""
        try:
            data, _ = self._journal().read()
        except NotFound:
            return False
        rollout = replay(data).rollout
        if rollout is None or not (rollout.active or rollout.pending):
            return False
        try:
            result = Controller(self.name, self._world(), ACTOR).tick()
        except Busy:
            log.info("tick %s: another controller is at it", self.name)
            return True
        log.info(
            "tick %s: %s, %s; %d effects",
            self.name,
            result.phase.value if result.phase else "no rollout",
            result.condition.value,
            len(result.effects),
        )
        return True


def tick_all(endpoints: Iterable[Driven]) -> int:
    """How many rollouts are under way. One that fails does not keep the others waiting; the failures are raised last."""
    active, failures = 0, []
    for each in endpoints:
        try:
            active += each.tick()
        except RolloutError as error:
            log.error("tick %s: %s", each.name, error.message)
            failures.append(each.name)
    if failures:
        raise RolloutError(f"the tick of {', '.join(failures)} failed", way_out="see the traces above")
    return active
