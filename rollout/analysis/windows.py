"""Fixed windows that operators know: a limit counts as broken when it is broken for the whole window.

A window ends at the newest minute that was ingested. Minutes that are absent were not ingested; a minute with
no requests says nothing. Where a minute has too few requests to measure the limit, the window is pooled as well:
it is broken when the whole is beyond the limit by more than chance (one-sided 99 %) and half of its minutes are beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contract.policy import WindowPolicy
from rollout.analysis.verdict import Check, Verdict
from rollout.controller.ports import MinuteSample

MINUTE = timedelta(minutes=1)
_Z = 2.326  # one-sided 99 %


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit. `breaks` judges a minute that had requests, `breaks_pooled` all those of a thin window.

    A window is thin when one of its minutes has fewer than `thin_below` requests: one error there is over the limit.
    """

    name: str
    minutes: int
    limit: str
    thin_below: int
    breaks: Callable[[MinuteSample], bool]
    breaks_pooled: Callable[[Sequence[MinuteSample]], bool]


@dataclass(frozen=True, slots=True)
class Sides:
    """Minutes of both since green went live (`since`); windows end with the minute `end`."""

    green: Sequence[MinuteSample]
    blue: Sequence[MinuteSample]
    since: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class WindowState:
    """How a rule stands: whole window broken, broken only lately, or not."""

    broken: bool
    lately: int  # newest minutes in a row that break the limit
    seen: tuple[MinuteSample, ...]  # minutes of the window with requests

    @property
    def requests(self) -> int:
        return sum(sample.requests for sample in self.seen)


def rules_of(policy: WindowPolicy) -> tuple[Rule, ...]:
    """The policy's limits as rules; a window shorter than a minute is one minute."""
    return (
        _rate_rule("error rate", policy.max_error_rate, policy.error_rate_minutes, ">"),
        _rate_rule("availability", 1.0 - policy.min_availability, policy.availability_minutes, "<"),
        _latency_rule(policy.max_p95_ms, policy.p95_minutes),
    )


def evaluate(rule: Rule, samples: Iterable[MinuteSample], end: datetime, since: datetime) -> WindowState:
    """How `rule` stands in the window that ends with the minute `end`; `since` is when green went live."""
    start = end - (rule.minutes - 1) * MINUTE
    by_minute = {sample.minute: sample for sample in samples if start <= sample.minute <= end and sample.requests > 0}
    seen = tuple(by_minute[minute] for minute in sorted(by_minute))
    lately = _lately(rule, by_minute, start, end)
    if lately == rule.minutes:
        return WindowState(True, lately, seen)
    thin = len(seen) < rule.minutes or any(sample.requests < rule.thin_below for sample in seen)
    broken = bool(seen) and thin and start >= since and rule.breaks_pooled(seen)
    return WindowState(broken, lately, seen)


def judge(rule: Rule, sides: Sides, min_requests: int) -> Check:
    """The check of green by `rule`; blue is consulted to tell a shared outage from green's own failure."""
    end = sides.end
    state = evaluate(rule, sides.green, end, sides.since)
    figures = _figures(rule, state, end)
    if not state.seen:
        return Check(rule.name, Verdict.NO_DATA, f"no requests seen in {rule.minutes} min", figures)
    if state.broken:
        # Few requests prove nothing, unless they are beyond the limit by more than chance.
        if state.requests < min_requests and not rule.breaks_pooled(state.seen):
            detail = f"{rule.limit} broken, but only {state.requests} requests (least: {min_requests})"
            return Check(rule.name, Verdict.INSUFFICIENT_DATA, detail, figures)
        shared = evaluate(rule, sides.blue, end, sides.since).broken
        detail = f"{rule.limit} broken for {rule.minutes} min" + (", and blue's is broken as well" if shared else "")
        return Check(rule.name, Verdict.FAIL, detail, figures, shared)
    if state.lately:
        detail = f"{rule.limit} broken for the last {state.lately} of {rule.minutes} min"
        return Check(rule.name, Verdict.INSUFFICIENT_DATA, detail, figures)
    return Check(rule.name, Verdict.PASS, f"{rule.limit} kept", figures)


def lower_bound(errors: int, requests: int, z: float = _Z) -> float:
    """Wilson's lower bound of a share; 0 without requests."""
    if requests == 0:
        return 0.0
    share = errors / requests
    centre = share + z * z / (2 * requests)
    spread = z * math.sqrt(share * (1 - share) / requests + z * z / (4 * requests * requests))
    return max(0.0, (centre - spread) / (1 + z * z / requests))


def _lately(rule: Rule, by_minute: dict[datetime, MinuteSample], start: datetime, end: datetime) -> int:
    count, minute = 0, end
    while minute >= start and minute in by_minute and rule.breaks(by_minute[minute]):
        count, minute = count + 1, minute - MINUTE
    return count


def _rate_rule(name: str, most: float, minutes: float, sign: str) -> Rule:
    def breaks(sample: MinuteSample) -> bool:
        return sample.errors / sample.requests > most + 1e-12

    def breaks_pooled(samples: Sequence[MinuteSample]) -> bool:
        requests, errors = sum(sample.requests for sample in samples), sum(sample.errors for sample in samples)
        return lower_bound(errors, requests) > most and 2 * sum(map(breaks, samples)) >= len(samples)

    limit = f"error rate <= {most:.3%}" if sign == ">" else f"availability >= {1 - most:.3%}"
    return Rule(name, _whole(minutes), limit, math.ceil(1 / max(most, 1e-4)), breaks, breaks_pooled)


def _latency_rule(most: float, minutes: float) -> Rule:
    def breaks(sample: MinuteSample) -> bool:
        return sample.p95_ms is not None and sample.p95_ms > most

    def breaks_pooled(samples: Sequence[MinuteSample]) -> bool:
        # A minute's P95 over the limit means that at least 5 % of its requests, so at least one, were: the P95 of
        # the whole window is over it when those make up more than 5 % of all.
        slow = sum(max(1, math.floor(0.05 * sample.requests)) for sample in samples if breaks(sample))
        requests = sum(sample.requests for sample in samples)
        return lower_bound(slow, requests) > 0.05 and 2 * sum(map(breaks, samples)) >= len(samples)

    return Rule("P95 latency", _whole(minutes), f"P95 <= {most:g} ms", 20, breaks, breaks_pooled)


def _whole(minutes: float) -> int:
    return max(1, math.ceil(minutes))


def _figures(rule: Rule, state: WindowState, end: datetime) -> dict[str, float | int | str | None]:
    requests, errors = state.requests, sum(sample.errors for sample in state.seen)
    latencies = [sample.p95_ms for sample in state.seen if sample.p95_ms is not None]
    figures: dict[str, float | int | str | None] = {"minutes": len(state.seen), "until": end.isoformat()}
    figures["requests"] = requests
    if rule.name == "P95 latency":
        figures["worst_p95_ms"] = round(max(latencies), 3) if latencies else None
    else:
        figures["errors"] = errors
        figures["error_rate"] = round(errors / requests, 6) if requests else None
    return figures
