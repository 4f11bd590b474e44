"""The smoke test's verdict: green alone, pinned by header, before it takes live traffic. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from contract.policy import SmokePolicy
from rollout.analysis.verdict import Check, Verdict, combine
from rollout.controller.ports import ProbeResult

#: The requests' time-out: a little over the limit, so that slow is told from silent.
TIMEOUT_FACTOR = 2.5


def timeout_ms(policy: SmokePolicy) -> int:
    """How long one smoke request may take before it counts as unanswered."""
    return math.ceil(policy.max_p95_ms * TIMEOUT_FACTOR)


def judge(results: Sequence[ProbeResult], policy: SmokePolicy) -> tuple[Check, ...]:
    """Answers with 200, their form, and their P95; one NO_DATA check when nothing was sent."""
    if not results:
        return (Check("smoke", Verdict.NO_DATA, "no request was sent"),)
    checks = (_answers(results, policy), _form(results, policy), _latency(results, policy))
    if len(results) < policy.requests and combine(checks) is Verdict.PASS:
        detail = f"{len(results)} of {policy.requests} requests were sent"
        return (*checks, Check("smoke", Verdict.INSUFFICIENT_DATA, detail))
    return checks


def p95(milliseconds: Sequence[float]) -> float:
    """The 95th percentile, nearest rank; ValueError without values."""
    if not milliseconds:
        raise ValueError("p95 of no values")
    ordered = sorted(milliseconds)
    return ordered[math.ceil(0.95 * len(ordered)) - 1]


def _answers(results: Sequence[ProbeResult], policy: SmokePolicy) -> Check:
    good = sum(result.status == 200 for result in results)
    share = good / len(results)
    figures = {"requests": len(results), "ok": good, "success_rate": round(share, 6)}
    detail = f"{good} of {len(results)} answered 200 (least: {policy.min_success_rate:.0%})"
    if share >= policy.min_success_rate:
        return Check("answers", Verdict.PASS, detail, figures)
    return Check("answers", Verdict.FAIL, f"{detail}; {_causes(results)}", figures)


def _form(results: Sequence[ProbeResult], policy: SmokePolicy) -> Check:
    answered = [result for result in results if result.status == 200]
    if not answered:
        return Check("format", Verdict.NO_DATA, "no answer to look at")
    good = sum(result.well_formed for result in answered)
    detail = f"{good} of {len(answered)} answers have the expected form"
    verdict = Verdict.PASS if good / len(answered) >= policy.min_success_rate else Verdict.FAIL
    if verdict is Verdict.FAIL:
        detail += "; " + next((result.detail for result in answered if not result.well_formed and result.detail), "")
    return Check("format", verdict, detail.rstrip("; "), {"answers": len(answered), "well_formed": good})


def _latency(results: Sequence[ProbeResult], policy: SmokePolicy) -> Check:
    """Over all requests: one that was never answered is not a fast one."""
    value = p95([math.inf if result.status == 0 else result.milliseconds for result in results])
    detail = f"P95 {'over the time-out' if math.isinf(value) else f'{value:.0f} ms'} (limit: {policy.max_p95_ms:g} ms)"
    verdict = Verdict.PASS if value < policy.max_p95_ms else Verdict.FAIL
    return Check("P95 latency", verdict, detail, {"p95_ms": None if math.isinf(value) else round(value, 3)})


def _causes(results: Sequence[ProbeResult]) -> str:
    """The commonest ways to fail, most frequent first."""
    failed = [result for result in results if result.status != 200]
    statuses = Counter("no answer" if result.status == 0 else f"HTTP {result.status}" for result in failed)
    text = ", ".join(f"{count} x {name}" for name, count in statuses.most_common(3))
    detail = next((result.detail for result in failed if result.detail), "")
    return f"{text}: {detail}" if detail else text
