"""Somebody else writes traffic while a rollout is under way: a `pulumi up`, the portal, a script."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contract.policy import RolloutPolicy, VerdictAction, VerdictPolicy
from rollout.controller.state import Condition, Phase
from rollout.errors import Busy, Unavailable
from tests.unit.world import BLUE, GREEN, Behaviour, FakeWorld, order


def at_50(policy: RolloutPolicy | None = None) -> FakeWorld:
    world = FakeWorld()
    world.controller().start(order(name=GREEN, policy=policy))
    world.drive(minutes=11)
    assert world.endpoints.weights == {BLUE: 50, GREEN: 50}
    return world


def at_10() -> FakeWorld:
    world = FakeWorld()
    world.controller().start(order(name=GREEN))
    world.controller().tick()
    assert world.endpoints.weights == {BLUE: 90, GREEN: 10}
    return world


def test_an_older_put_that_lands_late_is_written_over_and_counted() -> None:
    world = at_50()
    world.endpoints.weights = {BLUE: 90, GREEN: 10}
    result = world.controller().tick()
    assert world.endpoints.weights == {BLUE: 50, GREEN: 50}
    assert result.effects == ("reassert to churn-v1-0000 50, churn-v2-0001 50",)
    written = [r for r in world.controller().records() if r.evidence.get("code") == "reassert"]
    assert "an update was lost" in written[0].evidence["reason"]


def test_an_update_lost_at_once_is_seen_by_the_read_back() -> None:
    world = FakeWorld()
    world.endpoints.lose_writes = 2
    world.controller().start(order(name=GREEN))
    world.controller().tick()
    assert world.endpoints.weights == {BLUE: 90, GREEN: 10}
    done = [r.evidence for r in world.controller().records() if r.evidence.get("writes")]
    assert [evidence["writes"] for evidence in done] == [3]


def test_an_update_lost_right_after_the_first_shift_is_not_taken_for_a_persons_way_back() -> None:
    world = at_10()
    world.real += 20
    world.endpoints.weights = {BLUE: 100}
    world.controller().tick()
    assert world.endpoints.weights == {BLUE: 90, GREEN: 10}
    world.endpoints.weights = {BLUE: 100}
    result = world.controller().tick()
    assert result.phase is Phase.ROLLED_BACK, "twice is not an accident"
    assert world.endpoints.weights == {BLUE: 100}


@pytest.mark.parametrize("make", [at_10, at_50])
def test_a_person_who_sends_all_traffic_to_blue_ends_the_rollout(make: object) -> None:
    world = make()  # type: ignore[operator]
    world.advance(3)
    world.endpoints.weights = {BLUE: 100}
    result = world.controller().tick()
    assert result.phase is Phase.ROLLED_BACK
    view = world.controller().status()
    assert view.external
    assert view.weights == {BLUE: 100}
    assert "somebody sent all traffic back" in view.reason
    assert result.effects == ()


def test_somebody_who_keeps_writing_is_not_fought_for_ever() -> None:
    world = at_50()
    for _ in range(3):
        world.endpoints.weights = {BLUE: 90, GREEN: 10}
        world.controller().tick()
        assert world.endpoints.weights == {BLUE: 50, GREEN: 50}
    world.endpoints.weights = {BLUE: 90, GREEN: 10}
    assert world.controller().tick().condition is Condition.PAGED
    assert world.endpoints.weights == {BLUE: 90, GREEN: 10}


@pytest.mark.parametrize("weights", [{BLUE: 70, GREEN: 30}, {GREEN: 100}, {}, {BLUE: 50, "other": 50}])
def test_any_other_weights_are_left_alone_and_a_person_is_called(weights: dict[str, int]) -> None:
    world = at_50()
    world.endpoints.weights = dict(weights)
    result = world.controller().tick()
    assert result.condition is Condition.PAGED
    assert "somebody else moves traffic" in result.reason
    for _ in range(20):
        world.advance()
        world.controller().tick()
    assert world.endpoints.weights == weights
    world.controller("oncall").resume("it was me, go on")
    world.controller().tick()
    assert world.endpoints.weights == {BLUE: 50, GREEN: 50}


def test_an_abort_goes_to_blue_from_wherever_traffic_was_moved() -> None:
    world = at_50()
    world.endpoints.weights = {BLUE: 20, GREEN: 80}
    world.controller().tick()
    assert world.controller("oncall").abort("stop").phase is Phase.ROLLED_BACK
    assert world.endpoints.weights == {BLUE: 100}


def test_weights_that_change_between_reading_and_writing_are_not_overwritten() -> None:
    world = FakeWorld()
    world.controller().start(order(name=GREEN))
    probe = world.prober.probe

    def meanwhile(deployment: str, requests: int, timeout_ms: int) -> object:
        world.endpoints.add("other", "churn:3")
        world.endpoints.weights = {BLUE: 60, "other": 40}
        return probe(deployment, requests, timeout_ms)

    world.prober.probe = meanwhile  # type: ignore[method-assign, assignment]
    world.controller().tick()
    assert world.controller().tick().condition is Condition.PAGED
    assert world.endpoints.weights == {BLUE: 60, "other": 40}


class TestAServiceThatFails:
    def test_a_shift_that_cannot_be_written_is_held_and_done_later(self) -> None:
        world = FakeWorld()
        world.controller().start(order(name=GREEN))
        world.down = {"set_weights"}
        result = world.controller().tick()
        assert (result.condition, result.phase) == (Condition.HELD, Phase.SHIFTING)
        assert world.controller().status().pending == "shift to churn-v1-0000 90, churn-v2-0001 10"
        world.advance(5)
        world.down = set()
        world.controller("bob").tick()
        assert world.endpoints.weights[GREEN] == 10
        assert sum(count for what, count in world.endpoints.done.items() if what.startswith("weights")) == 1

    def test_a_shift_that_never_can_is_given_up_after_the_longest_hold(self) -> None:
        world = FakeWorld()
        world.controller().start(order(name=GREEN))
        world.down = {"set_weights"}
        result = world.drive()
        assert result.phase is Phase.FAILED
        assert "no traffic was on" in result.reason
        assert world.endpoints.weights == {BLUE: 100}

    def test_a_green_that_fails_while_its_next_shift_is_stuck_goes_back(self) -> None:
        world = at_50()
        world.drive(minutes=8)
        world.endpoints.done.clear()
        set_weights = world.endpoints.set_weights

        def only_back(weights: dict[str, int], still_ours: Callable[[], None]) -> None:
            if BLUE not in weights:
                raise Unavailable("409")
            set_weights(weights, still_ours)

        world.endpoints.set_weights = only_back  # type: ignore[method-assign, assignment]
        assert world.drive(minutes=5).condition is Condition.HELD
        world.behaviours[GREEN] = Behaviour(error_rate=0.5)
        result = world.drive(minutes=5)
        assert result.phase is Phase.ROLLED_BACK
        assert world.controller().status().at_weight == 50

    def test_the_way_back_is_tried_until_it_works_and_wakes_somebody_up(self) -> None:
        world = at_50()
        world.behaviours[GREEN] = Behaviour(error_rate=0.5)
        world.down = {"set_weights"}
        result = world.drive(minutes=60)
        assert (result.phase, result.condition) == (Phase.ROLLING_BACK, Condition.PAGED)
        assert world.announcer.events.count("Rollouts.Paged") == 1
        world.down = set()
        assert world.drive(minutes=2).phase is Phase.ROLLED_BACK
        assert world.endpoints.weights == {BLUE: 100}

    def test_an_abort_during_a_stuck_deployment_leaves_it_undone(self) -> None:
        world = FakeWorld()
        world.controller().start(order(name=GREEN))
        world.down = {"deploy"}
        assert world.controller().tick().condition is Condition.HELD
        assert world.controller("oncall").abort("not today").phase is Phase.ROLLED_BACK
        assert GREEN not in world.endpoints.deployments

    def test_an_endpoint_that_cannot_be_read_pages_in_the_end(self) -> None:
        world = at_50()
        world.down = {"live"}
        assert world.drive(minutes=5).condition is Condition.HELD
        assert world.drive(minutes=40).condition is Condition.PAGED
        assert world.controller().status().live_weights is None

    def test_an_endpoint_that_is_updating_is_waited_for(self) -> None:
        world = at_50()
        world.endpoints.provisioning_state = "Updating"
        assert world.controller().tick().condition is Condition.HELD
        world.endpoints.provisioning_state = "Succeeded"
        world.advance()
        assert world.controller().tick().condition is Condition.GOING

    def test_a_shift_that_is_refused_goes_back(self) -> None:
        world = at_50()
        world.drive(minutes=8)
        healthy = world.endpoints.set_weights

        def refuse(weights: dict[str, int], still_ours: Callable[[], None]) -> None:
            if weights.get(GREEN) == 100:
                world.endpoints.break_state(GREEN, "Failed")
            healthy(weights, still_ours)

        world.endpoints.set_weights = refuse  # type: ignore[method-assign, assignment]
        result = world.drive(minutes=5)
        assert result.phase is Phase.ROLLED_BACK
        assert world.endpoints.weights == {BLUE: 100}

    def test_when_holding_ends_in_a_page_a_stuck_deployment_pages(self) -> None:
        world = FakeWorld()
        policy = RolloutPolicy(verdicts=VerdictPolicy(after_longest_hold=VerdictAction.PAGE))
        world.controller().start(order(name=GREEN, policy=policy))
        world.down = {"deploy"}
        assert world.drive(minutes=40).condition is Condition.PAGED
        world.down = set()
        world.controller("oncall").resume("quota was raised")
        world.controller().tick()
        assert world.endpoints.weights[GREEN] == 10

    def test_a_topic_that_is_down_stops_nothing_and_is_told_later(self) -> None:
        world = FakeWorld()
        world.announcer.broken = True
        world.controller().start(order(name=GREEN))
        world.drive(minutes=11)
        assert world.endpoints.weights[GREEN] == 50
        world.announcer.broken = False
        world.controller().tick()
        assert world.announcer.events == ["Rollouts.Started", "Rollouts.Shifted", "Rollouts.Shifted"]
        ids = [data["id"] for _, data in world.announcer.told]
        assert len(set(ids)) == 3

    def test_weights_go_back_before_anybody_is_told(self) -> None:
        """A topic that hangs must not keep traffic on a bad green."""
        world = at_50()
        world.behaviours[GREEN] = Behaviour(error_rate=0.5)
        world.advance(3)
        weights_when_told: list[dict[str, int]] = []
        announce = world.announcer.announce

        def slow(event_type: str, subject: str, data: object) -> None:
            weights_when_told.append(dict(world.endpoints.weights))
            announce(event_type, subject, data)  # type: ignore[arg-type]

        world.announcer.announce = slow  # type: ignore[method-assign, assignment]
        world.controller().tick()
        assert weights_when_told == [{BLUE: 100}, {BLUE: 100}]
        assert world.announcer.events[-2:] == ["Rollouts.RollingBack", "Rollouts.RolledBack"]

    def test_a_journal_that_cannot_be_read_stops_before_anything_is_done(self) -> None:
        world = at_50()
        done = dict(world.endpoints.done)
        world.down = {"read"}
        with pytest.raises(Unavailable):
            world.controller().tick()
        assert world.endpoints.done == done
        assert world.store.holder_number is None


def test_a_controller_that_lost_its_lease_while_it_waited_to_write_writes_nothing() -> None:
    """The endpoint was Updating for minutes; meanwhile another controller took over and may have gone back."""
    world = FakeWorld()
    world.controller().start(order(name=GREEN))
    set_weights = world.endpoints.set_weights

    def after_a_long_wait(weights: dict[str, int], still_ours: Callable[[], None]) -> None:
        world.store.expire()
        world.store.acquire("another")
        set_weights(weights, still_ours)

    world.endpoints.set_weights = after_a_long_wait  # type: ignore[method-assign, assignment]
    with pytest.raises(Busy, match="lease was lost"):
        world.controller().tick()
    assert world.endpoints.weights == {BLUE: 100}


class TestAnEndpointDeletedByHand:
    def test_it_is_held_then_paged_and_a_person_can_end_it(self) -> None:
        world = at_50()
        world.endpoints.deleted = True
        result = world.drive(minutes=70)
        assert (result.condition, result.finished) == (Condition.PAGED, False)
        assert "there is no endpoint" in result.reason
        assert world.controller().status().live_weights is None
        assert world.controller("bob").abort("the endpoint was deleted").phase is Phase.FAILED
        assert world.controller("bob").tick().finished  # and what was left of it is no error either

    def test_made_again_it_is_free_for_a_new_rollout_once_the_old_one_is_ended_by_force(self) -> None:
        world = at_50()
        world.endpoints.deployments.clear()
        world.endpoints.weights = {}
        assert "rollback --force" in world.controller("bob").abort("made anew").reason
        result = world.controller("bob").abort("made anew", force=True)
        assert result.phase is Phase.FAILED
        assert "traffic stands at no traffic" in result.reason
        world.controller().start(order(name="churn-v2-0002"))
