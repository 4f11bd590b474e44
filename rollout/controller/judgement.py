"""The evidence put into checks: of a step, and of the place where traffic would go back to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from contract.policy import RolloutPolicy, SmokePolicy
from rollout.analysis.assess import Observed, assess
from rollout.analysis.verdict import Check, Verdict
from rollout.checks import smoke
from rollout.controller.evidence import Evidence
from rollout.controller.ports import LiveEndpoint, MinuteSample, ProbeResult
from rollout.controller.state import RolloutState

#: Requests that blue is asked before traffic goes back to it; the first few tell whether it answers at all.
TARGET_REQUESTS = 20
TARGET_GLANCE = 4

#: A blue that errs this much less than green is the better place, be it slow.
_MUCH_BETTER = 0.05
_RECENT = timedelta(minutes=5)


def step_checks(state: RolloutState, evidence: Evidence, policy: RolloutPolicy, now: datetime) -> tuple[Check, ...]:
    """Green's deployment, and while it has live traffic its requests, windows and comparison with blue."""
    assert evidence.live is not None  # nosec B101  # decide() asks no further without it
    checks: tuple[Check, ...] = (deployment_check("deployment", state.green, evidence.live),)
    if not state.watched or state.first_shift is None:
        return checks
    if evidence.metrics_error:
        return (*checks, Check("metrics", Verdict.PROVIDER_ERROR, evidence.metrics_error))
    observed = Observed(evidence.green, evidence.blue, state.first_shift, state.phase_since, now)
    return checks + assess(observed, policy)


def deployment_check(name: str, deployment: str, live: LiveEndpoint) -> Check:
    """Whether the service says that `deployment` is there and well."""
    found = live.deployments.get(deployment)
    if found is None:
        return Check(name, Verdict.FAIL, f"{deployment} does not exist any more")
    state = found.provisioning_state
    if state == "Succeeded":
        return Check(name, Verdict.PASS, f"{deployment} is {state}")
    verdict = Verdict.INSUFFICIENT_DATA if state in ("Creating", "Updating") else Verdict.FAIL
    return Check(name, verdict, f"{deployment} is {state}")


def target_check(state: RolloutState, evidence: Evidence, now: datetime) -> Check:
    """Whether blue is fit to take the traffic: there, Succeeded, and well or at least better than green."""
    assert evidence.live is not None  # nosec B101  # decide() asks no further without it
    assert state.blue is not None  # nosec B101  # checked by the caller
    name = "rollback target"
    there = deployment_check(name, state.blue, evidence.live)
    if there.verdict is not Verdict.PASS:
        return there
    if evidence.target_error:
        detail = f"{there.detail}, but could not be asked: {evidence.target_error}"
        return Check(name, Verdict.PROVIDER_ERROR, detail)
    results = evidence.target or ()
    if not results:
        return Check(name, Verdict.NO_DATA, f"{there.detail}, but was not asked")
    return _answers_check(name, state, results, _recent(evidence.green, now))


def target_timeout_ms(policy: RolloutPolicy) -> int:
    """How long a request to the rollback target may take."""
    return math.ceil(policy.windows.max_p95_ms * 1.5)


def _answers_check(
    name: str, state: RolloutState, results: Sequence[ProbeResult], green: Sequence[MinuteSample]
) -> Check:
    limits = SmokePolicy(
        requests=len(results),
        max_p95_ms=state.policy.windows.max_p95_ms,
        min_success_rate=state.policy.smoke.min_success_rate,
    )
    checks = {check.name: check for check in smoke.judge(results, limits)}
    answers, latency = checks["answers"], checks["P95 latency"]
    gain = _error_rate(green) - sum(result.status != 200 for result in results) / len(results)
    errors_fit = answers.verdict is Verdict.PASS or gain > state.policy.sequential.tolerated_increase
    fast_fit = latency.verdict is Verdict.PASS or gain > _MUCH_BETTER or _faster(latency, green)
    detail = f"{state.blue}: {answers.detail}, {latency.detail}"
    if errors_fit and fast_fit:
        better = "" if answers.verdict is latency.verdict is Verdict.PASS else "; not well, but better than green"
        return Check(name, Verdict.PASS, detail + better)
    return Check(name, Verdict.FAIL, f"{detail}; not better than green")


def _faster(blue: Check, green: Sequence[MinuteSample]) -> bool:
    ours = blue.figures.get("p95_ms")
    theirs = [sample.p95_ms for sample in green if sample.p95_ms is not None]
    return isinstance(ours, float) and bool(theirs) and ours < min(theirs)


def _error_rate(samples: Sequence[MinuteSample]) -> float:
    requests = sum(sample.requests for sample in samples)
    return sum(sample.errors for sample in samples) / requests if requests else 0.0


def _recent(samples: Sequence[MinuteSample], now: datetime) -> list[MinuteSample]:
    """The last minutes that were ingested."""
    seen = [sample for sample in samples if sample.requests > 0]
    newest = max((sample.minute for sample in seen), default=now)
    return [sample for sample in seen if sample.minute > newest - _RECENT]
