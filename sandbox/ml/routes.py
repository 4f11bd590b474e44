"""Everything below a workspace that ARM does not keep as a plain resource."""

from __future__ import annotations

from starlette.routing import BaseRoute

from sandbox.kernel.context import Sandbox
from sandbox.ml import asset_routes, assets, datastores, model_routes
from sandbox.ml.http import workspace_route
from sandbox.ml.jobs import routes as jobs
from sandbox.ml.pending import start_pending_upload
from sandbox.ml.serving.routes import routes as serving_routes


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """To be mounted on ARM's port, before its generic routes."""
    one = "/datastores/{name}"
    made: list[BaseRoute] = [
        workspace_route(sandbox, "/datastores", {"GET": datastores.list_all}),
        workspace_route(sandbox, one, {"GET": datastores.get, "PUT": datastores.put, "DELETE": datastores.delete}),
        workspace_route(sandbox, f"{one}/listSecrets", {"POST": datastores.list_secrets}),
        workspace_route(
            sandbox, "/{kind}/{name}/versions/{version}/startPendingUpload", {"POST": start_pending_upload}
        ),
    ]
    for kind in assets.KINDS:
        made += asset_routes.routes(sandbox, kind)
    return [*made, *model_routes.routes(sandbox), *jobs.routes(sandbox), *serving_routes(sandbox)]
