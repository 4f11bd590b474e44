"""A gateway in the test's own loop, with backends whose behaviour the test chooses and a sink for access records."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.gateway.client import GatewayClient
from sandbox.gateway.http import Connections, Request, Response, ServerProtocol
from sandbox.gateway.routing import DeploymentRoute, EndpointRoute, ReplicaRoute, RoutingTable
from sandbox.gateway.server import serve
from sandbox.kernel.settings import LOOPBACK, new_settings, save_settings
from sandbox.kernel.tls import client_context, server_context, tls_files

Behaviour = Callable[[Request], Awaitable[Response]]
KEY = "a-key"


def ok(body: bytes = b"[1]") -> Behaviour:
    async def answer(_: Request) -> Response:
        return Response(200, [(b"content-type", b"application/json")], body)

    return answer


def slow(seconds: float) -> Behaviour:
    async def answer(_: Request) -> Response:
        await asyncio.sleep(seconds)
        return Response(200, [], b"[1]")

    return answer


def status(code: int) -> Behaviour:
    async def answer(_: Request) -> Response:
        return Response(code, [], b'{"message": "broken"}')

    return answer


@dataclass
class Backend:
    """A replica. `requests` are those that it saw."""

    name: str
    behaviour: Behaviour
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    async def start(self) -> None:
        self._connections = Connections()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ServerProtocol(self._handle, self._connections), LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _handle(self, request: Request) -> Response:
        self.requests.append(request)
        return await self.behaviour(request)

    def die(self) -> None:
        """As a killed process does: the port closes, open connections break."""
        self._server.close()
        for connection in list(self._connections.open):
            connection._transport.abort()

    @property
    def route(self) -> ReplicaRoute:
        return ReplicaRoute(name=self.name, port=self.port)


class Rig:
    """`async with Rig(home) as rig`: then `backend`, `publish`, `post`, and `records` once they were shipped."""

    def __init__(self, home: Path) -> None:
        self.home, self.settings = home, new_settings(now=time.time())
        self.records: list[dict[str, Any]] = []
        #: Object ids that the control process lets score by Entra token.
        self.scorers: set[str] = set()
        self._backends: list[Backend] = []
        self._version = 0

    async def __aenter__(self) -> Rig:
        save_settings(self.home, self.settings)
        tls_files(self.home)
        await self.open_sink()
        self.client = GatewayClient(self.settings)
        await self.start_gateway()
        self.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()
        await self.client.close()
        await self.stop_gateway()
        self.close_sink()
        for backend in self._backends:
            backend.die()

    async def start_gateway(self) -> None:
        ready, self._stop = asyncio.Event(), asyncio.Event()
        self._serving = asyncio.create_task(serve(self.home, ready, self._stop))
        await asyncio.wait({self._serving, asyncio.create_task(ready.wait())}, return_when="FIRST_COMPLETED")
        if self._serving.done():
            await self._serving

    async def stop_gateway(self) -> None:
        self._stop.set()
        await self._serving

    async def open_sink(self) -> None:
        async def take(request: Request) -> Response:
            assert request.header(b"authorization") == f"Bearer {self.settings.internal_token}".encode()
            if request.target.endswith(b"/internal/may-score"):
                allowed = json.loads(request.body)["objectId"] in self.scorers
                return Response(
                    200, [(b"content-type", b"application/json")], json.dumps({"allowed": allowed}).encode()
                )
            self.records += json.loads(request.body)
            return Response(200, [], b"{}")

        loop, tls = asyncio.get_running_loop(), server_context(tls_files(self.home))
        port = self.settings.ports["admin"]
        self._sinks = Connections()
        self._sink = await loop.create_server(lambda: ServerProtocol(take, self._sinks), LOOPBACK, port, ssl=tls)

    def close_sink(self) -> None:
        self._sink.close()
        for connection in list(self._sinks.open):
            connection._transport.abort()

    async def backend(self, name: str, behaviour: Behaviour | None = None) -> Backend:
        backend = Backend(name, behaviour or ok())
        await backend.start()
        self._backends.append(backend)
        return backend

    async def publish(self, *endpoints: EndpointRoute) -> None:
        self._version += 1
        await self.client.apply(RoutingTable(source="test", version=self._version, endpoints=endpoints))

    async def post(self, body: bytes = b"[]", path: str = "/ws/churn/score", **headers: str) -> Answer:
        given = {"authorization": f"Bearer {KEY}"} | {key.replace("_", "-"): value for key, value in headers.items()}
        url = self.settings.url("gateway") + path
        tls = client_context(tls_files(self.home))
        start = time.perf_counter()
        async with self.session.post(url, data=body, headers=given, ssl=tls) as response:
            text = await response.text()
        seconds = time.perf_counter() - start
        return Answer(response.status, {key.lower(): value for key, value in response.headers.items()}, text, seconds)

    async def shipped(self, count: int) -> list[dict[str, Any]]:
        """The records, once there are `count`."""
        async with asyncio.timeout(5):
            while len(self.records) < count:
                await asyncio.sleep(0.05)
        return self.records


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str
    seconds: float

    @property
    def deployment(self) -> str:
        return self.headers.get("azureml-model-deployment", "")


def deployment(name: str, *backends: Backend, **limits: Any) -> DeploymentRoute:
    return DeploymentRoute(
        name=name, replicas=tuple(backend.route for backend in backends), **{"max_concurrent": 50, **limits}
    )


def endpoint(*deployments: DeploymentRoute, **fields: Any) -> EndpointRoute:
    """The endpoint `churn` of workspace `ws`, all traffic to the first deployment unless said otherwise."""
    base = {"traffic": {deployments[0].name: 100} if deployments else {}, "keys": (KEY, "the-second-key")}
    return EndpointRoute(workspace="ws", name="churn", region="eastus", deployments=deployments, **{**base, **fields})


def run(home: Path, story: Callable[[Rig], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Rig(home) as rig:
            await story(rig)

    asyncio.run(main())
