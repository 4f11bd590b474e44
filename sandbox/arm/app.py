"""Azure Resource Manager: one dispatcher for every type in the catalogue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.arm import checks
from sandbox.arm.access import check_access, check_linked
from sandbox.arm.engine import Conditions, Engine
from sandbox.arm.ids import ResourceId, parse
from sandbox.arm.model import Action, Resource, ResourceType, View
from sandbox.arm.operations import SUCCEEDED, Operation
from sandbox.arm.reads import listed, listed_any
from sandbox.arm.state import ArmState
from sandbox.arm.subscription import subscription_routes
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError, not_imitated
from sandbox.kernel.http import bearer, body_json, create_app, is_public_host
from sandbox.kernel.tokens import Principal

AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
Handler = Callable[[Request], Awaitable[Response]]


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves `management.azure.com`'s routes: those that services mounted, the subscription's, then the catalogue's."""
    arm: ArmState = sandbox.states["arm"]
    generic = _Generic(sandbox)
    polls = "/subscriptions/{subscription}/providers/{namespace}/locations/{location}"
    routes = [
        *arm.mounted,
        *subscription_routes(sandbox),
        Route(f"{polls}/operationStatuses/{{operation}}", generic.operation_status),
        Route(f"{polls}/operationResults/{{operation}}", generic.operation_result),
        Route("/{path:path}", generic.dispatch, methods=["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"]),
    ]
    return create_app("arm", sandbox, routes, middleware=[Middleware(_Authenticate, sandbox=sandbox)])


