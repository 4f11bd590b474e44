"""Before the start: which regression can each step see at the traffic of now, and in how many minutes?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from contract.policy import RolloutPolicy, SequentialPolicy
from rollout.analysis.sequential import OFFSETS, growth
from rollout.controller.ports import MinuteSample

#: Regressions that a plan speaks of: green errs on this share of requests more than blue.
REGRESSIONS = (0.01, 0.02, 0.05, 0.10, 0.25, 0.50, 0.95)

#: Half the stake is on the mixture, a tenth of that on the alternative that is right.
_COST_OF_NOT_KNOWING = math.log(2 * len(OFFSETS))


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the endpoint carries now: requests per minute and share of errors; a rate of 0 is no traffic."""

    requests_per_minute: float
    error_rate: float
    minutes_seen: int


@dataclass(frozen=True, slots=True)
class Sight:
    """A regression, and the policy minutes (and green requests) until it is seen; None: this step can't see it."""

    regression: float
    minutes: float | None
    green_requests: int | None


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step: what green gets, how long it takes, what it can see. `blind` says why it can see nothing."""

    weight: int
    green_requests_per_minute: float
    bake_minutes: float
    expected_requests: int
    minutes_to_min_requests: float | None
    sights: tuple[Sight, ...]
    blind: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole way. `minutes` is the shortest that the bakes allow."""

    traffic: Traffic
    steps: tuple[StepPlan, ...]
    minutes: float

    @property
    def blind_steps(self) -> tuple[StepPlan, ...]:
        return tuple(step for step in self.steps if step.blind)


def measure_traffic(samples: Sequence[MinuteSample]) -> Traffic:
    """The live request rate: requests over the minutes from the first to the last that had any."""
    busy = [sample for sample in samples if sample.requests > 0]
    if not busy:
        return Traffic(0.0, 0.0, 0)
    first, last = min(sample.minute for sample in busy), max(sample.minute for sample in busy)
    minutes = round((last - first).total_seconds() / 60) + 1
    requests = sum(sample.requests for sample in busy)
    return Traffic(requests / minutes, sum(sample.errors for sample in busy) / requests, minutes)


def make_plan(policy: RolloutPolicy, traffic: Traffic) -> Plan:
    """The plan of every step at this traffic."""
    steps = tuple(_plan_step(weight, policy, traffic) for weight in policy.steps)
    return Plan(traffic, steps, policy.bake_minutes * len(steps))


def minutes_to_see(regression: float, weight: int, sequential: SequentialPolicy, traffic: Traffic) -> float | None:
    """Policy minutes until the sequential test is expected to reject; None when it never will."""
    q_blue = max(traffic.error_rate, 1e-4)
    q_green = min(q_blue + regression, 1.0 - 1e-6)
    green = traffic.requests_per_minute * weight / 100
    rate = growth(green, traffic.requests_per_minute - green, q_green, q_blue, sequential.tolerated_increase)
    if rate <= 0.0:
        return None
    return math.ceil((-math.log(sequential.false_rollback_budget) + _COST_OF_NOT_KNOWING) / rate)


def _plan_step(weight: int, policy: RolloutPolicy, traffic: Traffic) -> StepPlan:
    green = traffic.requests_per_minute * weight / 100
    needed = policy.min_requests / green if green > 0 else None
    return StepPlan(
        weight=weight,
        green_requests_per_minute=green,
        bake_minutes=policy.bake_minutes,
        expected_requests=round(green * policy.bake_minutes),
        minutes_to_min_requests=needed,
        sights=tuple(_sight(regression, weight, policy, traffic) for regression in REGRESSIONS),
        blind=_blindness(weight, green, needed, policy),
    )


def _sight(regression: float, weight: int, policy: RolloutPolicy, traffic: Traffic) -> Sight:
    """The sooner of the sequential test and the error-rate window, if within the bake and the longest hold."""
    green = traffic.requests_per_minute * weight / 100
    found: list[float] = []
    if policy.sequential.enabled and weight < 100:
        minutes = minutes_to_see(regression, weight, policy.sequential, traffic)
        found += [] if minutes is None else [minutes]
    window = max(1.0, policy.windows.error_rate_minutes)
    if green > 0 and traffic.error_rate + regression > policy.windows.max_error_rate:
        found.append(max(window, math.ceil(policy.min_requests / green)))
    seen = [minutes for minutes in found if minutes <= _longest(policy)]
    if not seen:
        return Sight(regression, None, None)
    return Sight(regression, min(seen), math.ceil(min(seen) * green))


def _blindness(weight: int, green: float, needed: float | None, policy: RolloutPolicy) -> str:
    if needed is None:
        return f"step {weight} %: the endpoint has no traffic, so nothing can be seen"
    if needed > _longest(policy):
        return (
            f"step {weight} %: min_requests = {policy.min_requests} takes {needed:.0f} min at {green:.2g} requests/min,"
            f" more than bake_minutes + longest_hold_minutes = {_longest(policy):g}"
        )
    return ""


def _longest(policy: RolloutPolicy) -> float:
    return policy.bake_minutes + policy.verdicts.longest_hold_minutes
