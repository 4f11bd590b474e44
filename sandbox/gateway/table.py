"""The table at work: which deployment answers next, which replica has room, who waits. One loop, no locks."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterator

from sandbox.gateway.routing import DeploymentRoute, EndpointRoute, ReplicaRoute, RoutingTable
from sandbox.gateway.upstream import UpstreamPool

#: How long a replica that refused a connection is left alone while another one has room.
COOL_OFF_SECONDS = 0.25
#: Azure lets this many times the concurrent requests be outstanding before it answers 429.
OUTSTANDING_FACTOR = 2
_GOLDEN = 0.6180339887498949


class NoReplica(Exception):
    """No replica is ready."""


class Saturated(Exception):
    """Too many requests are outstanding, or one waited too long."""


class Splitter:
    """Shares in proportion to weights over any stretch of requests, in an order that no client's pattern can lock on to."""

    __slots__ = ("_position",)

    def __init__(self, start: float | None = None) -> None:
        # Spreads load; decides nothing secret.
        self._position = random.random() if start is None else start  # nosec B311

    def draw(self) -> float:
        """The next point of a golden-ratio sequence, in [0, 100)."""
        self._position = (self._position + _GOLDEN) % 1.0
        return self._position * 100.0

    def pick(self, weights: tuple[tuple[str, int], ...]) -> str | None:
        """A name by its weight in percent; None for the part that the weights leave to nobody."""
        point = self.draw()
        for name, weight in weights:
            point -= weight
            if point < 0:
                return name
        return None


class Replica:
    """One process. `in_flight` requests are with it now."""

    __slots__ = ("down_until", "draining", "idle", "in_flight", "name", "pool")

    def __init__(self, route: ReplicaRoute) -> None:
        self.name, self.pool = route.name, UpstreamPool(route.port)
        self.in_flight, self.draining, self.down_until = 0, False, 0.0
        self.idle = asyncio.Event()
        self.idle.set()

    def cool_off(self) -> None:
        self.down_until = time.monotonic() + COOL_OFF_SECONDS


