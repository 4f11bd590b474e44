"""The instances of one deployment: made, scaled and replaced without dropping a request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sandbox.gateway.routing import ReplicaRoute
from sandbox.ml.serving.instance import Instance
from sandbox.ml.serving.spec import ReplicaSpec

#: Instances that load their model at the same time; more would only slow one another down.
STARTS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a runner needs from outside: `changed` publishes the routes, `drain` waits until a replica has none left."""

    changed: Callable[[], Awaitable[None]]
    drain: Callable[[str], Awaitable[None]]


class Runner:
    """Replicas of one deployment. One change at a time; scoring goes on meanwhile."""

    def __init__(self, deployment_id: str, folder: Path, hooks: Hooks) -> None:
        self.deployment_id, self.name = deployment_id, deployment_id.rsplit("/", 1)[-1]
        self.folder, self._hooks = folder, hooks
        self.instances: list[Instance] = []
        self.spec: ReplicaSpec | None = None
        self._starting: set[Instance] = set()
        self._change = asyncio.Lock()

    def routes(self) -> tuple[ReplicaRoute, ...]:
        """The replicas that are ready."""
        return tuple(ReplicaRoute(name=each.name, port=each.port) for each in self.instances if each.ready)

    @property
    def restarts(self) -> int:
        return sum(instance.restarts for instance in self.instances)

    async def deploy(self, spec: ReplicaSpec, count: int) -> None:
        """`count` ready instances of `spec`. New ones are ready before old ones go; if they fail (ReplicaFailed),
        the old ones stay as they were."""
        async with self._change:
            kept = self.instances[:count] if spec == self.spec else []
            new = await self._start(spec, count - len(kept))
            gone = [instance for instance in self.instances if instance not in kept]
            self.instances = [*kept, *new, *gone]
            await self._hooks.changed()
            await asyncio.gather(*(self._retire(instance) for instance in gone))
            self.instances, self.spec = [*kept, *new], spec
            await self._hooks.changed()
            await asyncio.gather(*(instance.stop() for instance in gone))

    async def stop(self) -> None:
        """Drains and ends all."""
        async with self._change:
            gone, self.spec = self.instances, None
            await asyncio.gather(*(self._retire(instance) for instance in gone))
            self.instances = []
            await self._hooks.changed()
            await asyncio.gather(*(instance.stop() for instance in gone))

    async def halt(self, grace: float) -> None:
        """Ends all within `grace` seconds, without draining."""
        gone, self.instances, self.spec = [*self.instances, *self._starting], [], None
        await asyncio.gather(*(instance.stop(grace) for instance in gone))

    def kill(self) -> None:
        """Ends all now; requests in flight are lost."""
        for instance in [*self.instances, *self._starting]:
            instance.kill()
        self.instances, self.spec = [], None

    async def _start(self, spec: ReplicaSpec, count: int) -> list[Instance]:
        new = [Instance(spec, self.folder, self.name, self._hooks.changed) for _ in range(count)]
        gate = asyncio.Semaphore(STARTS_AT_ONCE)

        async def start(instance: Instance) -> None:
            async with gate:
                await instance.start()

        self._starting.update(new)
        try:
            async with asyncio.TaskGroup() as group:
                for instance in new:
                    group.create_task(start(instance))
        except BaseException as error:
            await asyncio.gather(*(instance.stop() for instance in new))
            if isinstance(error, ExceptionGroup):
                raise error.exceptions[0] from error
            raise
        finally:
            self._starting.difference_update(new)
        return new

    async def _retire(self, instance: Instance) -> None:
        if instance.ready:
            await self._hooks.drain(instance.name)
