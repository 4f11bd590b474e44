"""One scoring request through the gateway: find, authenticate, choose, queue, forward, answer, record, mirror.

Status codes are those that Azure documents for managed online endpoints: 401, 404 (no deployment with
traffic), 408 (time-out), 413, 424 (the scorer answered with anything but 200), 429 (too many outstanding).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from urllib.parse import unquote

from sandbox.gateway.access import AccessLog
from sandbox.gateway.auth import Denied, Gatekeeper
from sandbox.gateway.http import Headers, Request, Response, plain
from sandbox.gateway.table import Deployment, Endpoint, NoReplica, Replica, Saturated, Table
from sandbox.gateway.upstream import Broken, Refused, TimedOut, TooLarge

#: Copies in flight at most; more are left out, so that a slow mirror costs the live traffic nothing.
MIRROR_LIMIT = 256
_METHODS = frozenset((b"GET", b"POST", b"OPTIONS"))
_PATHS = frozenset(("/score", "/swagger.json", "/"))
_NOT_FORWARDED = frozenset((
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"host", b"content-length", b"expect", b"authorization", b"x-request-id",
    b"azureml-model-deployment",
))  # fmt: skip
_NOT_RETURNED = frozenset((
    b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"x-request-id", b"server", b"date",
))  # fmt: skip
_NO_DEPLOYMENT = (
    "No valid deployments to route to. Please check that the endpoint has at least one deployment with positive weight"
    " values or use a deployment specific header to route."
)


class Outcome:
    """A deployment's answer and the scorer's own status (0: it gave none)."""

    __slots__ = ("model_status", "response")

    def __init__(self, response: Response, model_status: int = 0) -> None:
        self.response, self.model_status = response, model_status


class Gateway:
    """The handler of the scoring port."""

    def __init__(self, table: Table, gatekeeper: Gatekeeper, access: AccessLog) -> None:
        self.table, self._gatekeeper, self.access = table, gatekeeper, access
        self.statuses: Counter[int] = Counter()
        self.mirrored = self.mirrors_left_out = 0
        self._mirrors: set[asyncio.Task[None]] = set()

    async def handle(self, request: Request) -> Response:
        request_id = str(uuid.uuid4())
        endpoint, path = self._locate(request)
        if endpoint is None:
            response, name, model_status = plain(404, "The scoring URI names no endpoint."), "", 0
        else:
            response, name, model_status = await self._answer(endpoint, path, request, request_id)
            self._record(endpoint, name, request, request_id, Outcome(response, model_status))
        headers = response.headers
        headers.append((b"x-request-id", request_id.encode()))
        if name:
            headers.append((b"azureml-model-deployment", name.encode()))
        client_id = request.header(b"x-ms-client-request-id")
        if client_id is not None and not any(key == b"x-ms-client-request-id" for key, _ in headers):
            headers.append((b"x-ms-client-request-id", client_id))
        self.statuses[response.status] += 1
        return response

    async def finish_mirrors(self, deadline_seconds: float) -> None:
        if self._mirrors:
            await asyncio.wait(self._mirrors, timeout=deadline_seconds)

    def _locate(self, request: Request) -> tuple[Endpoint | None, str]:
        """The endpoint and the path below it, query included."""
        target, _, query = request.target.decode("latin-1").partition("?")
        tail = f"?{query}" if query else ""
        host = (request.header(b"host") or b"").decode("latin-1").partition(":")[0]
        if (endpoint := self.table.by_host(host)) is not None:
            return endpoint, target + tail
        parts = target.split("/", 3)
        if len(parts) < 4:
            return None, ""
        return self.table.by_path(unquote(parts[1]), unquote(parts[2])), f"/{parts[3]}{tail}"

    async def _answer(
        self, endpoint: Endpoint, path: str, request: Request, request_id: str
    ) -> tuple[Response, str, int]:
        try:
            await self._gatekeeper.check(endpoint, request.header(b"authorization"))
        except Denied as denied:
            return plain(401, str(denied)), "", 0
        if request.method not in _METHODS:
            return plain(405, "method not allowed"), "", 0
        if path.partition("?")[0] not in _PATHS:
            return plain(404, "not found"), "", 0
        pinned = request.header(b"azureml-model-deployment")
        if pinned is not None:
            deployment = endpoint.deployments.get(pinned.decode("latin-1"))
            if deployment is None:
                return plain(404, "Specified deployment could not be found."), "", 0
        elif (deployment := endpoint.choose()) is None:
            return plain(404, _NO_DEPLOYMENT), "", 0
        if pinned is None and request.method == b"POST" and (copy := endpoint.choose_mirror()) is not None:
            self._start_mirror(endpoint, copy, path, request, request_id)
        outcome = await _score(deployment, path, request, request_id)
        return outcome.response, deployment.route.name, outcome.model_status

    def _start_mirror(
        self, endpoint: Endpoint, deployment: Deployment, path: str, request: Request, request_id: str
    ) -> None:
        if len(self._mirrors) >= MIRROR_LIMIT:
            self.mirrors_left_out += 1
            return
        task = asyncio.create_task(self._mirror(endpoint, deployment, path, request, request_id))
        self._mirrors.add(task)
        task.add_done_callback(self._mirrors.discard)

    async def _mirror(
        self, endpoint: Endpoint, deployment: Deployment, path: str, request: Request, request_id: str
    ) -> None:
        self.mirrored += 1
        outcome = await _score(deployment, path, request, request_id)
        self._record(endpoint, deployment.route.name, request, request_id, outcome, mirrored=True)

    def _record(
        self,
        endpoint: Endpoint,
        deployment: str,
        request: Request,
        request_id: str,
        outcome: Outcome,
        *,
        mirrored: bool = False,
    ) -> None:
        self.access.add(
            {
                "t": time.time(),
                "workspace": endpoint.route.workspace,
                "endpoint": endpoint.route.name,
                "deployment": deployment,
                "status": outcome.response.status,
                "ms": round((time.perf_counter() - request.started) * 1000, 3),
                "mirrored": mirrored,
                "id": request_id,
                "model_status": outcome.model_status,
                "method": request.method.decode("latin-1"),
                "path": request.target.decode("latin-1"),
                "request_bytes": len(request.body),
                "response_bytes": len(outcome.response.body),
                "client_request_id": (request.header(b"x-ms-client-request-id") or b"").decode("latin-1"),
                "auth": endpoint.route.auth_mode,
                "user_agent": (request.header(b"user-agent") or b"").decode("latin-1"),
            }
        )


async def _score(deployment: Deployment, path: str, request: Request, request_id: str) -> Outcome:
    """The answer of one of the deployment's replicas, within its time-out."""
    deadline = time.monotonic() + deployment.route.timeout_ms / 1000
    encoded = _encode(path, request, request_id)
    for _ in range(max(1, len(deployment.replicas))):
        try:
            replica = await deployment.acquire(deadline)
        except NoReplica:
            break
        except Saturated:
            return Outcome(plain(429, "too many requests for the deployment"))
        try:
            outcome = await _ask(replica, encoded, deadline)
        finally:
            deployment.release(replica)
        if outcome is not None:
            return outcome
    return Outcome(plain(503, "no healthy upstream"))


