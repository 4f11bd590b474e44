"""The Log Analytics query API: one workspace, one resource, or a batch."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.arm.access import check_action
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.http import bearer, body_json, create_app
from sandbox.kernel.tokens import Principal
from sandbox.logs.database import Answer
from sandbox.logs.ingestion import Ingestion
from sandbox.logs.kql import KqlError
from sandbox.logs.state import LogsState
from sandbox.logs.timespans import condition, interval

AUDIENCES = ("https://api.loganalytics.io", "https://api.loganalytics.azure.com")
READ = "Microsoft.OperationalInsights/workspaces/query/read"
READ_RESOURCE = "Microsoft.Insights/logs/read"
WORKSPACES = "Microsoft.OperationalInsights/workspaces"


class QueryRefused(AzureError):
    """400 with Azure's nested error: the outer one is always the same, the inner one says what."""

    def __init__(self, error: KqlError) -> None:
        super().__init__(400, "BadArgumentError", "The request had some invalid properties")
        self._inner = error

    def body(self) -> dict[str, Any]:
        inner = {"code": self._inner.code, "message": self._inner.message}
        body = super().body()
        body["error"] |= {"correlationId": str(uuid.uuid4()), "innererror": inner}
        return body


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves the `logs` port."""
    api, ingestion = _Api(sandbox), Ingestion(sandbox)
    routes = [
        Route("/v1/workspaces/{workspace}/query", api.workspace, methods=["POST"]),
        Route("/v2.1/track", ingestion.track, methods=["POST"]),
        Route("/v1/$batch", api.batch, methods=["POST"]),
        Route("/v1/{resource:path}/query", api.resource, methods=["POST"]),
    ]
    return create_app("logs", sandbox, routes)


class _Api:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def workspace(self, request: Request) -> Response:
        self._authorise(request)
        principal = request.state.principal
        return JSONResponse(await self._ask(principal, request.path_params["workspace"], await body_json(request)))

    async def resource(self, request: Request) -> Response:
        self._authorise(request)
        resource_id = "/" + request.path_params["resource"].strip("/")
        if self._sandbox.states["arm"].get(resource_id) is None:
            raise AzureError(404, "ResourceNotFound", f"The Resource '{resource_id}' was not found.")
        check_action(self._sandbox, request.state.principal, READ_RESOURCE, resource_id)
        return JSONResponse(await self._run(await body_json(request), "", resource_id))

    async def batch(self, request: Request) -> Response:
        self._authorise(request)
        requests = (await body_json(request)).get("requests")
        if not isinstance(requests, list) or not all(isinstance(one, dict) for one in requests):
            raise AzureError(400, "BadArgumentError", "'requests' must be a list of queries.")
        responses = []
        for one in requests:
            try:
                status, body = 200, await self._ask(
                    request.state.principal, str(one.get("workspace")), one.get("body") or {}
                )
            except AzureError as error:
                status, body = error.status, error.body()
            responses.append({"id": one.get("id"), "status": status, "body": body})
        return JSONResponse({"responses": responses})

    async def _ask(self, principal: Principal, workspace: str, body: dict[str, Any]) -> dict[str, Any]:
        for found in self._sandbox.states["arm"].of_type(WORKSPACES):
            if str(found.properties.get("customerId", "")).lower() == workspace.lower():
                check_action(self._sandbox, principal, READ, found.id)
                return await self._run(body, str(found.properties["customerId"]), "")
        raise AzureError(
            404,
            "WorkspaceNotFoundError",
            f"The Log Analytics workspace with customer id '{workspace}' does not exist in this sandbox.",
        )

    async def _run(self, body: dict[str, Any], customer_id: str, resource_id: str) -> dict[str, Any]:
        text = body.get("query")
        if not isinstance(text, str):
            raise AzureError(400, "BadArgumentError", "'query' must be a string.")
        if body.get("workspaces"):
            raise AzureError(501, "NotImitatedBySandbox", "Queries over several workspaces are not imitated.")
        span = interval(body.get("timespan"), self._sandbox.clock.now())
        state: LogsState = self._sandbox.states["logs"]
        try:
            return _document(await state.query(text, _guid(customer_id), condition(span, resource_id)))
        except KqlError as error:
            raise QueryRefused(error) from error

    def _authorise(self, request: Request) -> None:
        """A resource's own logs need `READ_RESOURCE` there; a workspace's need `READ` on the workspace."""
        request.state.principal = bearer(request, self._sandbox, [*AUDIENCES, self._sandbox.settings.url("logs")])


def _guid(text: str) -> str:
    """The workspace's id as it goes into SQL: a GUID or nothing."""
    return str(uuid.UUID(text)) if text else ""


def _document(answer: Answer) -> dict[str, Any]:
    columns = [{"name": name, "type": kind} for name, kind in answer.columns]
    return {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": answer.rows}]}
