"""The controller is killed at every touch of the world, and another one takes over. Nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract.policy import RolloutPolicy
from rollout.controller.controller import Controller, Patience
from rollout.controller.state import Condition, Phase
from rollout.errors import Busy
from rollout.reports.audit import count_effects
from tests.unit.world import BLUE, GREEN, Behaviour, FakeWorld, Killed, order

#: Short bakes keep the number of places to die small; the path is the same.
POLICY = RolloutPolicy(steps=(10, 100), bake_minutes=3, min_requests=10)


def healthy() -> FakeWorld:
    return FakeWorld()


def erring() -> FakeWorld:
    """Green passes its smoke test, then errs on a fifth of live requests."""
    world = FakeWorld()
    world.behaviours[GREEN] = Behaviour(error_rate=0.04)
    return world


def run(world: FakeWorld, kill_at: int = 0, tear: bool = False) -> FakeWorld:
    """The whole story; after the kill another person's controller goes on."""
    world.touches, world.kill_at = 0, kill_at
    actor = "ann"
    for _ in range(60):
        try:
            controller = world.controller(actor)
            if not controller.history():
                controller.start(order(name=GREEN, policy=POLICY))
            result = controller.tick()
            if result.finished:
                return world
            world.advance()
            if world.endpoints.weights.get(GREEN) and world.behaviour(GREEN).error_rate:
                world.behaviours[GREEN] = Behaviour(error_rate=0.5)
        except Killed:
            world.revive()
            actor = "bob"
    raise AssertionError("never finished")


def once(world: FakeWorld) -> dict[str, int]:
    """What was done to the endpoint, without the probes, which change nothing."""
    return {what: count for what, count in world.endpoints.done.items() if not what.startswith("probe")}


