"""The control process's side of the gateway's admin port."""

from __future__ import annotations

from typing import Any

import aiohttp

from rollout.errors import Unavailable
from sandbox.gateway.routing import RoutingTable
from sandbox.kernel.settings import Settings


class GatewayClient:
    """Calls raise `Unavailable` while the gateway is not running."""

    def __init__(self, settings: Settings) -> None:
        self._base, self._token = settings.url("gateway_admin"), settings.internal_token
        self._session: aiohttp.ClientSession | None = None

    async def apply(self, table: RoutingTable) -> int:
        """Pushes the whole table; the version that is in force then."""
        answer = await self._call("PUT", "/routes", table.model_dump(mode="json"))
        return int(answer["version"])

    async def drain(self, endpoint: tuple[str, str], deployment: str, replica: str, seconds: float) -> int:
        """Stops new requests to a replica of `endpoint` (workspace, name); how many it still had after `seconds`."""
        workspace, name = endpoint
        order = {
            "workspace": workspace, "endpoint": name, "deployment": deployment, "replica": replica, "seconds": seconds,
        }  # fmt: skip
        return int((await self._call("POST", "/drain", order, seconds + 10))["in_flight"])

    async def status(self) -> dict[str, Any]:
        return await self._call("GET", "/status", None, 5)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, method: str, path: str, body: object, seconds: float = 30) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"authorization": f"Bearer {self._token}"})
        timeout = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._session.request(method, self._base + path, json=body, timeout=timeout) as response:
                answer: dict[str, Any] = await response.json()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(
                f"The sandbox's gateway does not answer on {self._base}: {error}", way_out="rollout sandbox up"
            ) from error
        if response.status != 200:
            raise Unavailable(f"The sandbox's gateway refused {method} {path}: {answer.get('error')}")
        return answer
