"""Routes below a workspace, matched without case as Azure does, with the workspace looked up first."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.arm.model import Resource, View
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError, not_imitated
from sandbox.kernel.http import body_json, is_public_host

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState
    from sandbox.ml.state import MlState

PROVIDER = "Microsoft.MachineLearningServices"
WORKSPACE_TYPE = f"{PROVIDER}/workspaces"
WORKSPACE_PATH = (
    "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + PROVIDER + "/workspaces/{workspace}"
)

#: What azure-ai-ml, azure-native and the REST reference use for what lies below a workspace.
API_VERSIONS = frozenset(
    {
        "2022-02-01-preview", "2022-05-01", "2022-10-01", "2022-10-01-preview", "2022-12-01-preview",
        "2023-02-01-preview", "2023-04-01", "2023-04-01-preview", "2023-06-01-preview", "2023-08-01-preview",
        "2023-10-01", "2024-01-01-preview", "2024-04-01", "2024-04-01-preview", "2024-07-01-preview",
        "2024-10-01", "2024-10-01-preview", "2025-01-01-preview", "2025-04-01", "2025-04-01-preview",
        "2025-06-01", "2025-07-01-preview", "2025-09-01", "2025-10-01-preview", "2025-12-01",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One request on something below `workspace`."""

    sandbox: Sandbox
    request: Request
    workspace: Resource

    def __getitem__(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    @property
    def arm(self) -> ArmState:
        state: ArmState = self.sandbox.states["arm"]
        return state

    @property
    def ml(self) -> MlState:
        state: MlState = self.sandbox.states["ml"]
        return state

    @property
    def view(self) -> View:
        return View(self.sandbox, is_public_host(self.request))

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    def id(self, *parts: str) -> str:
        """The id of something below the workspace, e.g. `call.id("models", name)`."""
        return "/".join((self.workspace.id, *parts))

    async def body(self) -> dict[str, Any]:
        return await body_json(self.request)

    async def properties(self) -> dict[str, Any]:
        """The body's `properties`; AzureError 400 without them."""
        value = (await self.body()).get("properties")
        if not isinstance(value, dict):
            raise AzureError(400, "UserError", "The request body must have an object 'properties'.")
        return value


Handler = Callable[[Call], Awaitable[Response]]


class CaselessRoute(Route):
    """A route whose fixed parts match in any case."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.path_regex = re.compile(self.path_regex.pattern, re.IGNORECASE)


def workspace_route(sandbox: Sandbox, path: str, handlers: Mapping[str, Handler]) -> CaselessRoute:
    """A route of ARM for `path` below the workspace; 404 without the workspace, 501 for other methods and versions."""

    async def endpoint(request: Request) -> Response:
        version = request.query_params.get("api-version", "")
        handler = handlers.get(request.method)
        if handler is None or version not in API_VERSIONS:
            raise not_imitated(request.method, request.url.path, version)
        return await handler(Call(sandbox, request, find_workspace(sandbox, request.path_params)))

    methods = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD"]
    return CaselessRoute(WORKSPACE_PATH + path, endpoint, methods=methods)


def find_workspace(sandbox: Sandbox, parts: Mapping[str, str]) -> Resource:
    """The workspace that the path names; AzureError 404 when there is none."""
    workspace_id = WORKSPACE_PATH.format(**{key: parts[key] for key in ("subscription", "group", "workspace")})
    arm: ArmState = sandbox.states["arm"]
    workspace = arm.get(workspace_id)
    if workspace is None:
        raise AzureError(
            404,
            "ResourceNotFound",
            f"The Resource '{WORKSPACE_TYPE}/{parts['workspace']}' under resource group '{parts['group']}' was not found.",
        )
    return workspace


def listing(documents: list[dict[str, Any]]) -> Response:
    return JSONResponse({"value": documents})


def user_error(message: str, status: int = 400) -> AzureError:
    """Azure ML's usual refusal."""
    return AzureError(status, "UserError", message)