async def _ask(replica: Replica, encoded: bytes, deadline: float) -> Outcome | None:
    """None when the replica was not reached, so that the next one may be asked: nothing was sent."""
    start = time.monotonic()
    try:
        answer = await replica.pool.exchange(encoded, max(0.001, deadline - start))
    except Refused:
        replica.cool_off()
        return None
    except Broken as error:
        replica.cool_off()
        # Not asked again: the scorer may have begun, and may be what ended it.
        text = f"upstream connect error or disconnect/reset before headers. reset reason: {error}"
        return Outcome(plain(502, text))
    except TimedOut:
        return Outcome(plain(408, "upstream request timeout"))
    except TooLarge:
        return Outcome(plain(424, "response payload too large"))
    headers: Headers = [header for header in answer.headers if header[0] not in _NOT_RETURNED]
    headers.append((b"ms-azureml-model-time", b"%d" % ((time.monotonic() - start) * 1000)))
    if answer.status == 200:
        return Outcome(Response(200, headers, answer.body), 200)
    headers.append((b"ms-azureml-model-error-statuscode", b"%d" % answer.status))
    headers.append((b"ms-azureml-model-error-reason", b"model_error"))
    return Outcome(Response(424, headers, answer.body), answer.status)


def _encode(path: str, request: Request, request_id: str) -> bytes:
    parts = [b"%s %s HTTP/1.1\r\nhost: localhost\r\n" % (request.method, path.encode("latin-1"))]
    parts += [b"%s: %s\r\n" % header for header in request.headers if header[0] not in _NOT_FORWARDED]
    parts.append(b"x-request-id: %s\r\ncontent-length: %d\r\n\r\n" % (request_id.encode(), len(request.body)))
    parts.append(request.body)
    return b"".join(parts)
