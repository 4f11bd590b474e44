"""Parking: an endpoint's deployments deleted while nobody asks, and made again exactly as they were.

The descriptions are in the journal before anything is deleted. From there on what is left to do is what the live endpoint
lacks: killed at any moment, the same order given again goes on and repeats nothing that is seen to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.policy import SmokePolicy
from rollout.analysis.verdict import Check, Verdict, combine, leading
from rollout.checks import smoke
from rollout.controller import codec
from rollout.controller.effects import same_weights, show_weights, strip
from rollout.controller.journal import Journal
from rollout.controller.ports import Lease, LiveEndpoint, Weights
from rollout.controller.records import Kind
from rollout.controller.state import EndpointState, Parking, ParkStage
from rollout.controller.world import World
from rollout.errors import BadInput, Busy, GateFailed, RolloutError, Unavailable

_BUSY = ("Creating", "Updating", "Deleting")


@dataclass(frozen=True, slots=True)
class ParkResult:
    """What was done. `parking` is None when nothing is parked afterwards."""

    endpoint: str
    parking: Parking | None
    effects: tuple[str, ...]
    reason: str


def refuse_unparkable(state: EndpointState, live: LiveEndpoint, endpoint: str) -> None:
    """What stands in the way of a first order to park: a rollout, or something that is being made."""
    if state.rollout is not None and state.rollout.active:
        raise Busy(
            f"rollout {state.rollout.id} of {endpoint} is under way ({state.rollout.phase.value})",
            way_out="park when it is over, or end it: rollout rollback",
        )
    unsettled = [one.name for one in live.deployments.values() if one.provisioning_state != "Succeeded"]
    if unsettled:
        states = ", ".join(f"{name} is {live.deployments[name].provisioning_state}" for name in sorted(unsettled))
        raise BadInput(f"{states}: only what is whole can be made again", way_out="wait for it, or delete it")


def refuse_secrets(documents: Mapping[str, Mapping[str, Any]]) -> None:
    """The journal keeps no credentials, so what has one in clear can't be made again from it."""
    for name, document in documents.items():
        if codec.redact(document) != document:
            raise BadInput(
                f"deployment {name} has a setting that looks like a credential, or one too long for the journal",
                way_out="let score.py read it from Key Vault by its identity; then this deployment can be parked",
            )


def would_park(state: EndpointState, world: World, endpoint: str, reason: str) -> ParkResult:
    """What `park` would do, without doing it; raises what it would raise."""
    live, known = world.endpoints.live(), state.parking
    if known is None:
        refuse_unparkable(state, live, endpoint)
        refuse_secrets(world.endpoints.describe())
    effects = [f"traffic: {show_weights({})}"] if live.weights or live.mirror else []
    effects += [f"delete {name}" for name in sorted(live.deployments)]
    return ParkResult(endpoint, known, tuple(effects), reason if effects else "nothing to park")


def would_unpark(state: EndpointState, world: World, endpoint: str, reason: str) -> ParkResult:
    """What `unpark` would do, without doing it."""
    known = state.parking
    if known is None:
        return ParkResult(endpoint, None, (), "not parked")
    live = world.endpoints.live()
    effects = [f"make {name}" for name in sorted(known.deployments) if name not in live.deployments]
    effects += [f"test {name}" for name in sorted(set(known.weights) - set(live.weights))]
    if not same_weights(live.weights, known.weights):
        effects.append(f"traffic: {show_weights(known.weights)}")
    return ParkResult(endpoint, known, tuple(effects), reason)


