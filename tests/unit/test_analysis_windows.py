"""Fixed windows, latency, requests and the plan: what operators set, and what thin or late data does to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.policy import RolloutPolicy, SequentialPolicy, WindowPolicy
from rollout.analysis.assess import Observed, assess
from rollout.analysis.latency import compare
from rollout.analysis.plan import Traffic, make_plan, measure_traffic, minutes_to_see
from rollout.analysis.verdict import Check, Verdict, combine, leading
from rollout.analysis.windows import Sides, judge, lower_bound, rules_of
from rollout.controller.ports import MinuteSample
from tests.unit.world import MINUTE, START

ERRORS, AVAILABILITY, LATENCY = rules_of(WindowPolicy())


def series(
    name: str, cells: Sequence[tuple[int, int] | None], p95_ms: float | Sequence[float] = 50.0
) -> list[MinuteSample]:
    """A minute per cell: (requests, errors), or None for one that was not ingested."""
    latencies = [p95_ms] * len(cells) if isinstance(p95_ms, int | float) else list(p95_ms)
    return [
        MinuteSample(START + index * MINUTE, name, cell[0], cell[1], latencies[index] if cell[0] else None)
        for index, cell in enumerate(cells)
        if cell is not None
    ]


def judged(rule: object, green: list[MinuteSample], blue: Sequence[MinuteSample] = (), least: int = 20) -> Check:
    end = max((sample.minute for sample in green), default=START)
    return judge(rule, Sides(green, blue, START, end), least)  # type: ignore[arg-type]


class TestErrorRate:
    def test_five_bad_minutes_break_it_and_four_do_not(self) -> None:
        assert judged(ERRORS, series("g", [(60, 0)] * 3 + [(60, 4)] * 5)).verdict is Verdict.FAIL
        four = judged(ERRORS, series("g", [(60, 0)] * 3 + [(60, 4)] * 4))
        assert four.verdict is Verdict.INSUFFICIENT_DATA
        assert four.detail.endswith("broken for the last 4 of 5 min")

    def test_one_good_minute_ends_it(self) -> None:
        assert judged(ERRORS, series("g", [(60, 9)] * 4 + [(60, 0)])).verdict is Verdict.PASS

    def test_exactly_the_limit_is_kept(self) -> None:
        assert judged(ERRORS, series("g", [(60, 3)] * 6)).verdict is Verdict.PASS

    def test_minutes_that_are_not_ingested_yet_are_not_zero(self) -> None:
        """The window ends at the newest minute there is; the two that are missing are late, not healthy."""
        late = series("g", [(60, 9)] * 5 + [None, None])
        assert judged(ERRORS, late).verdict is Verdict.FAIL

    def test_a_window_that_is_not_full_breaks_nothing(self) -> None:
        assert judged(ERRORS, series("g", [(60, 60)] * 4)).verdict is Verdict.INSUFFICIENT_DATA

    def test_minutes_without_requests_say_nothing(self) -> None:
        assert judged(ERRORS, series("g", [(0, 0)] * 6)).verdict is Verdict.NO_DATA

    def test_thin_traffic_is_pooled(self) -> None:
        """Eight errors of thirty requests, two of five minutes empty: 27 % is over 5 % by more than chance."""
        empty_between = series("g", [(0, 0), (10, 3), (0, 0), (10, 2), (0, 0), (10, 3)])
        assert judged(ERRORS, empty_between).verdict is Verdict.FAIL
        one_lucky_minute = series("g", [(4, 2), (6, 3), (5, 0), (5, 2), (6, 2)])
        assert judged(ERRORS, one_lucky_minute).verdict is Verdict.FAIL

    def test_a_minute_that_is_missing_does_not_make_one_bad_minute_a_bad_window(self) -> None:
        assert judged(ERRORS, series("g", [(600, 0), (600, 400), None, (600, 0), (600, 0)])).verdict is Verdict.PASS

    def test_thin_traffic_with_an_unlucky_error_is_not_a_breach(self) -> None:
        unlucky = series("g", [(6, 0), (0, 0), (7, 2), (0, 0), (8, 0)])
        assert judged(ERRORS, unlucky).verdict is Verdict.PASS

    def test_when_every_one_of_a_handful_fails_that_is_enough(self) -> None:
        assert judged(ERRORS, series("g", [(1, 1)] * 5)).verdict is Verdict.FAIL

    def test_a_breach_that_may_be_chance_is_too_little(self) -> None:
        check = judged(ERRORS, series("g", [(10, 1)] * 5), least=100)
        assert check.verdict is Verdict.INSUFFICIENT_DATA
        assert "only 50 requests" in check.detail

    def test_blue_breaking_the_same_window_makes_it_shared(self) -> None:
        green, ill, well = (series(name, [(60, errors)] * 5) for name, errors in (("g", 20), ("b", 20), ("b", 0)))
        assert judged(ERRORS, green, ill).shared
        assert not judged(ERRORS, green, well).shared
        assert not judged(ERRORS, green, ill[:2] + well[2:]).shared, "blue has recovered"


def test_availability_needs_ten_minutes() -> None:
    assert judged(AVAILABILITY, series("g", [(200, 3)] * 10)).verdict is Verdict.FAIL
    assert judged(AVAILABILITY, series("g", [(200, 3)] * 9)).verdict is Verdict.INSUFFICIENT_DATA
    assert judged(AVAILABILITY, series("g", [(200, 2)] * 10)).verdict is Verdict.PASS


def test_p95_over_its_limit_for_five_minutes() -> None:
    slow = series("g", [(60, 0)] * 6, [50, 3001, 3001, 3001, 3001, 3001])
    assert judged(LATENCY, slow).verdict is Verdict.FAIL
    assert judged(LATENCY, slow[:5]).verdict is Verdict.INSUFFICIENT_DATA
    assert judged(LATENCY, series("g", [(60, 0)] * 6, 3000)).verdict is Verdict.PASS
    assert judged(LATENCY, slow).figures["worst_p95_ms"] == 3001


class TestAStep:
    def observed(self, green: list[MinuteSample], minutes: float, blue: Sequence[MinuteSample] = ()) -> Observed:
        return Observed(green, blue, START, START, START + minutes * MINUTE)

    def verdicts(self, observed: Observed, policy: RolloutPolicy | None = None) -> dict[str, Verdict]:
        return {check.name: check.verdict for check in assess(observed, policy or RolloutPolicy())}

    def test_nothing_seen_is_no_data(self) -> None:
        assert self.verdicts(self.observed([], 10)) == {"requests": Verdict.NO_DATA}

    def test_old_news_is_no_data(self) -> None:
        green = series("g", [(60, 0)] * 4)
        assert self.verdicts(self.observed(green, 8))["requests"] is Verdict.PASS
        assert self.verdicts(self.observed(green, 12))["requests"] is Verdict.NO_DATA

    def test_the_minute_that_still_runs_is_left_out(self) -> None:
        green = series("g", [(60, 0), (60, 60)])
        blue = series("b", [(540, 0)] * 2)
        assert combine(assess(self.observed(green, 1.5, blue), RolloutPolicy())) is Verdict.PASS
        assert combine(assess(self.observed(green, 2.0, blue), RolloutPolicy())) is Verdict.FAIL

    def test_the_comparison_trips_in_the_first_minute(self) -> None:
        found = self.verdicts(self.observed(series("g", [(60, 20)]), 1, series("b", [(540, 0)])))
        assert found["errors against blue"] is Verdict.FAIL
        assert found["error rate"] is Verdict.INSUFFICIENT_DATA

    def test_switched_off_or_with_nothing_to_compare_with_there_is_no_comparison(self) -> None:
        green, blue = series("g", [(60, 20)]), series("b", [(540, 0)])
        off = RolloutPolicy(sequential=SequentialPolicy(enabled=False))
        assert "errors against blue" not in self.verdicts(self.observed(green, 1, blue), off)
        assert "errors against blue" not in self.verdicts(self.observed(green, 1))

    def test_a_slower_green_is_sent_back_only_where_a_limit_is_set(self) -> None:
        green, blue = series("g", [(60, 0)] * 20, 160), series("b", [(540, 0)] * 20, 50)
        assert combine(assess(self.observed(green, 20, blue), RolloutPolicy())) is Verdict.PASS
        strict = RolloutPolicy(sequential=SequentialPolicy(tolerated_slowdown=2.0))
        assert self.verdicts(self.observed(green, 20, blue), strict)["P95 against blue"] is Verdict.FAIL
        assert self.verdicts(self.observed(green[:5], 5, blue), strict)["P95 against blue"] is Verdict.PASS


class TestVerdicts:
    @given(st.lists(st.sampled_from(list(Verdict)), max_size=6))
    def test_all_have_to_pass_and_one_failure_fails(self, verdicts: list[Verdict]) -> None:
        checks = [Check(str(number), verdict, "") for number, verdict in enumerate(verdicts)]
        found = combine(checks)
        assert (found is Verdict.PASS) == (bool(verdicts) and set(verdicts) == {Verdict.PASS})
        assert (found is Verdict.FAIL) == (Verdict.FAIL in verdicts)
        first = leading(checks)
        assert first is None or first.verdict is found
        assert [Check.from_json(check.to_json()) for check in checks] == checks

    def test_greens_own_failure_weighs_more_than_a_shared_one(self) -> None:
        shared, own = Check("a", Verdict.FAIL, "", shared=True), Check("b", Verdict.FAIL, "")
        assert leading([shared, own]) is own


@given(st.integers(1, 5000), st.floats(0, 1))
def test_the_lower_bound_is_below_the_share_and_rises_with_the_evidence(requests: int, share: float) -> None:
    errors = int(requests * share)
    bound = lower_bound(errors, requests)
    assert 0.0 <= bound <= errors / requests + 1e-12
    assert lower_bound(errors * 10, requests * 10) >= bound - 1e-12


def test_a_slow_green_with_little_traffic_is_seen_although_some_minutes_look_well() -> None:
    """Three requests a minute, two in five of them slow: now and then a minute has none of those."""
    slow = series("g", [(3, 0)] * 5, p95_ms=[3500, 40, 3500, 3500, 3500])
    assert judged(LATENCY, slow).verdict is Verdict.FAIL
    hiccup = series("g", [(3, 0)] * 5, p95_ms=[40, 40, 3500, 40, 40])
    assert judged(LATENCY, hiccup).verdict is Verdict.PASS


def test_latency_pairs_only_minutes_that_both_sides_have() -> None:
    green, blue = series("g", [(9, 0)] * 10, 100), series("b", [(90, 0)] * 4 + [None] * 3 + [(0, 0)] * 3, 50)
    result = compare(green, blue, 1.5, 0.01)
    assert (result.pairs, result.slower, result.ratio) == (4, 4, 2.0)
    assert not result.rejected
    assert compare([], blue, 1.5, 0.01).ratio is None


class TestThePlan:
    def test_the_rate_is_measured_over_the_minutes_that_had_traffic(self) -> None:
        traffic = measure_traffic(series("b", [None, (0, 0), (100, 1), None, (200, 2), (0, 0)]))
        assert (traffic.requests_per_minute, traffic.error_rate, traffic.minutes_seen) == (100.0, 0.01, 3)
        assert measure_traffic([]).requests_per_minute == 0.0

    def test_it_says_what_each_step_can_see_and_how_soon(self) -> None:
        plan = make_plan(RolloutPolicy(), Traffic(600, 0.001, 60))
        ten, _, hundred = plan.steps
        sights = {sight.regression: sight.minutes for sight in ten.sights}
        assert sights[0.95] == 1
        assert sights[0.05] is not None
        assert sights[0.05] <= 5
        assert sights[0.01] is None, "tolerated, so never seen"
        assert {sight.minutes for sight in hundred.sights if sight.minutes} == {
            5.0
        }, "no blue to compare with: windows only"
        assert plan.minutes == 30
        assert not plan.blind_steps

    def test_a_bigger_regression_or_more_traffic_is_seen_no_later(self) -> None:
        policy = SequentialPolicy()
        for rate in (30.0, 300.0, 3000.0):
            times = [minutes_to_see(r, 10, policy, Traffic(rate, 0.001, 60)) or 1e9 for r in (0.02, 0.05, 0.2, 0.9)]
            assert times == sorted(times, reverse=True)
        assert (minutes_to_see(0.05, 10, policy, Traffic(3000, 0.001, 60)) or 0) <= (
            minutes_to_see(0.05, 10, policy, Traffic(300, 0.001, 60)) or 0
        )

    @pytest.mark.parametrize(
        ("rate", "blind"), [(600, []), (4, [10]), (1, [10]), (0.1, [10, 50, 100]), (0, [10, 50, 100])]
    )
    def test_steps_that_can_see_nothing(self, rate: float, blind: list[int]) -> None:
        plan = make_plan(RolloutPolicy(), Traffic(rate, 0.0, 60))
        assert [step.weight for step in plan.blind_steps] == blind


def test_a_window_looks_no_further_back_than_the_shift() -> None:
    """Green was bad before a person resumed the rollout; what counts starts there."""
    resumed: datetime = START + timedelta(minutes=8)
    green = series("g", [(60, 50)] * 8 + [(60, 0)] * 2)
    observed = Observed(green, series("b", [(540, 0)] * 10), resumed, resumed, START + 10 * MINUTE)
    assert combine(assess(observed, RolloutPolicy())) is Verdict.PASS
