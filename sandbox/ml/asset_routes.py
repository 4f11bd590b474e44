"""ARM's routes for environments, data, code and components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.ml.assets import (
    Kind,
    container_properties,
    drop_nulls,
    missing,
    save_version,
    selected,
    version_of,
    versions_of,
)
from sandbox.ml.http import Call, listing, workspace_route

_DERIVED = ("latestVersion", "nextVersion")


def routes(sandbox: Sandbox, kind: Kind) -> list[BaseRoute]:
    """Containers and versions of one kind of asset."""
    made = AssetRoutes(kind)
    container = {"GET": made.get_container, "PUT": made.put_container, "DELETE": made.delete_container}
    version = {"GET": made.get_version, "PUT": made.put_version, "DELETE": made.delete_version}
    base = f"/{kind.plural}"
    return [
        workspace_route(sandbox, base, {"GET": made.list_containers}),
        workspace_route(sandbox, f"{base}/{{name}}", container),
        workspace_route(sandbox, f"{base}/{{name}}/versions", {"GET": made.list_versions}),
        workspace_route(sandbox, f"{base}/{{name}}/versions/{{version}}", version),
    ]


@dataclass(frozen=True, slots=True)
class AssetRoutes:
    """The handlers of one kind."""

    kind: Kind

    async def list_containers(self, call: Call) -> Response:
        containers = call.arm.children(call.workspace.id, self.kind.type)
        containers = [each for each in containers if each.name != self.kind.anonymous]
        return listing([self._shown(call, each) for each in selected(call, containers)])

    async def get_container(self, call: Call) -> Response:
        container = call.arm.get(call.id(self.kind.plural, call["name"]))
        if container is None:
            raise missing(call, self.kind, call["name"])
        return JSONResponse(self._shown(call, container))

    async def put_container(self, call: Call) -> Response:
        """Tags, description and whether the asset is archived."""
        properties = await call.properties()
        old = call.arm.get(call.id(self.kind.plural, call["name"]))
        container = old or call.arm.new(call.id(self.kind.plural, call["name"]))
        container.properties |= {key: value for key, value in properties.items() if key not in _DERIVED}
        call.arm.put(container, call.request.state.principal)
        return JSONResponse(self._shown(call, container), 200 if old else 201)

    async def delete_container(self, call: Call) -> Response:
        """With all its versions."""
        return Response(status_code=200 if call.arm.delete(call.id(self.kind.plural, call["name"])) else 204)

    async def list_versions(self, call: Call) -> Response:
        versions = versions_of(call, self.kind, call["name"])
        if wanted := call.query.get("hash"):
            # azure-ai-ml asks under a name made up for the occasion, so the hash counts for all names.
            everywhere = call.arm.children(call.workspace.id, f"{self.kind.type}/versions")
            versions = [each for each in everywhere if wanted in (each.properties.get("properties") or {}).values()]
        return listing([each.document() for each in selected(call, versions)])

    async def get_version(self, call: Call) -> Response:
        return JSONResponse(version_of(call, self.kind).document())

    async def put_version(self, call: Call) -> Response:
        properties = dict(self.kind.defaults) | drop_nulls(await call.properties())
        resource, created = save_version(call, self.kind, properties)
        return JSONResponse(resource.document(), 201 if created else 200)

    async def delete_version(self, call: Call) -> Response:
        identity = call.id(self.kind.plural, call["name"], "versions", call["version"])
        return Response(status_code=200 if call.arm.delete(identity) else 204)

    def _shown(self, call: Call, resource: Resource) -> dict[str, Any]:
        document = resource.document()
        derived = container_properties(versions_of(call, self.kind, resource.name))
        document["properties"] = derived | document["properties"]
        return document
