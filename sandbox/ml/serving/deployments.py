"""Deployments of online endpoints over HTTP: PUT, PATCH, GET, DELETE, list and logs."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.arm.identity import resolve
from sandbox.arm.model import Resource
from sandbox.kernel.errors import AzureError
from sandbox.ml.http import Call, listing, user_error
from sandbox.ml.serving import clusters, console, rules
from sandbox.ml.serving.endpoints import Endpoints, accepted
from sandbox.ml.serving.routing import SERVED
from sandbox.ml.serving.state import ServingState

Json = dict[str, Any]
DEFAULT_TAIL = 50


class Deployments:
    """The handlers; `{endpoint}` and `{deployment}` of the path name one."""

    def __init__(self, state: ServingState, endpoints: Endpoints) -> None:
        self._state, self._endpoints = state, endpoints

    async def list(self, call: Call) -> Response:
        endpoint = self._endpoints.find(call)
        return listing([_shown(each) for each in self._state.deployments(endpoint.id).values()])

    async def get(self, call: Call) -> Response:
        return JSONResponse(_shown(self._find(call)))

    async def put(self, call: Call) -> Response:
        """Replaces the deployment; running instances serve until the new ones are ready."""
        body = await call.body()
        before = call.arm.get(self._id(call))
        return self._write(call, await self._wanted(call, body, before), before)

    async def patch(self, call: Call) -> Response:
        """Merges tags and sku; a new sku.capacity scales."""
        body, before = await call.body(), self._find(call)
        if unknown := sorted(body.keys() - {"tags", "sku"}):
            raise user_error(f"A PATCH of an online deployment can't change {', '.join(unknown)}; use PUT.")
        merged = before.document()
        merged["tags"] = body.get("tags", before.tags)
        merged["sku"] = {**(before.sku or {}), **(body.get("sku") or {})}
        return self._write(call, await self._wanted(call, merged, before), before)

    async def delete(self, call: Call) -> Response:
        endpoint = self._endpoints.find(call)
        deployment = call.arm.get(self._id(call))
        if deployment is None:
            return Response(status_code=204)
        rules.check_without_traffic(deployment.name, endpoint.properties)
        rules.check_idle(deployment, "deployment")
        deployment.provisioning_state = "Deleting"
        call.arm.put(deployment, call.request.state.principal)
        return accepted(call, call.arm.operations.start(self._remove(deployment), deployment.id))

    async def get_logs(self, call: Call) -> Response:
        deployment, body = self._find(call), await call.body()
        container = body.get("containerType") or "InferenceServer"
        lines = body.get("tail") or DEFAULT_TAIL
        if not isinstance(lines, int) or lines < 1:
            raise user_error(f"tail is {lines!r}; it must be a whole number, at least 1.")
        logs = self._state.folder(deployment) / "logs"
        if container == "InferenceServer":
            content = console.inference_server_log(logs, lines, deployment.provisioning_state)
        elif container == "StorageInitializer":
            content = console.initializer_log(logs, lines)
        else:
            raise user_error(f"containerType is '{container}'; allowed are InferenceServer and StorageInitializer.")
        return JSONResponse({"content": content})

    # Writing

    def _id(self, call: Call) -> str:
        return call.id("onlineEndpoints", call["endpoint"], "deployments", call["deployment"])

    def _find(self, call: Call) -> Resource:
        self._endpoints.find(call)
        deployment = call.arm.get(self._id(call))
        if deployment is None:
            raise user_error(
                f"Could not find the deployment '{call['deployment']}' in endpoint '{call['endpoint']}'.", 404
            )
        return deployment

    async def _wanted(self, call: Call, body: Json, before: Resource | None) -> Resource:
        endpoint = self._endpoints.find(call)
        rules.check_name("deployment", call["deployment"])
        rules.check_idle(endpoint, "endpoint")
        rules.check_idle(before, "deployment")
        rules.check_location(body.get("location"), endpoint, "endpoint")
        rules.check_room(self._state.deployments(endpoint.id), call["deployment"], endpoint.name)
        if before is not None and before.provisioning_state == "Failed" and SERVED not in before.private:
            raise user_error(
                f"Specified deployment [{before.name}] failed during initial provisioning and is in an unrecoverable state."
                " Delete and re-create."
            )
        kubernetes = clusters.on_cluster(endpoint.properties)
        properties = rules.deployment_properties(body.get("properties") or {}, kubernetes=kubernetes)
        if kubernetes:
            clusters.check_deployment(call.arm, endpoint, properties)
        await self._check_assets(call, properties)
        base = before or call.arm.new(self._id(call))
        sku = {"name": "Default", **(body.get("sku") or {}), "capacity": rules.instance_count(body.get("sku"))}
        wanted = Resource.from_document(
            {
                **base.stored(),
                "location": endpoint.location,
                "tags": body.get("tags") or {},
                "properties": properties,
                "sku": sku,
                "kind": "Kubernetes" if kubernetes else "Managed",
                "identity": body.get("identity"),
            }
        )
        resolve(call.arm, call.sandbox.settings.tenant_id, wanted, before)
        return wanted

    async def _check_assets(self, call: Call, properties: Json) -> None:
        """What the deployment names must be there before anything is kept."""
        code = (properties.get("codeConfiguration") or {}).get("codeId")
        named = (
            ("models", properties.get("model")),
            ("environments", properties.get("environmentId")),
            ("codes", code),
        )
        for kind, reference in named:
            if reference:
                await self._state.materials.check(call.workspace, kind, reference)

    def _write(self, call: Call, wanted: Resource, before: Resource | None) -> Response:
        current = call.arm.get(wanted.id)
        if (current and current.etag) != (before and before.etag):  # somebody wrote while the assets were looked up
            rules.check_idle(current, "deployment")
            raise rules.refused(f"The deployment '{wanted.name}' was changed meanwhile. Try again.", 409, "Conflict")
        wanted.provisioning_state = "Creating" if before is None else "Updating"
        call.arm.put(wanted, call.request.state.principal)
        operation = call.arm.operations.start(self._deploy(wanted), wanted.id)
        status = 201 if before is None else 200
        return JSONResponse(_shown(wanted), status, operation.headers(call.request))

    async def _deploy(self, wanted: Resource) -> None:
        endpoint = self._state.arm.get(wanted.id.rpartition("/deployments/")[0])
        if endpoint is not None and clusters.on_cluster(endpoint.properties):
            clusters.check_pods_can_run(self._state.arm, endpoint)
        await self._state.deploy(wanted)
        current = self._state.arm.get(wanted.id)
        if current is None:
            raise AzureError(
                409, "ResourceDeleted", f"The deployment '{wanted.name}' was deleted while it was being made."
            )
        current.provisioning_state = "Succeeded"
        current.private[SERVED] = {"properties": current.properties, "sku": current.sku}
        self._state.arm.put(current)
        await self._state.publish()

    async def _remove(self, deployment: Resource) -> None:
        await self._state.remove(deployment)
        self._state.arm.delete(deployment.id)
        await self._state.publish()


def _shown(deployment: Resource) -> Json:
    return deployment.document()
