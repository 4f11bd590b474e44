"""Tick after tick, with progress: a live table on a terminal, lines elsewhere, JSON for machines."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from rollout.cli.output import console, emit, errors, say
from rollout.cli.snapshot import Snapshot, take_snapshot
from rollout.controller.decide import decide
from rollout.controller.evidence import gather
from rollout.controller.fold import replay
from rollout.controller.state import Condition, Phase
from rollout.controller.views import error_for
from rollout.errors import Busy, NotFound, OnHold, RolloutError, Unavailable
from rollout.reports.documents import tick_document
from rollout.reports.tables import ago, first_line

if TYPE_CHECKING:
    from rich.live import Live

    from rollout.cli.session import Session
    from rollout.controller.executor import TickResult

#: Real seconds between looks: never a busy loop, never half a minute without news.
_SHORTEST, _LONGEST = 0.5, 20.0
#: Policy time to the next look when a tick did not say.
_UNKNOWN = timedelta(minutes=1)


def tick_once(session: Session, *, json: bool) -> None:
    """One tick; raises what its outcome means."""
    result = session.controller.tick()
    snapshot = take_snapshot(session)
    if json:
        emit({"tick": tick_document(result), **snapshot.document()})
    else:
        for effect in result.effects:
            say(f"done: {effect}")
        say(snapshot.line())
        if result.next_at is not None and not result.finished:
            say(f"next: in {ago(result.next_at - session.clock.now())} (rollout watch, or rollout tick again)")
    _raise_outcome(snapshot, result.untold)


def decide_only(session: Session, *, json: bool) -> None:
    """What a tick would do; writes nothing."""
    data, _ = session.azure.journal.read()
    rollout = replay(data).rollout
    if rollout is None:
        raise NotFound(f"no rollout was ever started on {session.endpoint.name}", way_out="rollout start")
    world, now = session.azure.world(), session.clock.now()
    evidence = gather(rollout, world.endpoints, world.metrics, now, world.real_now())
    decision = decide(rollout, evidence, rollout.policy, now)
    if json:
        emit({"action": decision.action.value, "reason": decision.reason, "effect": str(decision.effect or "")})
    else:
        effect = f": {decision.effect}" if decision.effect else ""
        say(f"would {decision.action.value}{effect} ({first_line(decision.reason)})")


def drive(session: Session, *, json: bool, stop_on_hold: bool = False) -> None:
    """Until the rollout is over; raises what the end means. Ctrl-C leaves it where it is: another run goes on."""
    snapshot = take_snapshot(session)
    if snapshot.view is None:
        raise NotFound(f"no rollout was ever started on {session.endpoint.name}", way_out="rollout start")
    with ExitStack() as stack:
        screen = _Screen(session, json, stack)
        screen.show(snapshot, "")
        while snapshot.view is not None and snapshot.view.active:
            screen.working(snapshot)
            wait, note = _step(session, screen)
            snapshot = _look(session, snapshot)
            screen.show(snapshot, note)
            if stop_on_hold and _waits_for_person(snapshot):
                break
            if snapshot.view is not None and snapshot.view.active:
                screen.wait(wait, snapshot, note)
    _raise_outcome(snapshot, screen.untold)


def _step(session: Session, screen: _Screen) -> tuple[float, str]:
    """One tick, or why there was none; and the real seconds to wait."""
    try:
        result = session.controller.tick()
    except Busy as error:
        return _seconds(session, None), f"following: {error.message}"
    except Unavailable as error:
        return _seconds(session, None), f"trying again: {error.message}"
    screen.effects(result)
    screen.untold = result.untold
    return _seconds(session, result), ""


def _seconds(session: Session, result: TickResult | None) -> float:
    until = result.next_at if result else None
    span = until - session.clock.now() if until is not None else _UNKNOWN
    # Metrics come every minute: no use in looking more often, unless something ends sooner.
    real = session.clock.real_seconds(min(span, _UNKNOWN).total_seconds())
    return min(max(real, _SHORTEST), _LONGEST)


def _look(session: Session, last: Snapshot) -> Snapshot:
    """What there is to see now; the last view while nothing answers."""
    try:
        return take_snapshot(session)
    except Unavailable as error:
        return Snapshot(last.endpoint, session.clock.now(), None, last.view, (), (error.message,))


def _waits_for_person(snapshot: Snapshot) -> bool:
    view = snapshot.view
    return view is not None and (view.condition is Condition.PAGED or view.phase is Phase.AWAITING_APPROVAL)


def _raise_outcome(snapshot: Snapshot, untold: RolloutError | None = None) -> None:
    """What the rollout's state means; when all is well with it, that nobody was told."""
    error: RolloutError | None = error_for(snapshot.view) if snapshot.view else None
    if isinstance(error, OnHold):
        error.message = f"{snapshot.endpoint} {error.message}"
    if error is not None:
        raise error
    if untold is not None:
        raise type(untold)(f"the rollout goes its way, but nobody is told: {untold.message}", way_out=untold.way_out)


@dataclass
class _Screen:
    """Where progress goes."""

    session: Session
    json: bool
    stack: ExitStack
    untold: RolloutError | None = None
    _live: Live | None = None
    _last_line: str = ""
    _last_note: str = ""
    _done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.json and console().is_terminal:
            from rich.live import Live

            self._live = self.stack.enter_context(Live(console=console(), refresh_per_second=4))

    def effects(self, result: TickResult) -> None:
        """Say what a tick has done."""
        if self.json:
            emit({"tick": tick_document(result)})
            return
        for effect in result.effects:
            self._done.append(f"{self.session.clock.now():%H:%M:%S} done: {effect}")
            if self._live is None:
                say(self._done[-1])

    def working(self, snapshot: Snapshot) -> None:
        """On a terminal: a tick is under way; a deployment takes minutes."""
        if self._live is not None:
            self._draw(snapshot, "looking, and doing what is due ...", None)

    def show(self, snapshot: Snapshot, note: str, countdown: float | None = None) -> None:
        """Draw, print or emit, and only what is news where lines are kept."""
        if self.json:
            emit(snapshot.document() | {"note": note})
        elif self._live is not None:
            self._draw(snapshot, note, countdown)
        else:
            line = snapshot.line()
            if line.partition(" ")[2] != self._last_line:
                self._last_line = line.partition(" ")[2]
                say(line)
            if note and note != self._last_note:
                errors().print(note, style="yellow", markup=False)
            self._last_note = note

    def wait(self, seconds: float, snapshot: Snapshot, note: str) -> None:
        """Sleep; on a terminal with a countdown."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._live is not None:
                self._draw(snapshot, note, left)
            time.sleep(min(left, 1.0))

    def _draw(self, snapshot: Snapshot, note: str, countdown: float | None) -> None:
        from rich.console import Group
        from rich.text import Text

        assert self._live is not None  # nosec B101  # callers have looked
        parts = [snapshot.render(), *(Text(line, style="dim") for line in self._done[-6:])]
        if note:
            parts.append(Text(note, style="yellow"))
        if countdown is not None:
            parts.append(Text(f"next look in {countdown:.0f} s; Ctrl-C stops watching, not the rollout", style="dim"))
        self._live.update(Group(*parts))