class _Authenticate:
    """Every call but the cloud's metadata needs a token for ARM and the right to do what it asks."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app, self._sandbox = app, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            if not request.url.path.startswith("/metadata/"):
                request.state.principal = self._authorized(request)
        except AzureError as error:
            await JSONResponse(error.body(), error.status, error.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _authorized(self, request: Request) -> Principal:
        principal = bearer(request, self._sandbox, [*AUDIENCES, self._sandbox.settings.url("arm")])
        check_access(self._sandbox, principal, request.method, request.url.path)
        return principal


@dataclass(frozen=True, slots=True)
class _Target:
    """What a path names: a resource, or a collection or action (`leaf`) of what is before it."""

    identity: ResourceId | None
    scope: str
    namespace: str
    leaf: str
    types: tuple[str, ...]


def _target(path: str) -> _Target:
    """AzureError 501 for a path that names nothing in ARM."""
    path = "/" + path.strip("/")
    at = path.lower().rfind("/providers/")
    if at < 0:
        parts = path.split("/")
        if len(parts) > 5 and parts[3].lower() == "resourcegroups":
            return _Target(None, "/".join(parts[:5]), "Microsoft.Resources", parts[5], ("resourceGroups",))
        return _Target(parse(path), "", "", "", ())
    parts = path[at + len("/providers/") :].split("/")
    if len(parts) > 1 and len(parts) % 2 == 1:
        return _Target(parse(path), "", "", "", ())
    above = path.rsplit("/", 1)[0] if len(parts) > 2 else path[:at]
    return _Target(None, above, parts[0], parts[-1], tuple(parts[1:-1:2]))


class _Generic:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._arm: ArmState = sandbox.states["arm"]
        settings = sandbox.settings
        self._engine = Engine(self._arm, settings.tenant_id, settings.subscription_id)

    async def dispatch(self, request: Request) -> Response:
        try:
            target = _target(request.url.path)
        except AzureError:
            raise _unknown(request) from None
        if target.identity is None:
            return await self._on_collection(request, target)
        kind = self._kind(request, target.identity.type)
        handlers = {
            "GET": self._get,
            "HEAD": self._head,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        handler = handlers.get(request.method)
        if handler is None:
            raise _unknown(request)
        return await handler(request, kind, target.identity)

    def _kind(self, request: Request, name: str) -> ResourceType:
        kind = self._arm.type(name)
        if kind is None:
            raise _unknown(request)
        checks.check_version(kind, request.method, request.url.path, request.query_params.get("api-version"))
        return kind

    # One resource

    async def _get(self, request: Request, kind: ResourceType, identity: ResourceId) -> Response:
        return JSONResponse(self._show(request, self._existing(identity)))

    async def _head(self, request: Request, kind: ResourceType, identity: ResourceId) -> Response:
        return Response(status_code=204 if self._arm.get(identity.text) else 404)

    async def _put(self, request: Request, kind: ResourceType, identity: ResourceId) -> Response:
        body = await body_json(request)
        check_linked(self._sandbox, _caller(request), body)
        outcome = await self._engine.put(kind, identity, body, _caller(request), _conditions(request))
        shown = self._show(request, outcome.resource)
        return JSONResponse(shown, 201 if outcome.created else 200, _operation_headers(request, outcome.operation))

    async def _patch(self, request: Request, kind: ResourceType, identity: ResourceId) -> Response:
        if not kind.patchable:
            raise _unknown(request)
        body = await body_json(request)
        check_linked(self._sandbox, _caller(request), body)
        outcome = await self._engine.patch(kind, identity, body, _caller(request), _conditions(request))
        return JSONResponse(self._show(request, outcome.resource), 200, _operation_headers(request, outcome.operation))

    async def _delete(self, request: Request, kind: ResourceType, identity: ResourceId) -> Response:
        done = await self._engine.delete(identity, _conditions(request), kind=kind)
        if isinstance(done, Operation):
            return Response(status_code=202, headers=done.headers(request))
        return Response(status_code=200 if done else 204)

    # Collections and actions

    async def _on_collection(self, request: Request, target: _Target) -> Response:
        if target.leaf.lower() == "resources" and request.method == "GET":
            self._existing(parse(target.scope))
            found = listed_any(self._arm, target.scope, request.query_params)
            return JSONResponse({"value": [self._show(request, each) for each in found]})
        name = "/".join([target.namespace, *target.types, target.leaf])
        if request.method == "GET" and self._arm.type(name) is not None:
            return self._list(request, self._kind(request, name), target)
        if request.method == "POST" and target.types:
            return await self._act(request, target)
        raise _unknown(request)

    def _list(self, request: Request, kind: ResourceType, target: _Target) -> Response:
        checks.check_scope(self._arm, target.scope, self._sandbox.settings.subscription_id)
        if target.types:
            self._existing(parse(target.scope))
        found = listed(self._arm, kind, target.scope, request.query_params)
        return JSONResponse({"value": [self._show(request, each) for each in found]})

    async def _act(self, request: Request, target: _Target) -> Response:
        identity = parse(target.scope)
        kind = self._kind(request, identity.type)
        handler = {name.lower(): each for name, each in kind.actions.items()}.get(target.leaf.lower())
        if handler is None:
            raise _unknown(request)
        action = Action(
            self._arm,
            self._existing(identity),
            await body_json(request),
            request.query_params,
            _caller(request),
            self._view(request),
        )
        answer = await handler(action)
        return Response(status_code=204) if answer is None else JSONResponse(answer)

    # Operations

    async def operation_status(self, request: Request) -> Response:
        document = self._arm.operations.status(request.path_params["operation"])
        return JSONResponse(document, headers=_polling(request, document))

    async def operation_result(self, request: Request) -> Response:
        """202 while it runs; then the resource, or 204 when it was a delete; the error when it failed."""
        document = self._arm.operations.status(request.path_params["operation"])
        if document["status"] == "InProgress":
            return Response(status_code=202, headers={**_polling(request, document), "Location": str(request.url)})
        if document["status"] != SUCCEEDED:
            return JSONResponse({"error": document["error"]}, document["httpStatus"])
        resource = self._arm.get(document["resourceId"])
        return JSONResponse(self._show(request, resource)) if resource else Response(status_code=204)

    # Helpers

    def _existing(self, identity: ResourceId) -> Resource:
        checks.check_scope(self._arm, identity.text, self._sandbox.settings.subscription_id)
        resource = self._arm.get(identity.text)
        if resource is None:
            raise checks.not_there(identity.text)
        return resource

    def _view(self, request: Request) -> View:
        return View(self._sandbox, is_public_host(request))

    def _show(self, request: Request, resource: Resource) -> dict[str, object]:
        return self._arm.show(resource, self._view(request))


def _caller(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


def _conditions(request: Request) -> Conditions:
    return Conditions(request.headers.get("if-match"), request.headers.get("if-none-match"))


def _operation_headers(request: Request, operation: Operation | None) -> dict[str, str]:
    if operation is None:
        return {}
    headers = operation.headers(request)
    # A PUT's answer has the body; its Location would send pollers to a second one.
    return {key: value for key, value in headers.items() if key != "Location"}


def _polling(request: Request, document: dict[str, object]) -> dict[str, str]:
    return {"retry-after-ms": "200"} if document["status"] == "InProgress" else {}


def _unknown(request: Request) -> AzureError:
    return not_imitated(request.method, request.url.path, request.query_params.get("api-version"))
