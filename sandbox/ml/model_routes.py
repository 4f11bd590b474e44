"""ARM's routes for models."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from sandbox.kernel.context import Sandbox
from sandbox.ml.assets import drop_nulls, selected_of
from sandbox.ml.events import MODEL_REGISTERED
from sandbox.ml.http import Call, listing, workspace_route
from sandbox.ml.models import TYPE, ModelVersion, not_there


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Containers and versions of models."""
    containers = {"GET": get_container, "PUT": put_container, "DELETE": delete_container}
    versions = {"GET": get_version, "PUT": put_version, "DELETE": delete_version}
    return [
        workspace_route(sandbox, "/models", {"GET": list_containers}),
        workspace_route(sandbox, "/models/{name}", containers),
        workspace_route(sandbox, "/models/{name}/versions", {"GET": list_versions}),
        workspace_route(sandbox, "/models/{name}/versions/{version}", versions),
    ]


async def list_containers(call: Call) -> Response:
    names = sorted({each.name for each in await call.ml.models.versions(call.workspace)})
    containers = [await _container(call, name) for name in names]
    archived = call.query.get("listViewType", "ActiveOnly").lower()
    if archived != "all":
        wanted = archived == "archivedonly"
        containers = [each for each in containers if each["properties"]["isArchived"] == wanted]
    return listing(containers)


async def get_container(call: Call) -> Response:
    return JSONResponse(await _container(call, call["name"]))


async def put_container(call: Call) -> Response:
    """Tags, description and whether the model is archived."""
    properties = drop_nulls(await call.properties())
    identity = call.id("models", call["name"])
    old = call.arm.get(identity)
    resource = old or call.arm.new(identity)
    kept = ("tags", "description", "isArchived", "properties")
    resource.properties |= {key: properties[key] for key in kept if key in properties}
    call.arm.put(resource, call.request.state.principal)
    return JSONResponse(await _container(call, call["name"]), 200 if old else 201)


async def delete_container(call: Call) -> Response:
    versions = await call.ml.models.versions(call.workspace, call["name"])
    for each in versions:
        await call.ml.models.delete(call.workspace, each.name, each.version)
    known = call.arm.delete(call.id("models", call["name"]))
    return Response(status_code=200 if known or versions else 204)


async def list_versions(call: Call) -> Response:
    versions = await call.ml.models.versions(call.workspace, call["name"])
    wanted = call.query.get("version")
    versions = [each for each in versions if wanted in (None, "", each.version)]
    return listing([each.shown(call.workspace) for each in selected_of(call, versions, _created, _properties)])


async def get_version(call: Call) -> Response:
    found = await call.ml.models.get(call.workspace, call["name"], call["version"])
    return JSONResponse(found.shown(call.workspace))


async def put_version(call: Call) -> Response:
    created = await call.ml.models.save(
        call.workspace, call["name"], call["version"], drop_nulls(await call.properties())
    )
    found = await call.ml.models.get(call.workspace, call["name"], call["version"])
    if created:
        call.ml.events.announce(
            call.workspace, MODEL_REGISTERED, f"models/{found.name}:{found.version}", model_event(found)
        )
    return JSONResponse(found.shown(call.workspace), 201 if created else 200)


async def delete_version(call: Call) -> Response:
    known = await call.ml.models.delete(call.workspace, call["name"], call["version"])
    return Response(status_code=200 if known else 204)


def model_event(found: ModelVersion) -> dict[str, Any]:
    """The data of Azure's ModelRegistered event."""
    return {
        "ModelName": found.name,
        "ModelVersion": found.version,
        "ModelTags": found.properties.get("tags") or {},
        "ModelProperties": found.properties.get("properties") or {},
    }


async def _container(call: Call, name: str) -> dict[str, Any]:
    versions = await call.ml.models.versions(call.workspace, name)
    resource = call.arm.get(call.id("models", name))
    if resource is None and not versions:
        raise not_there(call.workspace, name)
    newest = max(versions, key=_created, default=None)
    kept = resource.properties if resource else {}
    return {
        "id": call.id("models", name),
        "name": name,
        "type": TYPE,
        "properties": {
            "isArchived": False,
            "tags": {},
            "properties": {},
            **kept,
            "latestVersion": newest.version if newest else None,
            "nextVersion": await call.ml.models.next_version(call.workspace, name),
        },
        "systemData": resource.system_data if resource else (newest.system_data if newest else {}),
    }


def _created(version: ModelVersion) -> str:
    return str(version.system_data.get("createdAt", ""))


def _properties(version: ModelVersion) -> dict[str, Any]:
    return version.properties
