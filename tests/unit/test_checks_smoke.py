"""The smoke test's verdict: green alone, before anybody's request depends on it."""

from __future__ import annotations

import pytest

from contract.policy import SmokePolicy
from rollout.analysis.verdict import Verdict, combine
from rollout.checks.smoke import judge, p95, timeout_ms
from rollout.controller.ports import ProbeResult

POLICY = SmokePolicy(requests=40)
GOOD = ProbeResult(200, 50.0, True)


def with_bad(bad: ProbeResult, count: int) -> list[ProbeResult]:
    return [bad] * count + [GOOD] * (40 - count)


def test_forty_good_answers_pass() -> None:
    checks = judge([GOOD] * 40, POLICY)
    assert {check.name: check.verdict for check in checks} == dict.fromkeys(
        ("answers", "format", "P95 latency"), Verdict.PASS
    )


@pytest.mark.parametrize(("errors", "verdict"), [(2, Verdict.PASS), (3, Verdict.FAIL), (40, Verdict.FAIL)])
def test_95_percent_have_to_answer_200(errors: int, verdict: Verdict) -> None:
    checks = judge(with_bad(ProbeResult(500, 50.0, False, "KeyError: 'tenure'"), errors), POLICY)
    assert combine(checks) is verdict
    if verdict is Verdict.FAIL:
        assert checks[0].detail.endswith(f"{errors} x HTTP 500: KeyError: 'tenure'")


def test_answers_of_another_form_fail() -> None:
    checks = judge(with_bad(ProbeResult(200, 50.0, False, "39 predictions for 40 rows"), 5), POLICY)
    assert {check.name for check in checks if check.verdict is Verdict.FAIL} == {"format"}
    assert "39 predictions for 40 rows" in checks[1].detail


def test_slow_answers_fail() -> None:
    checks = judge(with_bad(ProbeResult(200, 2500.0, True), 3), POLICY)
    assert {check.name for check in checks if check.verdict is Verdict.FAIL} == {"P95 latency"}
    assert checks[2].figures["p95_ms"] == 2500.0


def test_a_request_that_is_never_answered_is_not_a_fast_one() -> None:
    checks = judge(with_bad(ProbeResult(0, 1.0, False), 3), POLICY)
    assert {check.name for check in checks if check.verdict is Verdict.FAIL} == {"answers", "P95 latency"}
    assert "3 x no answer" in checks[0].detail
    assert "over the time-out" in checks[2].detail


def test_no_requests_are_no_data_and_too_few_insufficient() -> None:
    assert combine(judge([], POLICY)) is Verdict.NO_DATA
    assert combine(judge([GOOD] * 39, POLICY)) is Verdict.INSUFFICIENT_DATA
    assert combine(judge([ProbeResult(500, 1.0, False)] * 10, POLICY)) is Verdict.FAIL


def test_the_limits() -> None:
    assert timeout_ms(POLICY) == 5000
    assert p95([float(value) for value in range(1, 101)]) == 95.0
    with pytest.raises(ValueError, match="no values"):
        p95([])
