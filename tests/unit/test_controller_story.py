"""What an ML engineer and the one on call see of a rollout, from start to end, and what goes wrong between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from contract.policy import RolloutPolicy, SmokePolicy, VerdictAction, VerdictPolicy
from rollout.analysis.verdict import Verdict
from rollout.controller.state import Condition, Phase
from rollout.controller.views import error_for
from rollout.errors import BadInput, Busy, GateFailed, NotFound, OnHold, RolledBack, Unavailable
from tests.unit.world import BLUE, GREEN, MINUTE, START, Behaviour, FakeWorld, order

PAGING = RolloutPolicy(verdicts=VerdictPolicy(after_longest_hold=VerdictAction.PAGE))


def started(policy: RolloutPolicy | None = None, *, ticks: int = 1, **world_options: object) -> FakeWorld:
    """A rollout whose green takes its first 10 %."""
    world = FakeWorld(**world_options)  # type: ignore[arg-type]
    world.controller().start(order(name=GREEN, policy=policy))
    for _ in range(ticks):
        world.controller().tick()
    return world


def spoil(world: FakeWorld, error_rate: float = 0.3, p95_ms: float = 40.0) -> None:
    world.behaviours[GREEN] = Behaviour(error_rate=error_rate, p95_ms=p95_ms)


class TestTheWayForward:
    def test_a_healthy_green_goes_10_50_100_and_blue_is_kept(self) -> None:
        world = started()
        assert world.endpoints.weights == {BLUE: 90, GREEN: 10}
        seen = {10}
        while not (result := world.drive(minutes=1)).finished:
            seen.add(world.endpoints.weights[GREEN])
        assert seen == {10, 50, 100}
        assert (world.time - START) / MINUTE - 30 == pytest.approx(30, abs=1)
        assert result.phase is Phase.PROMOTED
        assert BLUE in world.endpoints.deployments
        view = world.controller().status()
        assert view.title == "Promoted"
        assert error_for(view) is None
        assert view.next_at == world.time + timedelta(hours=24)

    def test_ticking_twice_in_the_same_minute_changes_nothing(self) -> None:
        world = started()
        before, done = world.store.data, dict(world.endpoints.done)
        world.controller().tick()
        assert world.endpoints.done == done
        assert world.store.data == before

    def test_blue_is_deleted_only_after_it_was_kept_and_only_without_traffic(self) -> None:
        world = started()
        world.drive()
        world.time += timedelta(hours=23)
        world.controller().tick()
        assert BLUE in world.endpoints.deployments
        world.endpoints.weights = {BLUE: 5, GREEN: 95}
        world.time += timedelta(hours=2)
        world.controller().tick()
        assert BLUE in world.endpoints.deployments, "somebody gave it traffic"
        world.endpoints.weights = {GREEN: 100}
        world.controller().tick()
        assert BLUE not in world.endpoints.deployments
        assert world.controller().tick().next_at is None

    def test_green_is_the_next_rollouts_blue(self) -> None:
        world = started()
        world.drive()
        view = world.controller("bob").start(order("churn:3"))
        assert view.blue == GREEN
        assert [old.title for old in world.controller().history()] == ["Promoted", "Planned"]

    def test_the_first_deployment_of_an_endpoint_gets_everything_after_its_smoke_test(self) -> None:
        world = FakeWorld(blue=False)
        world.controller().start(order("churn:1", name=BLUE))
        result = world.controller().tick()
        assert result.phase is Phase.PROMOTED
        assert world.endpoints.weights == {BLUE: 100}
        assert world.controller().status().steps == (100,)
        with pytest.raises(BadInput, match="first deployment"):
            world.controller().abort("no")


class TestBadGreens:
    def test_errors_send_it_back_within_minutes_with_the_evidence(self) -> None:
        world = started()
        spoil(world)
        result = world.drive()
        assert result.phase is Phase.ROLLED_BACK
        assert world.endpoints.weights == {BLUE: 100}
        assert (world.time - START) / MINUTE - 30 <= 3
        view = world.controller().status()
        assert view.at_weight == 10
        assert "errors against blue" in view.reason
        assert isinstance(error_for(view), RolledBack)
        back = next(r for r in world.controller().records() if r.evidence.get("action") == "roll_back")
        assert back.evidence["green_requests"] == 60
        assert back.evidence["green_errors"] > 10

    def test_slowness_sends_it_back_after_the_whole_window(self) -> None:
        world = started()
        spoil(world, error_rate=0.0, p95_ms=3500)
        result = world.drive()
        assert result.phase is Phase.ROLLED_BACK
        assert "P95" in result.reason
        assert 5 <= (world.time - START) / MINUTE - 30 <= 7

    def test_silence_is_not_health(self) -> None:
        """No metrics: held, and after the longest hold sent back."""
        world = started()
        world.behaviours[GREEN] = Behaviour(silent=True)
        for _ in range(12):
            world.drive(minutes=1)
        view = world.controller().status()
        assert (view.condition, view.verdict, view.title) == (Condition.HELD, Verdict.NO_DATA, "Held at Baking 10 %")
        assert isinstance(error_for(view), OnHold)
        assert world.endpoints.weights[GREEN] == 10
        assert world.drive().phase is Phase.ROLLED_BACK
        assert (world.time - START) / MINUTE - 30 == 40

    def test_metrics_that_do_not_answer_are_no_evidence_and_no_verdict(self) -> None:
        world = started()
        world.advance(9)
        world.down = {"metrics"}
        world.advance(3)
        world.controller().tick()
        view = world.controller().status()
        assert (view.condition, view.verdict) == (Condition.HELD, Verdict.PROVIDER_ERROR)
        world.down = set()
        world.drive(minutes=2)
        assert world.endpoints.weights[GREEN] == 50, "it goes on by itself"

    def test_too_few_requests_hold_until_there_are_enough(self) -> None:
        policy = RolloutPolicy(min_requests=100)
        world = started(policy, requests_per_minute=50)
        for _ in range(12):
            world.drive(minutes=1)
        assert world.controller().status().verdict is Verdict.INSUFFICIENT_DATA
        for _ in range(12):
            world.drive(minutes=1)
        assert world.endpoints.weights[GREEN] == 50

    def test_a_failed_smoke_test_moves_no_traffic(self) -> None:
        world = FakeWorld()
        spoil(world, error_rate=0.2)
        world.controller().start(order(name=GREEN))
        result = world.controller().tick()
        assert result.phase is Phase.FAILED
        assert "32 of 40 answered 200" in result.reason
        assert f"stands at {BLUE} 100" in result.reason
        assert not any(what.startswith("weights") for what in world.endpoints.done)
        assert isinstance(error_for(world.controller().status()), GateFailed)

    def test_a_smoke_test_that_can_wait_is_repeated(self) -> None:
        policy = RolloutPolicy(verdicts=VerdictPolicy(failed=VerdictAction.HOLD), smoke=SmokePolicy(requests=10))
        world = FakeWorld()
        spoil(world, error_rate=0.5)
        world.controller().start(order(name=GREEN, policy=policy))
        world.drive(minutes=3)
        assert world.controller().status().title == "Held at Smoking"
        spoil(world, error_rate=0.0)
        world.drive(minutes=2)
        assert world.endpoints.weights[GREEN] == 10

    def test_a_failed_deployment_says_why_and_where_traffic_stands(self) -> None:
        world = FakeWorld()
        world.behaviours[GREEN] = Behaviour(fails_to_deploy="ModuleNotFoundError: xgboost")
        world.controller().start(order(name=GREEN))
        result = world.controller().tick()
        assert result.phase is Phase.FAILED
        assert "ModuleNotFoundError: xgboost; traffic stands at" in result.reason
        view = world.controller("bob").start(order("churn:3"))
        assert view.phase is Phase.PLANNED, "a failed rollout does not block the next"

    def test_green_that_is_deleted_under_way_is_a_failure(self) -> None:
        world = started()
        world.endpoints.break_state(GREEN, "Failed")
        assert world.drive().phase is Phase.ROLLED_BACK


class TestWhereTrafficGoesBackTo:
    def test_when_both_fail_alike_nobody_is_sent_to_and_fro(self) -> None:
        """A shared outage: green breaks a window, blue the same one at the same time."""
        world = started()
        world.behaviours[GREEN] = world.behaviours[BLUE] = Behaviour(error_rate=0.4)
        result = world.drive(minutes=25)
        assert (result.phase, result.condition) == (Phase.BAKING, Condition.PAGED)
        assert world.endpoints.weights == {BLUE: 90, GREEN: 10}
        assert "blue's is broken as well" in result.reason
        assert world.announcer.events.count("Rollouts.Paged") == 1

    def test_blue_that_died_meanwhile_gets_no_traffic_but_a_page(self) -> None:
        world = started()
        world.drive(minutes=22)
        assert world.endpoints.weights == {GREEN: 100}
        spoil(world)
        world.behaviours[BLUE] = Behaviour(error_rate=1.0)
        result = world.drive(minutes=12)
        assert (result.condition, world.endpoints.weights) == (Condition.PAGED, {GREEN: 100})
        assert "not better than green" in result.reason
        world.behaviours[BLUE] = Behaviour()
        assert world.drive(minutes=2).phase is Phase.ROLLED_BACK, "blue is well again"

    def test_a_blue_that_is_not_well_but_better_takes_traffic_back(self) -> None:
        world = started()
        world.drive(minutes=22)
        spoil(world, error_rate=0.9)
        world.behaviours[BLUE] = Behaviour(error_rate=0.2)
        assert world.drive(minutes=12).phase is Phase.ROLLED_BACK

    def test_force_goes_back_whatever_blue_says(self) -> None:
        world = started()
        world.behaviours[BLUE] = Behaviour(error_rate=1.0)
        assert world.controller().abort("looks odd").condition is Condition.PAGED
        assert world.controller().abort("I know", force=True).phase is Phase.ROLLED_BACK
        assert world.endpoints.weights == {BLUE: 100}

    def test_a_setting_lets_it_go_back_to_a_bad_blue(self) -> None:
        policy = RolloutPolicy(verdicts=VerdictPolicy(bad_rollback_target=VerdictAction.ROLL_BACK))
        world = started(policy)
        world.behaviours[BLUE] = Behaviour(error_rate=1.0)
        assert world.controller().abort("go").phase is Phase.ROLLED_BACK

    def test_blue_that_is_gone_is_a_page(self) -> None:
        world = started()
        world.drive(minutes=22)
        del world.endpoints.deployments[BLUE]
        result = world.controller().abort("go back")
        assert result.condition is Condition.PAGED
        assert "does not exist any more" in result.reason

    def test_when_blue_cannot_be_asked_it_is_still_the_lesser_risk(self) -> None:
        world = started()
        world.down = {"probe"}
        spoil(world)
        result = world.drive()
        assert result.phase is Phase.ROLLED_BACK
        assert "could not be asked" in result.reason


class TestPeople:
    def test_an_abort_at_any_moment_wins(self) -> None:
        for minutes in range(32):
            world = started(ticks=0)
            if minutes:
                world.drive(minutes=minutes)
            result = world.controller("oncall").abort("customers complain")
            assert result.phase is Phase.ROLLED_BACK, minutes
            assert world.endpoints.weights == {BLUE: 100}
            assert "oncall: customers complain" in result.reason

    def test_a_promoted_rollout_goes_back_while_blue_is_kept(self) -> None:
        world = started()
        world.drive()
        assert world.controller("oncall").abort("complaints").phase is Phase.ROLLED_BACK
        assert world.endpoints.weights == {BLUE: 100}
        world.time += timedelta(hours=25)
        world.controller().tick()
        assert set(world.endpoints.deployments) == {BLUE}, "green is what is left over now"
        with pytest.raises(BadInput, match="RolledBack already"):
            world.controller().abort("again")

    def test_two_approvals_by_two_others_let_it_shift(self) -> None:
        world = started(RolloutPolicy(approvers_required=2))
        assert world.controller().status().title == "AwaitingApproval"
        assert world.endpoints.weights == {BLUE: 100}
        with pytest.raises(BadInput, match="ann started"):
            world.controller("ann").approve("ann")
        assert world.controller("bob").approve("bob", "looks fine").approvals_missing == 1
        assert world.controller("bob").approve("bob").approvals_missing == 1, "the same person counts once"
        world.drive(minutes=2)
        assert world.endpoints.weights == {BLUE: 100}
        world.controller("cas").approve("cas")
        world.controller().tick()
        assert world.endpoints.weights[GREEN] == 10
        assert world.announcer.events.count("Rollouts.ApprovalNeeded") == 1

    def test_an_approval_nobody_asked_for_is_refused(self) -> None:
        with pytest.raises(BadInput, match="needs no approval"):
            started().controller("bob").approve("bob")

    def test_a_page_waits_for_a_person_and_resume_goes_on(self) -> None:
        world = started(PAGING)
        world.behaviours[GREEN] = Behaviour(silent=True)
        assert world.drive(minutes=45).condition is Condition.PAGED
        world.behaviours[GREEN] = Behaviour()
        assert world.drive(minutes=20).condition is Condition.PAGED, "a page does not end by itself"
        assert world.endpoints.weights[GREEN] == 10
        assert world.controller("oncall").resume("metrics are back").condition is Condition.GOING
        assert world.drive(minutes=12).phase is Phase.BAKING
        assert world.endpoints.weights[GREEN] == 50

    def test_a_paged_rollout_still_goes_back_when_green_fails(self) -> None:
        world = started(PAGING)
        world.behaviours[GREEN] = Behaviour(silent=True)
        assert world.drive(minutes=45).condition is Condition.PAGED
        spoil(world)
        assert world.drive(minutes=5).phase is Phase.ROLLED_BACK

    def test_nothing_to_resume(self) -> None:
        with pytest.raises(BadInput, match="neither held nor paged"):
            started().controller().resume("why not")


class TestRefusals:
    def test_a_second_rollout_on_a_busy_endpoint_names_the_first_and_its_holder(self) -> None:
        world = started()
        with pytest.raises(Busy, match=r"of churn:2 \(Baking 10 %\), started by ann, last driven by ann"):
            world.controller("bob").start(order("churn:3"))

    def test_nothing_is_written_when_a_start_is_refused(self) -> None:
        world = FakeWorld()
        for bad, error in (("churn:99", NotFound), ("churn:2", BadInput)):
            if error is BadInput:
                world.endpoints.weights = {BLUE: 50, "other": 50}
            with pytest.raises(error):
                world.controller().start(order(bad))
        assert world.store.data == b""
        assert world.store.holder_number is None

    def test_gates_that_can_see_nothing_are_refused_unless_told_otherwise(self) -> None:
        world = FakeWorld(requests_per_minute=2)
        with pytest.raises(BadInput, match=r"step 10 %: min_requests = 20 takes 100 min") as refusal:
            world.controller().start(order(name=GREEN))
        assert "--allow-blind" in refusal.value.way_out
        world.controller().start(order(name=GREEN, allow_blind=True))

    def test_an_endpoint_without_traffic_shows_nothing(self) -> None:
        world = FakeWorld(requests_per_minute=0)
        with pytest.raises(BadInput, match="no traffic"):
            world.controller().start(order())

    def test_the_twenty_first_deployment(self) -> None:
        world = FakeWorld()
        for number in range(19):
            world.endpoints.add(f"old-{number}", "churn:1")
        with pytest.raises(BadInput, match="20 deployments") as refusal:
            world.controller().start(order())
        assert "old-0" in refusal.value.way_out
        assert BLUE not in refusal.value.way_out

    def test_an_endpoint_that_is_updating(self) -> None:
        world = FakeWorld()
        world.endpoints.provisioning_state = "Updating"
        with pytest.raises(Unavailable, match="is Updating"):
            world.controller().start(order())

    def test_status_of_an_endpoint_that_never_had_a_rollout(self) -> None:
        with pytest.raises(NotFound, match="no rollout was ever started"):
            FakeWorld().controller().status()
        assert FakeWorld().controller().history() == ()
