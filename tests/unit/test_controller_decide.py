"""`decide` by itself: every verdict under every policy, and the names and figures around it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.policy import RolloutPolicy, VerdictAction, VerdictPolicy
from rollout.analysis.verdict import Verdict, combine
from rollout.controller.codec import policy_version
from rollout.controller.decide import decide
from rollout.controller.decision import Action
from rollout.controller.effects import Effect, EffectKind, Found, Purpose, find, same_weights
from rollout.controller.evidence import Evidence
from rollout.controller.naming import checked_deployment_name, deployment_name
from rollout.controller.ports import DeploymentSpec, LiveDeployment, LiveEndpoint, MinuteSample, ProbeResult
from rollout.controller.state import Abort, Condition, Pending, Phase, RolloutState
from rollout.errors import BadInput
from tests.unit.world import BLUE, GREEN, MINUTE, START

NOW = START + 30 * MINUTE
ACTIONS = (VerdictAction.HOLD, VerdictAction.ROLL_BACK, VerdictAction.PAGE)
WELL = tuple(ProbeResult(200, 40.0, True) for _ in range(20))
ILL = tuple(ProbeResult(503, 40.0, False) for _ in range(20))


def baking(policy: RolloutPolicy, *, minutes: float = 12, **changes: object) -> RolloutState:
    """10 % on green for so many minutes."""
    since = NOW - minutes * MINUTE
    state = RolloutState(
        id="r1",
        endpoint="churn",
        spec=DeploymentSpec(GREEN, "churn:2", "Standard_DS3_v2", 1, 1, 5000),
        blue=BLUE,
        policy=policy,
        policy_version=policy_version(policy),
        started_by="ann",
        started_at=since,
        weights={BLUE: 90, GREEN: 10},
        previous_weights={BLUE: 100},
        phase=Phase.BAKING,
        phase_since=since,
        first_shift=since,
    )
    return replace(state, **changes)  # type: ignore[arg-type]


def live(green: str = "Succeeded", weights: dict[str, int] | None = None) -> LiveEndpoint:
    deployments = {
        BLUE: LiveDeployment(BLUE, "Succeeded", "churn:1", 1),
        GREEN: LiveDeployment(GREEN, green, "churn:2", 1),
    }
    return LiveEndpoint("Succeeded", weights or {BLUE: 90, GREEN: 10}, {}, deployments)


def minutes(name: str, requests: int, error_rate: float = 0.0, *, count: int = 11) -> list[MinuteSample]:
    first = NOW - (count + 1) * MINUTE
    errors = round(requests * error_rate)
    return [MinuteSample(first + number * MINUTE, name, requests, errors, 40.0) for number in range(count)]


def evidence(verdict: Verdict, target: tuple[ProbeResult, ...] | None = None) -> Evidence:
    """What leads to this verdict."""
    blue = minutes(BLUE, 540)
    if verdict is Verdict.PROVIDER_ERROR:
        return Evidence(live(), metrics_error="503", target=target)
    requests = {Verdict.NO_DATA: 0, Verdict.INSUFFICIENT_DATA: 1}.get(verdict, 60)
    rate = 0.5 if verdict is Verdict.FAIL else 0.0
    return Evidence(live(), green=minutes(GREEN, requests, rate), blue=blue, target=target)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.PASS])
def test_each_verdict_leads_to_what_the_policy_says(verdict: Verdict, action: VerdictAction) -> None:
    field = "failed" if verdict is Verdict.FAIL else verdict.name.lower()
    policy = RolloutPolicy(verdicts=VerdictPolicy(**{field: action}))
    decision = decide(baking(policy), evidence(verdict, WELL), policy, NOW)
    assert combine(check for check in decision.checks if check.name != "rollback target") is verdict
    assert decision.action is Action(action.value)


def test_only_a_pass_advances_under_any_policy() -> None:
    for combination in itertools.product(Verdict, ACTIONS, ACTIONS, (Condition.GOING, Condition.HELD)):
        verdict, no_data, failed, condition = combination
        verdicts = VerdictPolicy(no_data=no_data, insufficient_data=no_data, provider_error=no_data, failed=failed)
        policy = RolloutPolicy(verdicts=verdicts)
        decision = decide(baking(policy, condition=condition), evidence(verdict, WELL), policy, NOW)
        assert (decision.action is Action.ADVANCE) == (verdict is Verdict.PASS), combination


@pytest.mark.parametrize("verdict", list(Verdict))
def test_paged_nothing_goes_forward(verdict: Verdict) -> None:
    policy = RolloutPolicy()
    state = baking(policy, condition=Condition.PAGED, held_since=NOW, reason="look at this", code="drift")
    decision = decide(state, evidence(verdict, WELL), policy, NOW)
    assert decision.action is (Action.ROLL_BACK if verdict is Verdict.FAIL else Action.PAGE)
    if verdict is not Verdict.FAIL:
        assert (decision.reason, decision.code) == ("look at this", "drift")


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("phase", [Phase.SHIFTING, Phase.BAKING])
@pytest.mark.parametrize("condition", list(Condition))
def test_an_abort_wins_over_everything(verdict: Verdict, phase: Phase, condition: Condition) -> None:
    policy = RolloutPolicy()
    state = baking(policy, phase=phase, condition=condition, abort=Abort("oncall", "stop"), held_since=NOW)
    assert decide(state, evidence(verdict), policy, NOW).action is Action.CHECK_TARGET
    assert decide(state, evidence(verdict, WELL), policy, NOW).action is Action.ROLL_BACK
    forced = replace(state, abort=Abort("oncall", "stop", force=True))
    assert decide(forced, evidence(verdict, ILL), policy, NOW).action is Action.ROLL_BACK


def test_before_the_bake_is_over_only_a_failure_counts() -> None:
    policy = RolloutPolicy()
    for verdict in Verdict:
        decision = decide(baking(policy, minutes=9.5), evidence(verdict, WELL), policy, NOW)
        assert decision.action is (Action.ROLL_BACK if verdict is Verdict.FAIL else Action.WAIT)
        if decision.action is Action.WAIT:
            assert decision.until == NOW + timedelta(seconds=30), "no later than the end of the bake"


@pytest.mark.parametrize(("held", "action"), [(29, Action.HOLD), (30, Action.ROLL_BACK)])
def test_the_longest_hold(held: int, action: Action) -> None:
    policy = RolloutPolicy()
    state = baking(policy, minutes=60, condition=Condition.HELD, held_since=NOW - held * MINUTE)
    assert decide(state, evidence(Verdict.NO_DATA, WELL), policy, NOW).action is action


def test_what_is_over_stays_over() -> None:
    policy = RolloutPolicy()
    for phase in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.FAILED):
        decision = decide(baking(policy, phase=phase), evidence(Verdict.FAIL, WELL), policy, NOW)
        assert (decision.action, decision.until) == (Action.WAIT, None)


SHIFT = Effect(EffectKind.SET_WEIGHTS, weights={BLUE: 50, GREEN: 50}, purpose=Purpose.SHIFT, step=1)


@pytest.mark.parametrize(
    ("weights", "action"),
    [
        ({BLUE: 50, GREEN: 50}, Action.CONFIRM),
        ({BLUE: 90, GREEN: 10}, Action.REPEAT),
        ({BLUE: 100}, Action.ABANDON),
        ({BLUE: 70, GREEN: 30}, Action.ABANDON),
    ],
)
def test_an_intent_without_its_done_is_settled_by_what_is_live(weights: dict[str, int], action: Action) -> None:
    policy = RolloutPolicy()
    state = baking(policy, phase=Phase.SHIFTING, step=1, pending=Pending(7, SHIFT, 3))
    assert decide(state, Evidence(live(weights=weights)), policy, NOW).action is action


def test_finding_what_became_of_an_effect() -> None:
    deploy = Effect(EffectKind.DEPLOY, GREEN)
    assert find(deploy, live("Succeeded")) is Found.DONE
    assert find(deploy, live("Creating")) is Found.NOT_DONE
    assert find(deploy, live("Failed")) is Found.FAILED
    assert find(Effect(EffectKind.DEPLOY, "not-there"), live()) is Found.NOT_DONE
    assert find(Effect(EffectKind.RETIRE, "not-there"), live()) is Found.DONE
    assert find(Effect(EffectKind.RETIRE, BLUE), live()) is Found.NOT_DONE
    assert find(Effect(EffectKind.SMOKE, GREEN), live()) is Found.NOT_DONE
    for effect in (deploy, SHIFT):
        assert Effect.from_json(effect.to_json()) == effect


def test_zero_weights_are_no_difference() -> None:
    assert same_weights({BLUE: 100, GREEN: 0}, {BLUE: 100})
    assert not same_weights({BLUE: 99, GREEN: 1}, {BLUE: 100})


@given(st.text(max_size=80), st.integers(0, 10**14), st.text("0123456789abcdef", min_size=4, max_size=4))
def test_every_name_made_is_one_that_azure_takes(name: str, version: int, suffix: str) -> None:
    made = deployment_name(f"{name}:{version}", suffix)
    assert checked_deployment_name(made) == made
    assert made.endswith(suffix)


def test_names_read_well() -> None:
    assert deployment_name("churn:7", "1a2b") == "churn-v7-1a2b"
    assert deployment_name("Customer_Churn XGB:12", "1a2b") == "customer-churn-xgb-v12-1a2b"
    assert deployment_name("7seas:1", "1a2b") == "m-7seas-v1-1a2b"
    assert len(deployment_name("a-very-long-model-name-indeed-it-is:1", "1a2b")) == 32
    for bad in ("ab", "1abc", "a" * 33, "abc-", "a_b_c", "schön"):
        with pytest.raises(BadInput, match="3 to 32 letters"):
            checked_deployment_name(bad)
