"""The sandbox's own service: status, reset, faults, and the gateway's access records. Needs the internal token."""

from __future__ import annotations

import hmac
import inspect
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.arm.access import may
from sandbox.arm.ids import parse
from sandbox.gateway.rights import SCORE
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError, not_found, problems_of
from sandbox.kernel.faults import Fault
from sandbox.kernel.http import body_json, create_app
from sandbox.kernel.tokens import Principal

_ENDPOINT = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
_RECORDS: TypeAdapter[list[dict[str, Any]]] = TypeAdapter(list[dict[str, Any]])


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves the `admin` port."""
    admin = _Admin(sandbox)
    routes = [
        Route("/status", admin.status),
        Route("/reset", admin.reset, methods=["POST"]),
        Route("/faults", admin.faults, methods=["GET", "POST", "DELETE"]),
        Route("/faults/{id}", admin.fault, methods=["DELETE"]),
        Route("/internal/access", admin.access, methods=["POST"]),
        Route("/internal/may-score", admin.may_score, methods=["POST"]),
        Route("/federated-token", admin.federated_token, methods=["POST"]),
        Route("/shutdown", admin.shutdown, methods=["POST"]),
    ]
    return create_app("admin", sandbox, routes)


def check_internal(request: Request, sandbox: Sandbox) -> None:
    """AzureError 401 unless the caller is one of the sandbox's own processes."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), sandbox.settings.internal_token.encode()):
        raise AzureError(401, "AuthenticationFailed", "This is for the sandbox's own processes: wrong internal token.")


class _Admin:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def status(self, request: Request) -> Response:
        check_internal(request, self._sandbox)
        resources = self._sandbox.states["arm"].children("")
        return JSONResponse(
            {
                "policy_time": self._sandbox.clock.now().isoformat(),
                "time_scale": self._sandbox.clock.scale,
                "resources": len(resources),
                "faults": len(self._sandbox.faults.list()),
            }
        )

    async def reset(self, request: Request) -> Response:
        """Empty every service; what depends on others first."""
        check_internal(request, self._sandbox)
        for state in reversed(self._sandbox.states.values()):
            if (reset := getattr(state, "reset", None)) is not None:
                await _finish(reset())
        self._sandbox.faults.reset()
        return Response(status_code=204)

    async def faults(self, request: Request) -> Response:
        check_internal(request, self._sandbox)
        if request.method == "POST":
            return JSONResponse(self._sandbox.faults.add(await _fault(request)).model_dump(), 201)
        if request.method == "DELETE":
            self._sandbox.faults.reset()
            return Response(status_code=204)
        return JSONResponse([fault.model_dump() for fault in self._sandbox.faults.list()])

    async def fault(self, request: Request) -> Response:
        check_internal(request, self._sandbox)
        if not self._sandbox.faults.remove(request.path_params["id"]):
            raise not_found("fault", request.path_params["id"])
        return Response(status_code=204)

    async def access(self, request: Request) -> Response:
        check_internal(request, self._sandbox)
        try:
            records = _RECORDS.validate_json(await request.body())
        except ValidationError as error:
            raise AzureError(
                400, "InvalidRequestContent", f"A list of access records is expected: {problems_of(error)}"
            ) from error
        await _finish(self._sandbox.states["monitor"].record(records))
        return Response(status_code=204)

    async def may_score(self, request: Request) -> Response:
        """Whether a principal's roles let it score at an endpoint that takes Entra tokens."""
        check_internal(request, self._sandbox)
        wanted = {key: str(value) for key, value in (await body_json(request)).items()}
        principal = Principal(wanted.get("objectId", ""), wanted.get("clientId", ""))
        place = (wanted.get("workspace", "").lower(), wanted.get("endpoint", "").lower())
        allowed = any(
            may(self._sandbox, principal, SCORE, each.id)
            for each in self._sandbox.states["arm"].of_type(_ENDPOINT)
            if tuple(name.lower() for name in parse(each.id).names) == place
        )
        return JSONResponse({"allowed": allowed})

    async def federated_token(self, request: Request) -> Response:
        """A token as GitHub or Kubernetes would hand it to a job."""
        check_internal(request, self._sandbox)
        wanted = {key: str(value) for key, value in (await body_json(request)).items()}
        if not wanted.get("subject"):
            raise AzureError(
                400, "InvalidRequestContent", "'subject' is missing; 'issuer' and 'audience' may be given."
            )
        options = {key: wanted[key] for key in ("issuer", "audience") if key in wanted}
        token = self._sandbox.states["login"].federation.mint(wanted["subject"], **options)
        return JSONResponse({"token": token})

    async def shutdown(self, request: Request) -> Response:
        check_internal(request, self._sandbox)
        self._sandbox.states["control"].stop()
        return Response(status_code=202)


async def _finish(result: object) -> None:
    """Some services need time, e.g. to end processes, and give an awaitable."""
    if inspect.isawaitable(result):
        await result


async def _fault(request: Request) -> Fault:
    try:
        return Fault.model_validate(await body_json(request))
    except ValidationError as error:
        raise AzureError(400, "InvalidFault", problems_of(error)) from error