class Deployment:
    """Replicas with room for `max_concurrent` requests each, and a queue before them."""

    def __init__(self, route: DeploymentRoute) -> None:
        self.route = route
        self.replicas: dict[str, Replica] = {}
        self._draining: dict[str, Replica] = {}
        self._waiters: deque[asyncio.Future[Replica]] = deque()
        self._turn = 0
        self.update(route)

    @property
    def outstanding(self) -> int:
        running = sum(replica.in_flight for replica in self.replicas.values())
        return running + len(self._waiters)

    def update(self, route: DeploymentRoute) -> None:
        """Takes over `route`: kept replicas keep their requests; those gone get no new ones and finish theirs."""
        self.route = route
        wanted = {replica.name: replica for replica in route.replicas}
        for name in self.replicas.keys() - wanted.keys():
            self._retire(self.replicas.pop(name))
        for name, replica in list(self._draining.items()):
            if name not in wanted and replica.in_flight == 0:
                del self._draining[name]
        for name, replica_route in wanted.items():
            if name not in self.replicas and name not in self._draining:
                self.replicas[name] = Replica(replica_route)
        self._hand_out()

    async def acquire(self, deadline: float) -> Replica:
        """A replica with room, held until `release`. `deadline` is of `time.monotonic()`. Raises NoReplica, Saturated."""
        if not self.replicas:
            raise NoReplica
        if not self._waiters and (replica := self._free()) is not None:
            return self._hold(replica)
        if self.outstanding >= OUTSTANDING_FACTOR * self.route.max_concurrent * len(self.replicas):
            raise Saturated
        if self.route.queue_ms is not None:
            deadline = min(deadline, time.monotonic() + self.route.queue_ms / 1000)
        waiter: asyncio.Future[Replica] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                return await waiter
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                raise Saturated from error
            raise

    def release(self, replica: Replica) -> None:
        replica.in_flight -= 1
        if replica.in_flight == 0:
            replica.idle.set()
            if replica.draining:
                replica.pool.close()
        self._hand_out()

    async def drain(self, name: str, deadline_seconds: float) -> int:
        """No new requests to `name` from now on. How many are still with it when they ended or time was up."""
        replica = self.replicas.pop(name, None) or self._draining.get(name)
        if replica is None:
            return 0
        self._retire(replica)
        self._hand_out()
        try:
            async with asyncio.timeout(deadline_seconds):
                await replica.idle.wait()
        except TimeoutError:
            return replica.in_flight
        return 0

    def close(self) -> None:
        """The deployment is gone: who waits is told, who is served is served."""
        for replica in [*self.replicas.values()]:
            self._retire(replica)
        self.replicas.clear()
        self._hand_out()

    def pools(self) -> Iterator[UpstreamPool]:
        return (replica.pool for replica in [*self.replicas.values(), *self._draining.values()])

    def _retire(self, replica: Replica) -> None:
        self._draining[replica.name] = replica
        replica.draining = True
        if replica.in_flight == 0:
            replica.pool.close()

    def _free(self) -> Replica | None:
        """The least busy replica with room; in turn among equals; one that refused lately only when no other has room."""
        candidates = [r for r in self.replicas.values() if r.in_flight < self.route.max_concurrent]
        if not candidates:
            return None
        self._turn += 1
        offset, now = self._turn % len(candidates), time.monotonic()
        turned = candidates[offset:] + candidates[:offset]
        return min(turned, key=lambda r: (r.down_until > now, r.in_flight))

    def _hold(self, replica: Replica) -> Replica:
        replica.in_flight += 1
        replica.idle.clear()
        return replica

    def _hand_out(self) -> None:
        while self._waiters:
            if not self.replicas:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_exception(NoReplica())
                continue
            if (replica := self._free()) is None:
                return
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(self._hold(replica))

    def _leave(self, waiter: asyncio.Future[Replica]) -> None:
        """Who stops waiting gives back what came at the same moment."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.release(waiter.result())


class Endpoint:
    """An endpoint's deployments, keys and splits."""

    def __init__(self, route: EndpointRoute) -> None:
        self.deployments: dict[str, Deployment] = {}
        self._live, self._copies = Splitter(), Splitter()
        self.update(route)

    def update(self, route: EndpointRoute) -> None:
        """Takes over `route` between two requests, so none is lost."""
        self.route = route
        self.keys = tuple(key.encode() for key in route.keys)
        wanted = {deployment.name: deployment for deployment in route.deployments}
        for name in self.deployments.keys() - wanted.keys():
            self.deployments.pop(name).close()
        for name, deployment in wanted.items():
            if name in self.deployments:
                self.deployments[name].update(deployment)
            else:
                self.deployments[name] = Deployment(deployment)
        self._traffic = tuple(sorted((name, weight) for name, weight in route.traffic.items() if weight))
        self._mirror = tuple(sorted((name, weight) for name, weight in route.mirror.items() if weight))

    def choose(self) -> Deployment | None:
        """The deployment whose turn it is; None when none has traffic."""
        name = self._live.pick(self._traffic) if self._traffic else None
        return self.deployments[name] if name is not None else None

    def choose_mirror(self) -> Deployment | None:
        """The deployment that gets a copy of this request, if any."""
        name = self._copies.pick(self._mirror) if self._mirror else None
        return self.deployments[name] if name is not None else None

    def close(self) -> None:
        for deployment in self.deployments.values():
            deployment.close()


class Table:
    """Endpoints by path and by public host name."""

    def __init__(self) -> None:
        self.current = RoutingTable()
        self.endpoints: dict[tuple[str, str], Endpoint] = {}
        self._hosts: dict[str, Endpoint] = {}

    def apply(self, table: RoutingTable) -> bool:
        """Whether `table` was taken over: not when it is older than the one in force from the same source."""
        if table.source == self.current.source and table.version < self.current.version:
            return False
        wanted = {(route.workspace.lower(), route.name.lower()): route for route in table.endpoints}
        for key in self.endpoints.keys() - wanted.keys():
            self.endpoints.pop(key).close()
        for key, route in wanted.items():
            if key in self.endpoints:
                self.endpoints[key].update(route)
            else:
                self.endpoints[key] = Endpoint(route)
        self._hosts = {public_host(e.route.name, e.route.region): e for e in self.endpoints.values()}
        self.current = table
        return True

    def by_path(self, workspace: str, name: str) -> Endpoint | None:
        return self.endpoints.get((workspace.lower(), name.lower()))

    def by_host(self, host: str) -> Endpoint | None:
        return self._hosts.get(host.lower())

    def pools(self) -> Iterator[UpstreamPool]:
        for endpoint in self.endpoints.values():
            for deployment in endpoint.deployments.values():
                yield from deployment.pools()


def public_host(endpoint: str, region: str) -> str:
    """The host name that Azure gives the endpoint."""
    return f"{endpoint}.{region}.inference.ml.azure.com".lower()
