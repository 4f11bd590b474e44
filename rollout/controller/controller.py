"""The controller of one endpoint: what the CLI, a CI job or a timer calls. Every call is safe to repeat."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from contract.policy import SmokePolicy
from rollout.controller import codec
from rollout.controller.effects import same_weights, show_weights
from rollout.controller.executor import Executor, TickResult
from rollout.controller.journal import Journal, Writer, read_journal
from rollout.controller.naming import rollout_id
from rollout.controller.parking import Parker, ParkResult, would_park, would_unpark
from rollout.controller.ports import Lease
from rollout.controller.records import AuditReport, Kind, Record, verify
from rollout.controller.starting import Order, Prospect, examine, plan_to_json, refuse_busy, refuse_parked
from rollout.controller.state import Condition, EndpointState, Parking, Phase, RolloutState
from rollout.controller.views import RolloutView, view_of
from rollout.controller.world import World
from rollout.errors import BadInput, Busy, NotFound, RolloutError, Unavailable


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a person's order waits for a controller that is in the middle of a tick, in real seconds.

    A tick may wait minutes for an endpoint that is Updating, and an abort has to get its turn after it.
    `tell` is called once, with who is waited for.
    """

    seconds: float = 600.0
    every: float = 1.0
    tell: Callable[[str], None] = lambda text: None


class Controller:
    """`actor` is who acts: a person or a job, as the audit trail shows it."""

    def __init__(
        self,
        endpoint: str,
        world: World,
        actor: str,
        *,
        patience: Patience | None = None,
        new_suffix: Callable[[], str] = lambda: secrets.token_hex(2),
    ) -> None:
        self._endpoint, self._world, self._actor = endpoint, world, actor
        self._patience = patience or Patience()
        self._new_suffix = new_suffix

    def examine(self, order: Order) -> Prospect:
        """What `start` would do, without doing it; raises what `start` would raise."""
        refuse_busy(self._read(), self._endpoint)
        return examine(order, self._endpoint, self._world, self._new_suffix())

    def start(self, order: Order) -> RolloutView:
        """Begin: the plan is journaled, nothing else is done yet. Busy while another rollout is under way."""
        with self._open() as (journal, _):
            refuse_busy(journal.state, self._endpoint)
            prospect = examine(order, self._endpoint, self._world, self._new_suffix())
            journal.append(
                Kind.PLANNED,
                {
                    "spec": codec.spec_to_json(prospect.spec),
                    "policy": codec.policy_to_json(order.policy),
                    "blue": prospect.blue,
                    "plan": plan_to_json(prospect.plan),
                    "allow_blind": order.allow_blind,
                },
                rollout=rollout_id(self._world.now(), self._new_suffix()),
                weights=(prospect.weights, prospect.weights),
                policy=codec.policy_version(order.policy),
            )
            return self._view(journal.state)

    def tick(self) -> TickResult:
        """Do what is due. Busy while another controller ticks; Unavailable when the journal can't be read."""
        with self._open() as (journal, lease):
            return Executor(self._world, journal, lease).run()

    def abort(self, reason: str, *, force: bool = False) -> TickResult:
        """Send traffic back to blue, now. `force`: even when blue looks no better. Waits for a tick to end."""
        with self._open(wait=True) as (journal, lease):
            refuse_parked(journal.state, self._endpoint)
            _refuse_abort(journal.state, self._endpoint)
            journal.append(Kind.ABORT, {"reason": reason, "force": force})
            return Executor(self._world, journal, lease).run()

    def park(self, reason: str) -> ParkResult:
        """Delete the endpoint's deployments, once the journal has what it takes to make them again. Safe to repeat."""
        with self._open(wait=True) as (journal, lease):
            return Parker(self._world, journal, lease, self._endpoint).park(reason)

    def unpark(self, reason: str, policy: SmokePolicy) -> ParkResult:
        """Make them again, test them, give them their traffic. Safe to repeat."""
        with self._open(wait=True) as (journal, lease):
            return Parker(self._world, journal, lease, self._endpoint).unpark(reason, policy)

    def examine_park(self, reason: str) -> ParkResult:
        """What `park` would do; raises what it would raise."""
        return would_park(self._read(), self._world, self._endpoint, reason)

    def examine_unpark(self, reason: str) -> ParkResult:
        """What `unpark` would do."""
        return would_unpark(self._read(), self._world, self._endpoint, reason)

    def parking(self) -> Parking | None:
        """Whether and how the endpoint is parked; None when it is not."""
        return self._read().parking

    def approve(self, who: str, note: str = "") -> RolloutView:
        """One person's agreement. Who started it can't approve it."""
        with self._open(wait=True) as (journal, _):
            state = _current(journal.state, self._endpoint)
            _refuse_approval(state, who)
            if who not in state.approvals:
                journal.append(Kind.APPROVAL, {"who": who, "note": note})
            return self._view(journal.state)

    def resume(self, reason: str) -> RolloutView:
        """Let a held or paged rollout go on: evidence counts anew, and the rollout's own weights are right."""
        with self._open(wait=True) as (journal, _):
            state = _current(journal.state, self._endpoint)
            if state.condition is Condition.GOING:
                raise BadInput(f"rollout {state.id} is neither held nor paged ({state.phase.value})")
            live = self._world.endpoints.live().weights
            moved = not same_weights(live, state.weights)
            journal.append(Kind.RESUME, {"reason": reason, "reassert": moved, "live_weights": dict(live)})
            return self._view(journal.state)

    def status(self) -> RolloutView:
        """The newest rollout and the live weights; takes no lease, changes nothing. NotFound when there is none."""
        state = self._read()
        if state.rollout is None:
            raise NotFound(f"no rollout was ever started on {self._endpoint}", way_out="rollout start")
        try:
            live = self._world.endpoints.live().weights
        except (Unavailable, NotFound):  # a deleted endpoint still has a journal, and maybe a rollout to end
            live = None
        # parked: that nothing has traffic is no drift
        return view_of(state.rollout, state, None if state.parking else live)

    def history(self) -> tuple[RolloutView, ...]:
        """Every rollout of the endpoint, oldest first."""
        state = self._read()
        rollouts = (*state.past, *((state.rollout,) if state.rollout else ()))
        return tuple(view_of(rollout, state) for rollout in rollouts)

    def records(self) -> tuple[Record, ...]:
        """Every line of the journal, oldest first, as far as the chain verifies."""
        return read_journal(self._world.store)[1].records

    def audit(self, expected_head: str = "") -> AuditReport:
        """Whether the journal is as it was written; `expected_head` also finds lines cut off at its end."""
        data, _ = self._world.store.read()
        return verify(data, expected_head)

    def _read(self) -> EndpointState:
        state, parsed = read_journal(self._world.store)
        parsed.report.raise_if_broken()
        return state

    def _view(self, state: EndpointState) -> RolloutView:
        assert state.rollout is not None  # nosec B101  # callers have just written about it
        return view_of(state.rollout, state)

    @contextmanager
    def _open(self, *, wait: bool = False) -> Iterator[tuple[Journal, Lease]]:
        lease = self._acquire(wait)
        try:
            writer = Writer(self._endpoint, self._actor, self._world.now, self._world.real_now)
            yield Journal(self._world.store, lease, writer), lease
        finally:
            # A lease that can't be released expires by itself.
            with suppress(RolloutError):
                lease.release()

    def _acquire(self, wait: bool) -> Lease:
        give_up = time.monotonic() + (self._patience.seconds if wait else 0.0)
        told = False
        while True:
            try:
                return self._world.store.acquire(self._actor)
            except Busy as error:
                if time.monotonic() >= give_up:
                    raise
                if not told:
                    self._patience.tell(error.message)
                    told = True
                time.sleep(self._patience.every)


