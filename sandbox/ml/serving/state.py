"""Online endpoints at work: one runner per deployment, the gateway kept up to date, consoles and gauges passed on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollout.errors import Unavailable
from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.gateway.client import GatewayClient
from sandbox.gateway.routing import RoutingTable
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.envs import EnvironmentBuilder
from sandbox.ml.serving import telemetry
from sandbox.ml.serving.collecting import Collectors
from sandbox.ml.serving.materials import Materials, WorkspaceAssets
from sandbox.ml.serving.prepare import Preparer
from sandbox.ml.serving.process import ReplicaFailed, end_survivors
from sandbox.ml.serving.routing import SERVED, endpoint_route, workspace_name
from sandbox.ml.serving.rules import replica_count
from sandbox.ml.serving.runner import STARTS_AT_ONCE, Hooks, Runner

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

log = logging.getLogger("sandbox.ml.serving")

ENDPOINT_TYPE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
DEPLOYMENT_TYPE = f"{ENDPOINT_TYPE}/deployments"
#: How often the state looks for deleted documents, new console lines, faults and a gateway that started anew.
ROUND_SECONDS = 0.5
_STOP_GRACE = 3.0


class ServingState:
    """Endpoints of all workspaces. `materials`: where models and code come from, the workspaces' assets by default."""

    def __init__(self, sandbox: Sandbox, materials: Materials | None = None) -> None:
        self.sandbox = sandbox
        self.root = sandbox.home / "serving"
        self.gateway = GatewayClient(sandbox.settings)
        self.runners: dict[str, Runner] = {}
        self._endpoints: set[str] = set()
        self.materials = materials or WorkspaceAssets(sandbox)
        self._preparer = Preparer(EnvironmentBuilder(sandbox.home), self.materials)
        self._source, self._version = uuid.uuid4().hex, 0
        self._published: RoutingTable | None = None
        self._publishing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._telemetry = telemetry.Telemetry(sandbox)
        self._collectors = Collectors(sandbox)

    @property
    def arm(self) -> ArmState:
        state: ArmState = self.sandbox.states["arm"]
        return state

    async def start(self) -> None:
        """Ends what a killed sandbox left, brings deployments that had succeeded back in the background."""
        self._endpoints = {each.key for each in self.arm.of_type(ENDPOINT_TYPE)}
        if self.root.exists() and (ended := end_survivors(self.root)):
            log.info("ended %s replicas of the last run", ended)
        self._tasks = [asyncio.create_task(self._restore()), asyncio.create_task(self._rounds())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(runner.halt(_STOP_GRACE) for runner in self.runners.values()))
        self.runners.clear()
        await self._collectors.stop()
        await self.gateway.close()

    def reset(self) -> None:
        """All replicas end now; the gateway hears of it in the next round."""
        for runner in self.runners.values():
            runner.kill()
        self.runners.clear()
        shutil.rmtree(self.root, ignore_errors=True)

    # Documents

    def endpoints(self) -> list[Resource]:
        """All of the sandbox. Ids are remembered, so that a round need not read every document."""
        found = [each for key in sorted(self._endpoints) if (each := self.arm.get(key)) is not None]
        self._endpoints = {each.key for each in found}
        return found

    def remember(self, endpoint: Resource) -> None:
        self._endpoints.add(endpoint.key)

    def deployments(self, endpoint_id: str) -> dict[str, Resource]:
        return {each.name: each for each in self.arm.children(endpoint_id, DEPLOYMENT_TYPE)}

    def workspace_of(self, resource: Resource) -> Resource:
        workspace = self.arm.get(resource.id.lower().partition("/onlineendpoints/")[0])
        if workspace is None:
            raise AzureError(404, "ResourceNotFound", f"The workspace of '{resource.name}' was deleted.")
        return workspace

    def folder(self, deployment: Resource) -> Path:
        """Where the deployment's model, code, logs and pid files are."""
        identity = parse(deployment.id)
        return self.root / workspace_name(deployment.id).lower() / identity.names[-2].lower() / identity.name.lower()

    # Work

    async def deploy(self, deployment: Resource) -> None:
        """The deployment's instances run what its document says; AzureError (and the old ones still run) otherwise."""
        workspace, folder = self.workspace_of(deployment), self.folder(deployment)
        spec = await self._preparer.prepare(deployment, workspace, folder)
        spec = spec.with_variables(await self._collectors.open(deployment, workspace, folder))
        runner = self.runners.get(deployment.key) or self._new_runner(deployment, folder)
        self.runners[deployment.key] = runner
        self._telemetry.write_faults(deployment.id, folder)
        try:
            await runner.deploy(spec, replica_count(deployment))
        except ReplicaFailed as error:
            raise AzureError(
                400,
                "ResourceNotReady",
                f"User container has crashed or terminated: {error}. See the deployment's logs (get_logs).",
            ) from error

    async def remove(self, deployment: Resource) -> None:
        """Drains and ends the deployment's instances and deletes its folder."""
        if (runner := self.runners.pop(deployment.key, None)) is not None:
            await runner.stop()
        await self._collectors.close(deployment.key)
        self._telemetry.forget(self.folder(deployment))
        await asyncio.to_thread(shutil.rmtree, self.folder(deployment), True)

    async def publish(self) -> None:
        """Tells the gateway what is true now. While the gateway is away, the next rounds try again."""
        async with self._publishing:
            table = self._table()
            self._version += 1
            numbered = table.model_copy(update={"source": self._source, "version": self._version})
            try:
                await self.gateway.apply(numbered)
            except Unavailable as error:
                if self._published is not None:
                    log.warning("the gateway was not told of a change: %s", error.message)
                self._published = None
            else:
                self._published = table

    def _table(self) -> RoutingTable:
        replicas = {key: runner.routes() for key, runner in self.runners.items()}
        routes = [endpoint_route(each, self.deployments(each.id).values(), replicas) for each in self.endpoints()]
        return RoutingTable(endpoints=tuple(routes))

    def _new_runner(self, deployment: Resource, folder: Path) -> Runner:
        identity = parse(deployment.id)
        endpoint = (workspace_name(deployment.id), identity.names[-2])

        async def drain(replica: str) -> None:
            served = self.arm.get(deployment.id) or deployment
            limit = telemetry.drain_seconds(served)
            try:
                left = await self.gateway.drain(endpoint, deployment.name, replica, limit)
            except Unavailable:
                return  # without a gateway nothing is in flight
            if left:
                log.warning("%s: %s requests outlived their time-out", replica, left)

        return Runner(deployment.id, folder, Hooks(self.publish, drain))

    # Rounds

    async def _restore(self) -> None:
        await self.publish()
        gate = asyncio.Semaphore(STARTS_AT_ONCE)
        served = [each for each in self.arm.of_type(DEPLOYMENT_TYPE) if each.private.get(SERVED)]
        await asyncio.gather(*(self._bring_back(each, gate) for each in served))

    async def _bring_back(self, deployment: Resource, gate: asyncio.Semaphore) -> None:
        document: dict[str, Any] = deployment.private[SERVED]
        deployment.properties, deployment.sku = document["properties"], document["sku"]
        self._telemetry.resume(self.folder(deployment))
        async with gate:
            try:
                await self.deploy(deployment)
            except AzureError as error:
                log.warning("%s did not come back: %s", deployment.id, error.message)
                self._mark_failed(deployment.id)

    def _mark_failed(self, deployment_id: str) -> None:
        if (current := self.arm.get(deployment_id)) is not None:
            current.provisioning_state = "Failed"
            self.arm.put(current)

    async def _rounds(self) -> None:
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            try:
                await self._round()
            except Exception:  # the next round must come, whatever this one met
                log.exception("a round of the serving state failed")

    async def _round(self) -> None:
        await self._end_orphans()
        if self._published is None or self._table() != self._published or not await self._gateway_knows():
            await self.publish()
        await asyncio.to_thread(self._telemetry.round, list(self.runners.values()))
        await asyncio.to_thread(self._collectors.round)

    async def _end_orphans(self) -> None:
        """Replicas of deployments that were deleted with their group, workspace or endpoint."""
        for key in [key for key in self.runners if self.arm.get(key) is None]:
            runner = self.runners.pop(key)
            await runner.halt(_STOP_GRACE)
            await self._collectors.close(key)
            self._telemetry.forget(runner.folder)
            await asyncio.to_thread(shutil.rmtree, runner.folder, True)

    async def _gateway_knows(self) -> bool:
        with contextlib.suppress(Unavailable):
            status = await self.gateway.status()
            return bool(status["source"] == self._source and status["version"] == self._version)
        return False