class Parker:
    """Does both orders for one endpoint, under one lease."""

    def __init__(self, world: World, journal: Journal, lease: Lease, endpoint: str) -> None:
        self._world, self._journal, self._lease, self._endpoint = world, journal, lease, endpoint
        self._effects: list[str] = []

    def park(self, reason: str) -> ParkResult:
        """Traffic off, then every deployment deleted."""
        live, known = self._live(), self._journal.state.parking
        if known is None:
            refuse_unparkable(self._journal.state, live, self._endpoint)
            documents = self._world.endpoints.describe()
            if not documents:
                return self._result("there is no deployment to park")
            refuse_secrets(documents)
            order = {"deployments": documents, "traffic": strip(live.weights), "mirror": strip(live.mirror)}
            self._note(Kind.PARK, live.weights, reason=reason, **order)
        elif known.stage is ParkStage.PARKED:
            return self._result("parked already")
        elif known.stage is ParkStage.UNPARKING:
            self._note(Kind.PARK, live.weights, reason=reason)
        parking = self._parking()
        self._refuse_changed(parking, live)
        self._write_traffic(live, {}, {})
        for name in sorted(set(parking.deployments) & set(live.deployments)):
            self._do(f"delete {name}", lambda name=name: self._world.endpoints.delete(name, for_good=False))  # type: ignore[misc]
        left = sorted(self._live().deployments)
        if left:
            raise Unavailable(f"still there: {', '.join(left)}", way_out="run the command again; it goes on from here")
        self._note(Kind.PARKED, {}, reason=reason)
        return self._result(reason)

    def unpark(self, reason: str, policy: SmokePolicy) -> ParkResult:
        """Every deployment made again and those with traffic tested; then, and only then, they get it."""
        known = self._journal.state.parking
        if known is None:
            return self._result("not parked")
        live = self._live()
        if known.stage is not ParkStage.UNPARKING:
            self._note(Kind.UNPARK, live.weights, reason=reason)
        if live.weights and not same_weights(live.weights, known.weights):
            raise BadInput(
                f"somebody gave traffic meanwhile: {show_weights(live.weights)}; parked was {show_weights(known.weights)}",
                way_out="take that traffic away (az ml online-endpoint update --traffic), then unpark",
            )
        for name in sorted(known.deployments, key=lambda one: (-known.weights.get(one, 0), one)):
            self._make(name, known.deployments[name], live)
        # what has traffic now was tested by the run that gave it
        for name in sorted(set(known.weights) - set(live.weights)):
            self._test(name, policy)
        self._write_traffic(self._live(), known.weights, known.mirror)
        self._note(Kind.UNPARKED, known.weights, reason=reason)
        return self._result(reason)

    def _make(self, name: str, document: Mapping[str, Any], live: LiveEndpoint) -> None:
        there = live.deployments.get(name)
        if there is not None and there.provisioning_state == "Succeeded":
            return
        self._do(f"make {name}", lambda: self._world.endpoints.restore(name, document))

    def _test(self, name: str, policy: SmokePolicy) -> None:
        """GateFailed: it answers badly; it stays, without traffic, to be looked at."""
        try:
            checks: Sequence[Check] = smoke.judge(
                self._world.prober.probe(name, policy.requests, smoke.timeout_ms(policy)), policy
            )
        except Unavailable as error:
            checks = (Check("smoke", Verdict.PROVIDER_ERROR, error.message),)
        said = [check.to_json() for check in checks]
        self._note(Kind.PARKING, {}, effect=f"test {name}", done=True, checks=said)
        self._effects.append(f"test {name}")
        worst = leading(checks)
        if worst is None or combine(checks) is Verdict.PASS:
            return
        failed = GateFailed if worst.verdict is Verdict.FAIL else Unavailable
        raise failed(
            f"{name} is made again but not well: {worst.name}: {worst.detail}; it gets no traffic",
            way_out=f"look at it (rollout smoke --deployment {name}); run rollout unpark again when it is well",
        )

    def _write_traffic(self, live: LiveEndpoint, weights: Weights, mirror: Weights) -> None:
        if same_weights(live.weights, weights) and same_weights(live.mirror, mirror):
            return
        renew, endpoints = self._lease.renew, self._world.endpoints
        what = f"traffic: {show_weights(weights)}" + (f", mirror: {show_weights(mirror)}" if mirror else "")
        self._do(what, lambda: endpoints.set_weights(weights, renew, mirror=mirror), live.weights, weights)
        after = self._live()
        if not same_weights(after.weights, weights) or not same_weights(after.mirror, mirror):
            raise Unavailable(
                f"wrote {show_weights(weights)}, read back {show_weights(after.weights)}", way_out="run it again"
            )

    def _do(
        self, effect: str, act: Callable[[], None], before: Weights | None = None, after: Weights | None = None
    ) -> None:
        """Its intent first, then the effect, then that it is done."""
        before = before or {}
        self._note(Kind.PARKING, before, effect=effect, done=False)
        self._lease.renew()
        act()
        self._journal.append(
            Kind.PARKING, {"effect": effect, "done": True}, weights=(strip(before), strip(after or {}))
        )
        self._effects.append(effect)

    def _note(self, kind: Kind, weights: Weights, **evidence: Any) -> None:
        self._journal.append(kind, evidence, weights=(strip(weights), strip(weights)))

    def _live(self) -> LiveEndpoint:
        live = self._world.endpoints.live()
        if live.provisioning_state in _BUSY:
            raise Unavailable(f"{self._endpoint} is {live.provisioning_state}", way_out="try again when it is done")
        return live

    def _refuse_changed(self, parking: Parking, live: LiveEndpoint) -> None:
        """Nothing is deleted that the journal does not describe as it is."""
        documents = self._world.endpoints.describe() if live.deployments else {}
        for name in sorted(documents):
            if parking.deployments.get(name) != documents[name]:
                raise BadInput(
                    f"deployment {name} is not as the journal describes it: somebody has changed it since",
                    way_out="rollout unpark, then park again",
                )

    def _parking(self) -> Parking:
        parking = self._journal.state.parking
        if parking is None:
            raise RolloutError("the journal lost the order to park")
        return parking

    def _result(self, reason: str) -> ParkResult:
        return ParkResult(self._endpoint, self._journal.state.parking, tuple(self._effects), reason)
