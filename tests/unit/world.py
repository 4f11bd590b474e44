"""An endpoint in memory: deployments, traffic, metrics with lag, a journal with leases, and ways to break them.

Time stands still until `advance`, which makes one metric sample per deployment and minute from the weights of
that minute. `kill_at` lets the process die at the n-th touch of the world, before or after it took effect.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.outputs import Deployment
from contract.policy import RolloutPolicy
from rollout.controller.controller import Controller, Patience
from rollout.controller.executor import TickResult
from rollout.controller.ports import DeploymentSpec, LiveDeployment, LiveEndpoint, MinuteSample, ProbeResult
from rollout.controller.starting import Order
from rollout.controller.world import World
from rollout.errors import BadInput, Busy, GateFailed, NotAllowed, NotFound, Unavailable

START = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BLUE = "churn-v1-0000"
GREEN = "churn-v2-0001"


class Killed(BaseException):
    """SIGKILL: no handler of the controller gets to see what comes after."""


@dataclass
class Behaviour:
    """How a deployment answers: share of 5xx, P95 in ms, and what its answers look like."""

    error_rate: float = 0.0
    p95_ms: float = 40.0
    well_formed: bool = True
    fails_to_deploy: str = ""
    silent: bool = False  # no metrics at all


@dataclass
class FakeLease:
    store: FakeStore
    number: int

    @property
    def fencing_number(self) -> int:
        return self.number

    def renew(self) -> None:
        self.store.world.touch("renew")
        if self.store.holder_number != self.number:
            raise Busy("the lease was lost")

    def release(self) -> None:
        self.store.world.touch("release")
        if self.store.holder_number == self.number:
            self.store.holder_number = None


@dataclass
class FakeStore:
    """Append blob with a lease."""

    world: FakeWorld
    data: bytes = b""
    fencing: int = 0
    holder: str = ""
    holder_number: int | None = None
    tear_at: int = 0  # the n-th append from now on writes half its line, then the process dies

    def acquire(self, holder: str) -> FakeLease:
        self.world.touch("acquire")
        if self.holder_number is not None:
            raise Busy(f"{self.holder} holds the lease")
        self.fencing += 1
        self.holder, self.holder_number = holder, self.fencing
        return FakeLease(self, self.fencing)

    def read(self) -> tuple[bytes, int]:
        self.world.touch("read")
        return self.data, len(self.data)

    def append(self, line: bytes, position: int, lease: FakeLease) -> int:
        self.world.touch("append", before=True)
        if lease.number != self.holder_number:
            raise Busy("the lease was lost")
        if position != len(self.data):
            raise Busy("somebody else wrote to the journal")
        self.tear_at -= 1
        if self.tear_at == 0:
            self.data += line[: len(line) // 2]
            self.world.die()
        self.data += line
        self.world.touch("append", before=False)
        return len(self.data)

    def expire(self) -> None:
        self.holder_number = None


@dataclass
class FakeEndpoints:
    """What the service shows, and counts of what was really done to it."""

    world: FakeWorld
    weights: dict[str, int] = field(default_factory=dict)
    mirror: dict[str, int] = field(default_factory=dict)
    deployments: dict[str, LiveDeployment] = field(default_factory=dict)
    provisioning_state: str = "Succeeded"
    models: set[str] = field(default_factory=lambda: {"churn:1", "churn:2", "churn:3", "churn:4"})
    #: Environment variables, by deployment.
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    deleted: bool = False
    lose_writes: int = 0  # so many writes are undone at once by somebody else's older PUT
    after_write: Callable[[], None] | None = None

    def live(self) -> LiveEndpoint:
        self.world.touch("live")
        if self.deleted:
            raise NotFound("there is no endpoint churn")
        return LiveEndpoint(self.provisioning_state, dict(self.weights), dict(self.mirror), dict(self.deployments))

    def set_weights(
        self, weights: Mapping[str, int], still_ours: Callable[[], None], *, mirror: Mapping[str, int] | None = None
    ) -> None:
        still_ours()
        self.world.touch("set_weights", before=True)
        for name in weights:
            if name not in self.deployments or self.deployments[name].provisioning_state != "Succeeded":
                raise BadInput(f"{name} is not Succeeded, so it can't take traffic")
        self.done["weights " + ",".join(f"{name}={weight}" for name, weight in sorted(weights.items()))] += 1
        if self.lose_writes:
            self.lose_writes -= 1
        else:
            self.weights = {name: weight for name, weight in weights.items() if weight}
            self.mirror = dict(self.mirror if mirror is None else mirror)
        if self.after_write is not None:
            hook, self.after_write = self.after_write, None
            hook()
        self.world.touch("set_weights", before=False)

    def describe(self) -> dict[str, dict[str, Any]]:
        self.world.touch("describe")
        return {
            name: {
                "sku": {"capacity": one.instance_count},
                "properties": {"model": one.model, "environmentVariables": dict(self.variables.get(name, {}))},
            }
            for name, one in self.deployments.items()
        }

    def restore(self, deployment: str, document: Mapping[str, Any]) -> None:
        self.world.touch("restore", before=True)
        found = self.deployments.get(deployment)
        if found is None or found.provisioning_state != "Succeeded":
            state = "Failed" if self.world.behaviour(deployment).fails_to_deploy else "Succeeded"
            model, count = document["properties"]["model"], document["sku"]["capacity"]
            self.deployments[deployment] = LiveDeployment(deployment, state, model, count)
            self.done[f"restore {deployment}"] += 1
        self.world.touch("restore", before=False)
        if self.deployments[deployment].provisioning_state == "Failed":
            raise GateFailed(f"{deployment} could not be made")

    def deploy(self, spec: DeploymentSpec) -> None:
        self.world.touch("deploy", before=True)
        behaviour = self.world.behaviour(spec.name)
        state = "Failed" if behaviour.fails_to_deploy else "Succeeded"
        self.deployments[spec.name] = LiveDeployment(spec.name, state, spec.model, spec.instance_count)
        self.done[f"deploy {spec.name}"] += 1
        self.world.touch("deploy", before=False)
        if behaviour.fails_to_deploy:
            raise GateFailed(behaviour.fails_to_deploy)

    def delete(self, deployment: str, *, for_good: bool = True) -> None:
        self.world.touch("delete", before=True)
        if self.weights.get(deployment):
            raise BadInput(f"{deployment} has traffic")
        del self.deployments[deployment]
        self.done[f"delete {deployment}"] += 1
        self.world.touch("delete", before=False)

    def logs(self, deployment: str, lines: int = 100) -> str:
        return f"log of {deployment}"

    def model_exists(self, model: str) -> bool:
        return model in self.models

    def add(self, name: str, model: str) -> None:
        self.deployments[name] = LiveDeployment(name, "Succeeded", model, 1)

    def break_state(self, name: str, state: str) -> None:
        found = self.deployments[name]
        self.deployments[name] = LiveDeployment(name, state, found.model, found.instance_count)


@dataclass
class FakeMetrics:
    world: FakeWorld
    samples: list[MinuteSample] = field(default_factory=list)
    lag_minutes: float = 1.0

    def minutes(self, deployments: Sequence[str], start: datetime, end: datetime) -> Sequence[MinuteSample]:
        self.world.touch("metrics")
        newest = self.world.time - (1.0 + self.lag_minutes) * MINUTE
        return [
            s for s in self.samples if s.deployment in deployments and start - MINUTE <= s.minute <= min(end, newest)
        ]


@dataclass
class FakeProber:
    world: FakeWorld

    def probe(self, deployment: str, requests: int, timeout_ms: int) -> Sequence[ProbeResult]:
        self.world.touch("probe")
        self.world.endpoints.done[f"probe {deployment}"] += 1
        behaviour = self.world.behaviour(deployment)
        bad = round(behaviour.error_rate * requests)
        return [
            ProbeResult(
                500 if index < bad else 200,
                behaviour.p95_ms,
                behaviour.well_formed,
                "ValueError" if index < bad else "",
            )
            for index in range(requests)
        ]


@dataclass
class FakeAnnouncer:
    world: FakeWorld
    told: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    broken: bool = False

    def announce(self, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        self.world.touch("announce")
        if self.broken:
            raise Unavailable("the topic does not answer")
        self.told.append((event_type, data))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.told]


class FakeWorld:
    """All ports and both clocks. `down` names the ports that answer Unavailable, `refused` those that we may not use."""

    def __init__(self, *, requests_per_minute: int = 600, seed: int = 1, blue: bool = True) -> None:
        self.time, self.real = START, 1_000_000.0
        self.requests_per_minute = requests_per_minute
        self.random = random.Random(seed)
        self.behaviours: dict[str, Behaviour] = {}
        self.down: set[str] = set()
        self.refused: set[str] = set()
        self.touches, self.kill_at, self.dead = 0, 0, False
        self.store, self.endpoints = FakeStore(self), FakeEndpoints(self)
        self.metrics, self.prober, self.announcer = FakeMetrics(self), FakeProber(self), FakeAnnouncer(self)
        self.suffixes = iter(f"{number:04x}" for number in range(1, 9999))
        if blue:
            self.endpoints.add(BLUE, "churn:1")
            self.endpoints.weights = {BLUE: 100}
        self.advance(30)

    def behaviour(self, deployment: str) -> Behaviour:
        return self.behaviours.setdefault(deployment, Behaviour())

    def touch(self, what: str, *, before: bool | None = None) -> None:
        """Every contact with the world comes through here: the place to die, and the place to be down."""
        if self.dead:
            raise Killed
        self.touches += 1
        if self.kill_at and self.touches == self.kill_at:
            self.die()
        if what in self.down and before is not False:
            raise Unavailable(f"{what} does not answer")
        if what in self.refused and before is not False:
            raise NotAllowed(f"cannot {what}: not allowed (403)", way_out="grant the role")

    def die(self) -> None:
        self.dead = True
        raise Killed

    def revive(self) -> None:
        """Another process, after the dead one's lease has expired."""
        self.dead, self.kill_at = False, 0
        self.store.expire()

    def advance(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            for name, weight in self.endpoints.weights.items():
                self._sample(name, round(self.requests_per_minute * weight / 100))
            self.time += MINUTE
            self.real += 60.0

    def _sample(self, name: str, requests: int) -> None:
        behaviour = self.behaviour(name)
        if behaviour.silent or requests == 0:
            return
        errors = sum(self.random.random() < behaviour.error_rate for _ in range(requests))
        minute = self.time.replace(second=0, microsecond=0)
        self.metrics.samples.append(MinuteSample(minute, name, requests, errors, behaviour.p95_ms))

    def ports(self) -> World:
        return World(
            self.endpoints, self.metrics, self.prober, self.store, self.announcer, lambda: self.time, lambda: self.real
        )

    def controller(self, actor: str = "ann") -> Controller:
        patience = Patience(seconds=0.0)
        return Controller("churn", self.ports(), actor, patience=patience, new_suffix=lambda: next(self.suffixes))

    def drive(self, minutes: int = 90, actor: str = "ann") -> TickResult:
        """Tick once a minute until the rollout rests for good, at most so long."""
        result = self.controller(actor).tick()
        for _ in range(minutes):
            if result.finished:
                break
            self.advance()
            result = self.controller(actor).tick()
        return result


def order(model: str = "churn:2", policy: RolloutPolicy | None = None, **extra: object) -> Order:
    deployment = Deployment(instance_type="Standard_DS3_v2", instance_count=1)
    return Order(model=model, deployment=deployment, policy=policy or RolloutPolicy(), **extra)  # type: ignore[arg-type]