STORIES: dict[str, tuple[Callable[[], FakeWorld], Phase, dict[str, int]]] = {
    "promoted": (
        healthy,
        Phase.PROMOTED,
        {f"deploy {GREEN}": 1, f"weights {BLUE}=90,{GREEN}=10": 1, f"weights {GREEN}=100": 1},
    ),
    "rolled back": (
        erring,
        Phase.ROLLED_BACK,
        {f"deploy {GREEN}": 1, f"weights {BLUE}=90,{GREEN}=10": 1, f"weights {BLUE}=100": 1},
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_touch_it_resumes_and_repeats_nothing(story: str) -> None:
    make, phase, expected = STORIES[story]
    undisturbed = run(make())
    assert once(undisturbed) == expected
    resumed = 0
    for kill_at in range(1, undisturbed.touches + 1):
        world = run(make(), kill_at)
        controller = world.controller()
        assert controller.status().phase is phase, kill_at
        assert once(world) == expected, f"killed at touch {kill_at}"
        assert world.endpoints.weights == undisturbed.endpoints.weights
        count = count_effects(controller.records())
        assert (count.repeated, count.open) == (0, 0), kill_at
        assert controller.audit().ok
        resumed += count.resumed > 0
        assert set(undisturbed.announcer.events) == set(world.announcer.events), kill_at
    assert resumed >= 6, "no kill ever hit between an intent and its done"


def test_killed_in_the_middle_of_writing_a_line() -> None:
    """The remains of the half-written line are closed and accounted for; the chain holds."""
    appends = run(healthy()).controller().records()
    for nth in range(1, len(appends)):
        world = healthy()
        world.store.tear_at = nth
        run(world)
        report = world.controller().audit()
        assert report.ok, report.problem
        assert world.controller().status().phase is Phase.PROMOTED
        assert report.repaired, nth
        assert once(world) == STORIES["promoted"][2]


def test_while_the_dead_ones_lease_lasts_others_are_told_who_has_it() -> None:
    world = healthy()
    world.controller("ann").start(order(name=GREEN))
    world.touches, world.kill_at = 0, 9
    with pytest.raises(Killed):
        world.controller("ann").tick()
    world.dead, world.kill_at = False, 0
    with pytest.raises(Busy, match="ann holds the lease"):
        world.controller("bob").tick()
    world.store.expire()
    world.controller("bob").tick()
    assert world.endpoints.weights[GREEN] == 10


def test_a_controller_that_lost_its_lease_stops_before_the_next_effect() -> None:
    """It was paused between reading and acting; meanwhile another one took the lease."""
    world = healthy()
    world.controller("ann").start(order(name=GREEN))
    deploy = world.endpoints.deploy

    def paused(spec: object) -> None:
        deploy(spec)  # type: ignore[arg-type]
        world.store.expire()
        world.store.acquire("bob")

    world.endpoints.deploy = paused  # type: ignore[method-assign, assignment]
    with pytest.raises(Busy, match="lease was lost"):
        world.controller("ann").tick()
    assert once(world) == {f"deploy {GREEN}": 1}
    assert world.endpoints.weights == {BLUE: 100}
    world.endpoints.deploy = deploy  # type: ignore[method-assign]
    world.store.expire()
    world.controller("bob").tick()
    assert once(world) == {f"deploy {GREEN}": 1, f"weights {BLUE}=90,{GREEN}=10": 1}


def test_what_green_did_while_nobody_watched_counts() -> None:
    """Killed right after the weights were written; the next controller comes ten minutes later."""
    world = healthy()
    world.controller("ann").start(order(name=GREEN))
    world.touches = 0
    write = world.endpoints.set_weights

    def and_die(weights: dict[str, int], still_ours: Callable[[], None]) -> None:
        write(weights, still_ours)
        world.die()

    world.endpoints.set_weights = and_die  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        world.controller("ann").tick()
    world.endpoints.set_weights = write  # type: ignore[method-assign]
    world.revive()
    world.behaviours[GREEN] = Behaviour(error_rate=0.3)
    world.advance(10)
    assert world.controller("bob").tick().phase is Phase.ROLLED_BACK
    assert once(world) == {f"deploy {GREEN}": 1, f"weights {BLUE}=90,{GREEN}=10": 1, f"weights {BLUE}=100": 1}


def after_intent(world: FakeWorld, effect: str, hook: Callable[[], None]) -> None:
    """Something happens between the intent's line and the effect itself."""
    write = world.store.append

    def append(line: bytes, position: int, lease: object) -> int:
        end = write(line, position, lease)  # type: ignore[arg-type]
        if b'"kind":"intent"' in line and effect.encode() in line:
            hook()
        return end

    world.store.append = append  # type: ignore[method-assign, assignment]


def test_a_lease_lost_between_the_intent_and_the_effect_leaves_the_effect_undone() -> None:
    world = healthy()
    world.controller("ann").start(order(name=GREEN))
    after_intent(world, '"deploy"', world.store.expire)
    with pytest.raises(Busy, match="lease was lost"):
        world.controller("ann").tick()
    assert once(world) == {}
    world.controller("bob").tick()
    assert once(world) == {f"deploy {GREEN}": 1, f"weights {BLUE}=90,{GREEN}=10": 1}


def test_weights_changed_between_the_intent_and_the_write_are_not_overwritten() -> None:
    world = healthy()
    world.controller("ann").start(order(name=GREEN))
    after_intent(world, '"set-weights"', lambda: world.endpoints.weights.update({BLUE: 60, GREEN: 40}))
    world.controller("ann").tick()
    assert world.controller("ann").tick().condition is Condition.PAGED
    assert once(world) == {f"deploy {GREEN}": 1}
    assert world.endpoints.weights == {BLUE: 60, GREEN: 40}


def test_waiting_writes_no_lines() -> None:
    """A hold of half an hour is one decision in the journal, not thirty."""
    world = healthy()
    world.controller().start(order(name=GREEN))
    world.controller().tick()
    world.behaviours[GREEN] = Behaviour(silent=True)
    world.drive(minutes=12)
    lines = len(world.controller().records())
    world.drive(minutes=25)
    assert len(world.controller().records()) == lines


def test_an_order_gets_its_turn_after_a_long_tick_and_says_whom_it_waits_for() -> None:
    world = healthy()
    world.controller("ann").start(order(name=GREEN))
    world.controller("ann").tick()
    world.store.acquire("ci-job-7")
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        world.store.expire()  # the other's tick ends

    patience = Patience(seconds=60.0, every=0.0, tell=tell)
    oncall = Controller("churn", world.ports(), "oncall", patience=patience)
    assert oncall.abort("3 a.m.").phase is Phase.ROLLED_BACK
    assert told == ["ci-job-7 holds the lease"]
