"""All checks of one step, from the minutes of green and blue. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contract.policy import RolloutPolicy, SequentialPolicy
from rollout.analysis import latency, sequential, windows
from rollout.analysis.verdict import Check, Verdict
from rollout.controller.ports import MinuteSample

#: Azure's metrics come late; evidence older than this says nothing about now.
STALE_AFTER = timedelta(minutes=6)


@dataclass(frozen=True, slots=True)
class Observed:
    """What was measured. `first_shift`: green's first live minute; `step_since`: start of this step."""

    green: Sequence[MinuteSample]
    blue: Sequence[MinuteSample]
    first_shift: datetime
    step_since: datetime
    now: datetime


def assess(observed: Observed, policy: RolloutPolicy) -> tuple[Check, ...]:
    """Requests seen, the fixed windows, and green against concurrent blue."""
    green = _complete(observed.green, observed.first_shift, observed.now)
    blue = _complete(observed.blue, observed.first_shift, observed.now)
    requests = requests_check(green, observed, policy.min_requests)
    seen = [sample.minute for sample in green]
    checks = [requests]
    if seen:
        sides = windows.Sides(green, blue, _floor(observed.first_shift), max(seen))
        checks += [windows.judge(rule, sides, policy.min_requests) for rule in windows.rules_of(policy.windows)]
    if policy.sequential.enabled and green:
        checks += sequential_checks(green, blue, _past(observed), policy.sequential)
    return tuple(checks)


def requests_check(green: Sequence[MinuteSample], observed: Observed, least: int) -> Check:
    """Whether green was seen at all in this step, lately, and often enough."""
    step = [sample for sample in green if sample.minute >= _floor(observed.step_since) and sample.requests > 0]
    count = sum(sample.requests for sample in step)
    figures: dict[str, float | int | str | None] = {"requests": count, "minutes": len(step), "least": least}
    if not step:
        return Check("requests", Verdict.NO_DATA, "no request of green seen in this step", figures)
    age = observed.now - step[-1].minute
    figures["newest"] = step[-1].minute.isoformat()
    if age > STALE_AFTER:
        detail = f"the newest request of green was seen {age.total_seconds() / 60:.0f} min ago"
        return Check("requests", Verdict.NO_DATA, detail, figures)
    if count < least:
        return Check("requests", Verdict.INSUFFICIENT_DATA, f"{count} of {least} requests seen", figures)
    return Check("requests", Verdict.PASS, f"{count} requests seen (least: {least})", figures)


def sequential_checks(
    green: Sequence[MinuteSample],
    blue: Sequence[MinuteSample],
    past_blue: tuple[int, int],
    policy: SequentialPolicy,
) -> list[Check]:
    """Green against blue: error rates, and P95 where a slowdown limit is set. Nothing to compare with, no check."""
    blocks = blocks_of(green, blue)
    if not blocks:
        return []
    result = sequential.run_test(blocks, policy.tolerated_increase, policy.false_rollback_budget, past_blue)
    checks = [_errors_check(result, policy)]
    if policy.tolerated_slowdown is not None:
        checks.append(_latency_check(green, blue, policy.tolerated_slowdown, policy.false_rollback_budget))
    return checks


def blocks_of(green: Sequence[MinuteSample], blue: Sequence[MinuteSample]) -> list[sequential.Block]:
    """One block a minute in which both sides had requests, oldest first."""
    theirs = {sample.minute: sample for sample in blue if sample.requests > 0}
    pairs = [(ours, theirs[ours.minute]) for ours in green if ours.requests > 0 and ours.minute in theirs]
    return [sequential.Block(ours.requests, ours.errors, other.requests, other.errors) for ours, other in pairs]


def _errors_check(result: sequential.SequentialResult, policy: SequentialPolicy) -> Check:
    figures: dict[str, float | int | str | None] = {
        "e_value": round(min(result.e_value, 1e12), 4),
        "rejects_at": 1.0 / policy.false_rollback_budget,
        "green_requests": result.green,
        "green_errors": result.green_errors,
        "blue_requests": result.blue,
        "blue_errors": result.blue_errors,
    }
    rates = f"green {_percent(result.green_errors, result.green)}, blue {_percent(result.blue_errors, result.blue)}"
    name = "errors against blue"
    if result.rejected:
        detail = f"{rates}: worse by more than {policy.tolerated_increase:.2%} (e = {figures['e_value']})"
        return Check(name, Verdict.FAIL, detail, figures)
    return Check(name, Verdict.PASS, f"{rates}: no worse than tolerated (e = {figures['e_value']})", figures)


def _latency_check(
    green: Sequence[MinuteSample], blue: Sequence[MinuteSample], tolerated: float, budget: float
) -> Check:
    result = latency.compare(green, blue, tolerated, budget)
    figures: dict[str, float | int | str | None] = {
        "pairs": result.pairs,
        "slower": result.slower,
        "ratio": None if result.ratio is None else round(result.ratio, 4),
        "e_value": round(min(result.e_value, 1e12), 4),
    }
    name = "P95 against blue"
    if result.rejected:
        return Check(name, Verdict.FAIL, f"{result.ratio:.2f} times blue's; tolerated is {tolerated:g}", figures)
    detail = "no minute with requests on both sides" if result.ratio is None else f"{result.ratio:.2f} times blue's"
    return Check(name, Verdict.PASS, detail, figures)


def _past(observed: Observed) -> tuple[int, int]:
    """Blue's requests and errors before green went live: known beforehand, so the bet may use them."""
    past = [sample for sample in observed.blue if sample.minute < _floor(observed.first_shift)]
    return sum(sample.requests for sample in past), sum(sample.errors for sample in past)


def _complete(samples: Sequence[MinuteSample], start: datetime, now: datetime) -> list[MinuteSample]:
    """Whole minutes since `start`, oldest first; the minute that still runs would be judged on a part of itself."""
    first = _floor(start)
    kept = [sample for sample in samples if sample.minute >= first and sample.minute + windows.MINUTE <= now]
    return sorted(kept, key=lambda sample: sample.minute)


def _floor(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _percent(errors: int, requests: int) -> str:
    return f"{errors / requests:.2%} of {requests}" if requests else "no requests"
