"""Parking: nothing is deleted before the journal can make it again, nothing gets traffic before it is tested."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract.policy import RolloutPolicy, SmokePolicy
from rollout.controller.effects import show_weights
from rollout.controller.ports import LiveDeployment
from rollout.controller.records import Kind
from rollout.controller.state import ParkStage
from rollout.errors import BadInput, Busy, GateFailed, RolloutError, Unavailable
from rollout.reports.audit import audit_rows
from tests.unit.cli_rig import Cli, cli
from tests.unit.world import BLUE, GREEN, Behaviour, FakeWorld, Killed, order

__all__ = ["cli"]
SMOKE = SmokePolicy(requests=5)
OLD = "churn-v0-0000"


def shop() -> FakeWorld:
    """Blue with all the traffic, a second deployment that it is mirrored to, a third that is idle."""
    world = FakeWorld()
    for name, model in ((GREEN, "churn:2"), (OLD, "churn:3")):
        world.endpoints.add(name, model)
    world.endpoints.mirror = {GREEN: 10}
    world.endpoints.variables = {BLUE: {"THRESHOLD": "0.4"}}
    return world


def look(world: FakeWorld) -> tuple[object, ...]:
    endpoints = world.endpoints
    return dict(endpoints.deployments), dict(endpoints.weights), dict(endpoints.mirror)


def test_parked_it_has_nothing_and_unparked_all_that_it_had() -> None:
    world = shop()
    before = look(world)
    parked = world.controller().park("off hours")
    assert parked.parking is not None
    assert parked.parking.stage is ParkStage.PARKED
    assert look(world) == ({}, {}, {})
    back = world.controller("bob").unpark("morning", SMOKE)
    assert back.parking is None
    assert look(world) == before
    assert world.endpoints.done[f"probe {BLUE}"] == 1, "what gets traffic is tested"
    assert not world.endpoints.done[f"probe {OLD}"]
    assert world.controller().audit().ok


def test_the_order_is_written_before_anything_happens_and_the_test_before_the_traffic() -> None:
    world = shop()
    world.controller().park("off hours")
    world.controller().unpark("morning", SMOKE)
    told = [(record.kind, record.evidence.get("effect", "")) for record in world.controller().records()]
    assert told[0][0] is Kind.PARK
    assert told[1] == (Kind.PARKING, "traffic: no traffic")
    tested = told.index((Kind.PARKING, f"test {BLUE}"))
    given = next(index for index, (_, effect) in enumerate(told) if effect.startswith(f"traffic: {BLUE} 100"))
    assert tested < given
    rows = audit_rows(world.controller().records())
    assert rows[0].what == f"off hours: {', '.join(sorted((BLUE, GREEN, OLD)))}"
    assert any(row.traffic == f"{show_weights({BLUE: 100})} -> no traffic" for row in rows)


def test_both_are_safe_to_repeat() -> None:
    world = shop()
    world.controller().park("off hours")
    lines = len(world.controller().records())
    assert world.controller().park("off hours").reason == "parked already"
    world.controller().unpark("morning", SMOKE)
    done = dict(world.endpoints.done)
    assert world.controller().unpark("morning", SMOKE).reason == "not parked"
    assert dict(world.endpoints.done) == done
    assert lines < len(world.controller().records())


def story(world: FakeWorld) -> None:
    world.controller().park("off hours")
    assert look(world)[0] == {}
    world.controller("bob").unpark("morning", SMOKE)


def retried(world: FakeWorld) -> FakeWorld:
    """The orders in turn, each given again until it is through."""
    steps: list[Callable[[], object]] = [
        lambda: world.controller().park("off hours"),
        lambda: world.controller("bob").unpark("morning", SMOKE),
    ]
    while steps:
        try:
            steps[0]()
            steps.pop(0)
        except Killed:
            world.revive()
    return world


def test_killed_at_every_touch_it_goes_on_and_repeats_nothing() -> None:
    calm = shop()
    before, calm.touches = look(calm), 0
    story(calm)
    once = {what: count for what, count in calm.endpoints.done.items() if not what.startswith("probe")}
    assert set(once.values()) == {1}
    for kill_at in range(1, calm.touches + 1):
        world = shop()
        world.touches, world.kill_at = 0, kill_at
        retried(world)
        assert look(world) == before, f"killed at touch {kill_at}"
        done = {what: count for what, count in world.endpoints.done.items() if not what.startswith("probe")}
        assert done == once, f"killed at touch {kill_at}"
        assert world.controller().parking() is None
        assert world.controller().audit().ok


def test_a_line_cut_short_loses_nothing() -> None:
    calm = shop()
    before = look(calm)
    story(calm)
    for nth in range(1, len(calm.controller().records()) + 1):
        world = shop()
        world.store.tear_at = nth
        retried(world)
        assert look(world) == before, f"torn at line {nth}"
        assert world.controller().audit().ok


def refused(world: FakeWorld, error: type[RolloutError], what: str) -> None:
    before = look(world)
    with pytest.raises(error, match=what):
        world.controller().park("off hours")
    assert look(world) == before
    assert not [record for record in world.controller().records() if record.kind is Kind.PARK]


def test_not_while_a_rollout_is_under_way() -> None:
    world = FakeWorld()
    world.controller().start(order(name=GREEN, policy=RolloutPolicy()))
    world.controller().tick()
    refused(world, Busy, "is under way")


def test_not_what_is_being_made_or_has_failed() -> None:
    world = shop()
    world.endpoints.deployments[OLD] = LiveDeployment(OLD, "Failed", "churn:3", 1)
    refused(world, BadInput, f"{OLD} is Failed")
    world.endpoints.provisioning_state = "Updating"
    refused(world, Unavailable, "is Updating")


def test_not_what_the_journal_may_not_keep() -> None:
    world = shop()
    world.endpoints.variables[OLD] = {"CONNECTION": "AccountName=x;AccountKey=c2VjcmV0LXNlY3JldA=="}
    refused(world, BadInput, f"deployment {OLD} has a setting that looks like a credential")


def test_what_somebody_changed_after_the_order_is_not_deleted() -> None:
    world = shop()
    world.endpoints.deployments.pop(OLD)
    world.touches, world.kill_at = 0, 9
    with pytest.raises(Killed):
        world.controller().park("off hours")
    world.revive()
    assert world.controller().parking() is not None
    world.endpoints.variables[GREEN] = {"THRESHOLD": "0.9"}
    with pytest.raises(BadInput, match=f"{GREEN} is not as the journal describes it"):
        world.controller().park("off hours")
    assert GREEN in world.endpoints.deployments


def test_one_that_does_not_answer_well_gets_no_traffic() -> None:
    world = shop()
    world.controller().park("off hours")
    world.behaviours[BLUE] = Behaviour(error_rate=1.0)
    with pytest.raises(GateFailed, match="it gets no traffic"):
        world.controller().unpark("morning", SMOKE)
    assert (world.endpoints.weights, set(world.endpoints.deployments)) == ({}, {BLUE, GREEN, OLD})
    parking = world.controller().parking()
    assert parking is not None
    assert parking.stage is ParkStage.UNPARKING
    world.behaviours[BLUE] = Behaviour()
    world.controller().unpark("morning", SMOKE)
    assert world.endpoints.weights == {BLUE: 100}


def test_one_that_can_not_be_asked_gets_none_either() -> None:
    world = shop()
    world.controller().park("off hours")
    world.down = {"probe"}
    with pytest.raises(Unavailable, match="probe does not answer"):
        world.controller().unpark("morning", SMOKE)
    assert world.endpoints.weights == {}


def test_while_parked_nothing_else_happens() -> None:
    world = FakeWorld()
    world.controller().start(order(name=GREEN, policy=RolloutPolicy(steps=(100,), keep_blue_hours=1)))
    world.drive()
    world.controller().park("off hours")
    world.advance(120)
    result = world.controller().tick()
    assert (result.finished, result.effects) == (True, ())
    assert "parked by ann: off hours" in result.reason
    with pytest.raises(BadInput, match="churn is parked since"):
        world.controller().start(order(name="churn-v3-0001", model="churn:3"))
    with pytest.raises(BadInput, match="churn is parked since"):
        world.controller().abort("bad")
    world.controller().unpark("morning", SMOKE)
    assert set(world.endpoints.deployments) == {BLUE, GREEN}, "the blue that is kept comes back too"
    world.controller().tick()
    assert set(world.endpoints.deployments) == {GREEN}, "and goes when its time is over"


# The commands


def test_the_commands_tell_what_they_did(cli: Cli) -> None:
    code, out, _ = cli.run("park", "churn", "--dry-run")
    assert (code, out) == (0, f"churn-dev: would traffic: no traffic; delete {BLUE} (Live)\n")
    assert cli.world.endpoints.weights == {BLUE: 100}
    assert cli.documents("park", "--all") == (
        0,
        [{"endpoint": "churn-dev", "stage": "Parked", "reason": "off hours", "effects": ["traffic: no traffic", f"delete {BLUE}"]}],
    )  # fmt: skip
    code, (status,) = cli.documents("status", "churn")
    assert code == 0
    assert status["parking"]["deployments"] == [BLUE]
    assert (status["parking"]["stage"], status["parking"]["weights"]) == ("Parked", {BLUE: 100})
    assert f"unpark: {BLUE}; traffic {BLUE} 100" in cli.run("status", "churn")[1]
    assert f"would make {BLUE}; test {BLUE}; traffic: {BLUE} 100" in cli.run("unpark", "churn", "--dry-run")[1]
    assert cli.run("unpark", "churn", "--reason", "back")[0] == 0
    assert cli.world.endpoints.weights == {BLUE: 100}
    assert cli.documents("status", "churn")[1][0]["parking"] is None


def test_only_what_is_known_to_be_idle(cli: Cli) -> None:
    _, (busy,) = cli.documents("park", "churn", "--idle-minutes", "30")
    assert (busy["stage"], cli.world.endpoints.weights) == ("Live", {BLUE: 100})
    assert "requests in the last 30 min" in busy["reason"]
    cli.world.down = {"metrics"}
    assert "not known" in cli.documents("park", "churn", "--idle-minutes", "30")[1][0]["reason"]
    cli.world.down = set()
    cli.world.behaviours[BLUE] = Behaviour(silent=True)
    cli.world.advance(60)
    assert cli.documents("park", "churn", "--idle-minutes", "30")[1][0]["stage"] == "Parked"


def test_prod_and_nothing_named_are_refused(cli: Cli) -> None:
    assert cli.run("park")[0] == 2
    assert cli.run("park", "churn", "--all")[0] == 2
    cli.outputs.write_text(cli.outputs.read_text().replace('"environment": "dev"', '"environment": "prod"'))
    code, _, said = cli.run("park", "churn")
    assert (code, "--prod" in said) == (2, True)
    assert cli.world.endpoints.weights == {BLUE: 100}
    assert cli.run("park", "churn", "--prod")[0] == 0
