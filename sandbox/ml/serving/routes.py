"""The routes of online endpoints and deployments, below a workspace."""

from __future__ import annotations

from starlette.routing import BaseRoute

from sandbox.kernel.context import Sandbox
from sandbox.ml.http import workspace_route
from sandbox.ml.serving.deployments import Deployments
from sandbox.ml.serving.endpoints import Endpoints
from sandbox.ml.serving.state import ServingState


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """To be mounted on ARM's port; the state is `sandbox.states["ml"].serving`."""
    state: ServingState = sandbox.states["ml"].serving
    endpoints = Endpoints(state)
    deployments = Deployments(state, endpoints)
    one = "/onlineEndpoints/{endpoint}"
    inner = f"{one}/deployments/{{deployment}}"
    return [
        workspace_route(sandbox, "/onlineEndpoints", {"GET": endpoints.list}),
        workspace_route(
            sandbox,
            one,
            {"GET": endpoints.get, "PUT": endpoints.put, "PATCH": endpoints.patch, "DELETE": endpoints.delete},
        ),
        workspace_route(sandbox, f"{one}/listKeys", {"POST": endpoints.list_keys}),
        workspace_route(sandbox, f"{one}/regenerateKeys", {"POST": endpoints.regenerate_keys}),
        workspace_route(sandbox, f"{one}/token", {"POST": endpoints.token}),
        workspace_route(sandbox, f"{one}/deployments", {"GET": deployments.list}),
        workspace_route(
            sandbox,
            inner,
            {"GET": deployments.get, "PUT": deployments.put, "PATCH": deployments.patch, "DELETE": deployments.delete},
        ),
        workspace_route(sandbox, f"{inner}/getLogs", {"POST": deployments.get_logs}),
    ]
