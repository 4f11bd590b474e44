"""Anything may happen in any order: ticks, kills, failing services, bad greens, aborts, other writers.

Hypothesis looks for an order in which a promise is broken.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contract.policy import RolloutPolicy
from rollout.analysis.verdict import Check, Verdict, combine
from rollout.controller.records import Kind, parse, verify
from rollout.controller.state import TERMINAL, Phase
from rollout.errors import BadInput, Busy, NotFound, Unavailable
from rollout.reports.audit import count_effects
from tests.unit.world import BLUE, GREEN, Behaviour, FakeWorld, Killed, order

POLICY = RolloutPolicy(steps=(10, 50, 100), bake_minutes=3, min_requests=10)
BEHAVIOURS = {
    "well": Behaviour(),
    "errs": Behaviour(error_rate=0.4),
    "slow": Behaviour(p95_ms=4000),
    "silent": Behaviour(silent=True),
}


class AnythingGoes(RuleBasedStateMachine):
    """One endpoint, one rollout after the other."""

    @initialize()
    def begin(self) -> None:
        self.world = FakeWorld(requests_per_minute=200)
        self.foreign = False
        self.refusals = 0
        self.world.controller("ann").start(order(name=GREEN, policy=POLICY))

    @rule(actor=st.sampled_from(["ann", "bob", "timer"]))
    def tick(self, actor: str) -> None:
        self._try(lambda: self.world.controller(actor).tick())

    @rule(minutes=st.integers(1, 6))
    def time_passes(self, minutes: int) -> None:
        for _ in range(minutes):
            self.world.advance()
            self._try(lambda: self.world.controller("timer").tick())

    @rule(after=st.integers(1, 30))
    def killed_in_a_tick(self, after: int) -> None:
        self.world.kill_at = self.world.touches + after
        self._try(lambda: self.world.controller("doomed").tick())
        self.world.revive()

    @rule(torn=st.integers(1, 4))
    def killed_while_writing(self, torn: int) -> None:
        self.world.store.tear_at = torn
        self._try(lambda: self.world.controller("doomed").tick())
        self.world.revive()
        self.world.store.tear_at = 0

    @rule(name=st.sampled_from([GREEN, BLUE]), kind=st.sampled_from(list(BEHAVIOURS)))
    def behaves(self, name: str, kind: str) -> None:
        self.world.behaviours[name] = BEHAVIOURS[kind]

    @rule(port=st.sampled_from(["metrics", "set_weights", "live", "deploy", "probe", "announce", "append"]))
    def goes_down(self, port: str) -> None:
        self.world.down ^= {port}

    @rule(weights=st.sampled_from([{BLUE: 100}, {BLUE: 90, GREEN: 10}, {BLUE: 40, GREEN: 60}]))
    def somebody_writes_weights(self, weights: dict[str, int]) -> None:
        if set(weights) <= set(self.world.endpoints.deployments):
            self.world.endpoints.weights = dict(weights)
            self.foreign = True

    @rule(lost=st.integers(1, 4))
    def updates_get_lost(self, lost: int) -> None:
        self.world.endpoints.lose_writes = lost

    @rule(force=st.booleans())
    def abort(self, force: bool) -> None:
        self._try(lambda: self.world.controller("oncall").abort("enough", force=force))

    @rule()
    def resume(self) -> None:
        self._try(lambda: self.world.controller("oncall").resume("looked at it"))

    @precondition(lambda self: not self.world.down)
    @rule()
    def an_abort_on_a_sound_service_ends_on_blue(self) -> None:
        world = self.world
        world.behaviours[BLUE], world.endpoints.lose_writes = Behaviour(), 0
        if world.controller().history()[-1].phase in TERMINAL:
            return
        self._try(lambda: world.controller("oncall").abort("enough", force=True))
        assert world.endpoints.weights == {BLUE: 100} or self.foreign
        assert world.controller().status().phase in (Phase.ROLLED_BACK, Phase.FAILED)

    @invariant()
    def the_chain_always_holds(self) -> None:
        report = verify(self.world.store.data)
        assert report.ok, report.problem

    @invariant()
    def no_lease_is_left_behind(self) -> None:
        assert self.world.store.holder_number is None

    @invariant()
    def every_intent_ends_at_most_once(self) -> None:
        count = count_effects(parse(self.world.store.data).records)
        assert count.repeated == 0
        assert count.open <= 1

    @invariant()
    def green_is_deployed_at_most_once(self) -> None:
        assert self.world.endpoints.done[f"deploy {GREEN}"] <= 1

    @invariant()
    def traffic_is_whole(self) -> None:
        assert sum(self.world.endpoints.weights.values()) == 100

    @invariant()
    def no_step_without_a_pass_and_none_skipped(self) -> None:
        steps = [0]
        for record in parse(self.world.store.data).records:
            if record.evidence.get("action") == "advance":
                checks = [Check.from_json(check) for check in record.evidence["checks"]]
                assert combine(checks) is Verdict.PASS
            effect = record.evidence.get("effect", {})
            if record.kind is Kind.DONE and record.evidence["ok"] and effect.get("purpose") == "shift":
                assert effect["step"] in (steps[-1], steps[-1] + 1)
                steps.append(effect["step"])

    def _try(self, call: object) -> None:
        try:
            call()  # type: ignore[operator]
        except Killed:
            self.world.revive()
        except (Unavailable, BadInput, Busy, NotFound):
            self.refusals += 1


TestAnythingGoes = AnythingGoes.TestCase
TestAnythingGoes.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