def _current(state: EndpointState, endpoint: str) -> RolloutState:
    if state.rollout is None or not state.rollout.active:
        raise NotFound(f"no rollout is under way on {endpoint}", way_out="rollout start, or rollout history")
    return state.rollout


def _refuse_abort(state: EndpointState, endpoint: str) -> None:
    """A rollout under way, or a promoted one whose blue is kept, can go back; nothing else can."""
    rollout = state.rollout
    if rollout is None:
        raise NotFound(f"no rollout was ever started on {endpoint}")
    if rollout.phase in (Phase.ROLLED_BACK, Phase.FAILED):
        raise BadInput(
            f"rollout {rollout.id} is {rollout.phase.value} already; traffic: {show_weights(rollout.weights)}"
        )
    if rollout.phase is Phase.PROMOTED and (rollout.blue is None or rollout.blue not in state.leftovers):
        gone = f"{rollout.blue} is not kept any more" if rollout.blue else "it was the endpoint's first deployment"
        raise BadInput(f"rollout {rollout.id} is promoted and {gone}", way_out="start a rollout of the older model")


def _refuse_approval(state: RolloutState, who: str) -> None:
    if not who:
        raise BadInput("an approval needs a name")
    if not state.policy.approvers_required:
        raise BadInput(f"rollout {state.id} needs no approval (approvers_required = 0)")
    if who == state.started_by:
        raise BadInput(f"{who} started rollout {state.id}", way_out="another person has to approve it")
