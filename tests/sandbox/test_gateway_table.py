"""The table's promises, tried with many inputs: shares follow weights, limits hold, no slot is ever lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sandbox.gateway.routing import DeploymentRoute, EndpointRoute, ReplicaRoute, RoutingTable
from sandbox.gateway.table import Deployment, NoReplica, Replica, Saturated, Splitter, Table


def route(replicas: int, **limits: Any) -> DeploymentRoute:
    rows = tuple(ReplicaRoute(name=f"r{number}", port=1000 + number) for number in range(replicas))
    return DeploymentRoute(name="blue", replicas=rows, **limits)


@given(weight=st.integers(0, 100), start=st.floats(0, 0.999), count=st.integers(50, 600), skip=st.integers(1, 7))
def test_any_stretch_of_requests_is_split_by_weight(weight: int, start: float, count: int, skip: int) -> None:
    splitter = Splitter(start)
    weights = (("blue", 100 - weight), ("green", weight))
    picks = [splitter.pick(weights) for _ in range(count * skip)]
    green = picks.count("green")
    assert abs(green - len(picks) * weight / 100) <= 8
    # A client whose every n-th request is of one kind is split all the same.
    every = picks[::skip]
    assert abs(every.count("green") / len(every) - weight / 100) < 0.2


@settings(max_examples=60, deadline=None)
@given(
    replicas=st.integers(1, 3),
    concurrent=st.integers(1, 3),
    steps=st.lists(st.sampled_from(["ask", "finish", "give up", "drain", "grow"]), min_size=5, max_size=60),
)
def test_whatever_happens_no_slot_is_lost_and_no_limit_is_passed(
    replicas: int, concurrent: int, steps: list[str]
) -> None:
    async def story() -> None:
        slots = Slots(replicas, concurrent)
        for step in steps:
            await slots.take(step)
            assert all(0 <= replica.in_flight <= concurrent for replica in slots.seen)
        await slots.give_all_back()
        assert all(replica.in_flight == 0 for replica in slots.seen)
        assert slots.deployment.outstanding == 0

    asyncio.run(story())


class Slots:
    """Callers of one deployment: some wait, some hold a replica."""

    def __init__(self, replicas: int, concurrent: int) -> None:
        self._replicas, self._concurrent = replicas, concurrent
        self.deployment = Deployment(route(replicas, max_concurrent=concurrent))
        self._waiting: list[asyncio.Task[Replica]] = []
        self._held: list[Replica] = []
        self.seen = set(self.deployment.replicas.values())

    async def take(self, step: str) -> None:
        if step == "ask":
            self._waiting.append(asyncio.create_task(self.deployment.acquire(time.monotonic() + 60)))
        elif step == "finish" and self._held:
            self.deployment.release(self._held.pop(0))
        elif step == "give up" and self._waiting:
            self._waiting[-1].cancel()
        elif step == "drain" and len(self.deployment.replicas) > 1:
            await self.deployment.drain(next(iter(self.deployment.replicas)), 0.0001)
        elif step == "grow":
            self._replicas += 1
            self.deployment.update(route(self._replicas, max_concurrent=self._concurrent))
            self.seen |= set(self.deployment.replicas.values())
        await self._settle()

    async def give_all_back(self) -> None:
        for task in self._waiting:
            task.cancel()
        await self._settle()
        while self._held:
            self.deployment.release(self._held.pop())
            await self._settle()

    async def _settle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        for task in [task for task in self._waiting if task.done()]:
            self._waiting.remove(task)
            if task.cancelled():
                continue
            if (error := task.exception()) is None:
                self._held.append(task.result())
            else:
                assert isinstance(error, Saturated)


def test_who_waits_is_told_when_the_last_replica_goes() -> None:
    async def story() -> None:
        deployment = Deployment(route(1))
        await deployment.acquire(time.monotonic() + 1)
        waiter = asyncio.create_task(deployment.acquire(time.monotonic() + 10))
        await asyncio.sleep(0)
        deployment.close()
        with pytest.raises(NoReplica):
            await waiter

    asyncio.run(story())


def test_an_older_table_never_replaces_a_newer_one_but_a_new_control_process_does() -> None:
    async def story() -> None:
        table = Table()
        assert table.apply(RoutingTable(source="a", version=5))
        assert not table.apply(RoutingTable(source="a", version=4))
        assert table.apply(RoutingTable(source="b", version=1))

    asyncio.run(story())


def test_a_table_whose_weights_name_no_deployment_is_refused() -> None:
    with pytest.raises(ValidationError, match="weights name no deployment: green"):
        EndpointRoute(workspace="w", name="e", region="r", traffic={"green": 100})
