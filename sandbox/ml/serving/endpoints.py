"""Online endpoints over HTTP: PUT, PATCH, GET, DELETE, list, keys and tokens."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.arm.access import check_linked
from sandbox.arm.identity import resolve
from sandbox.arm.model import Resource, View
from sandbox.arm.operations import Operation
from sandbox.gateway.routing import token_audience
from sandbox.gateway.table import public_host
from sandbox.kernel.tokens import LIFETIME_SECONDS
from sandbox.ml.http import Call, listing, user_error
from sandbox.ml.serving import clusters, rules
from sandbox.ml.serving.routing import APPLIED, KEYS, workspace_name
from sandbox.ml.serving.state import ENDPOINT_TYPE, ServingState

Json = dict[str, Any]
_WEIGHTS = ("traffic", "mirrorTraffic")


class Endpoints:
    """The handlers; `{endpoint}` of the path names one."""

    def __init__(self, state: ServingState) -> None:
        self._state = state

    async def list(self, call: Call) -> Response:
        found = call.arm.children(call.workspace.id, ENDPOINT_TYPE)
        return listing([self.shown(each, call.view) for each in found])

    async def get(self, call: Call) -> Response:
        return JSONResponse(self.shown(self.find(call), call.view))

    async def put(self, call: Call) -> Response:
        """Replaces the whole endpoint: what the body leaves out, traffic included, is gone."""
        body = await call.body()
        check_linked(call.sandbox, call.request.state.principal, body)
        before = call.arm.get(self._id(call))
        wanted = self._wanted(call, body, before)
        return self._write(call, wanted, before)

    async def patch(self, call: Call) -> Response:
        """Merges tags, identity, traffic and mirror traffic."""
        body = await call.body()
        check_linked(call.sandbox, call.request.state.principal, body)
        before = self.find(call)
        given = body.get("properties") or {}
        unknown = sorted(
            (body.keys() - {"tags", "identity", "kind", "sku", "properties"}) | (given.keys() - {*_WEIGHTS})
        )
        if unknown:
            raise user_error(f"A PATCH of an online endpoint can't change {', '.join(unknown)}; use PUT.")
        merged = before.document() | {key: body[key] for key in ("tags", "identity", "sku") if key in body}
        merged["properties"] = before.properties | {key: given[key] for key in _WEIGHTS if key in given}
        return self._write(call, self._wanted(call, merged, before), before)

    async def delete(self, call: Call) -> Response:
        """Ends its deployments, then it is gone."""
        endpoint = call.arm.get(self._id(call))
        if endpoint is None:
            return Response(status_code=204)
        rules.check_idle(endpoint, "endpoint")
        for deployment in self._state.deployments(endpoint.id).values():
            rules.check_idle(deployment, "deployment")
        endpoint.provisioning_state = "Deleting"
        call.arm.put(endpoint, call.request.state.principal)
        operation = call.arm.operations.start(self._remove(endpoint), endpoint.id)
        return accepted(call, operation)

    async def list_keys(self, call: Call) -> Response:
        endpoint = self.find(call)
        if endpoint.properties["authMode"] != "Key":
            raise user_error(f"The endpoint '{endpoint.name}' uses {endpoint.properties['authMode']}; it has no keys.")
        return JSONResponse(endpoint.private[KEYS])

    async def regenerate_keys(self, call: Call) -> Response:
        """The other key goes on working, so that callers can change over."""
        endpoint, body = self.find(call), await call.body()
        rules.check_idle(endpoint, "endpoint")
        kind = str(body.get("keyType", "")).lower()
        if kind not in ("primary", "secondary"):
            raise user_error(f"keyType is {body.get('keyType')!r}; allowed are Primary and Secondary.")
        old, given = endpoint.private[KEYS][f"{kind}Key"], body.get("keyValue")
        # azure-ai-ml sends the key as it is and means a new one.
        endpoint.private[KEYS][f"{kind}Key"] = given if given and given != old else _new_key()
        call.arm.put(endpoint, call.request.state.principal)
        return accepted(call, call.arm.operations.start(self._state.publish(), endpoint.id))

    async def token(self, call: Call) -> Response:
        """A token that only this endpoint accepts, or with Entra tokens none."""
        endpoint = self.find(call)
        mode = endpoint.properties["authMode"]
        if mode != "AMLToken":
            raise user_error(f"The endpoint '{endpoint.name}' uses {mode}; it issues no tokens of its own.")
        audience = token_audience(workspace_name(endpoint.id), endpoint.name)
        now = int(time.time())
        return JSONResponse(
            {
                "accessToken": call.sandbox.tokens.issue(audience, call.request.state.principal),
                "expiryTimeUtc": now + LIFETIME_SECONDS,
                "refreshAfterTimeUtc": now + LIFETIME_SECONDS // 2,
                "tokenType": "Bearer",
            }
        )

    def find(self, call: Call) -> Resource:
        """The endpoint of the path; AzureError 404."""
        endpoint = call.arm.get(self._id(call))
        if endpoint is None:
            raise user_error(
                f"Could not find the online endpoint '{call['endpoint']}' in workspace {call.workspace.name}.", 404
            )
        return endpoint

    def shown(self, endpoint: Resource, view: View) -> Json:
        """Its document with the URIs that the caller can reach."""
        document = endpoint.document()
        base = view.sandbox.settings.url("gateway") + f"/{workspace_name(endpoint.id)}/{endpoint.name}"
        if view.public:
            base = "https://" + public_host(endpoint.name, endpoint.location or "")
        uris = {"scoringUri": f"{base}/score", "swaggerUri": f"{base}/swagger.json"}
        document["properties"] = {**document["properties"], **uris}
        return document | {"kind": "Kubernetes" if clusters.on_cluster(endpoint.properties) else "Managed"}

    # Writing

    def _id(self, call: Call) -> str:
        return call.id("onlineEndpoints", call["endpoint"])

    def _wanted(self, call: Call, body: Json, before: Resource | None) -> Resource:
        if before is None:
            rules.check_name("endpoint", call["endpoint"])
            self._check_unique(call, body)
        rules.check_idle(before, "endpoint")
        rules.check_location(body.get("location"), before, "endpoint")
        wanted = before or call.arm.new(self._id(call))
        old_properties, old_identity = wanted.properties, wanted.identity
        location = str(body["location"]).replace(" ", "").lower()
        properties = rules.endpoint_properties(body.get("properties") or {})
        clusters.check_endpoint(call.arm, call.workspace, properties, old_properties if before else None)
        rules.check_traffic(properties, old_properties, self._state.deployments(wanted.id))
        made = Resource.from_document(
            {
                **wanted.stored(),
                "location": location,
                "tags": body.get("tags") or {},
                "properties": properties,
                "identity": body.get("identity") or {"type": "SystemAssigned"},
            }
        )
        previous = Resource.from_document({**wanted.stored(), "identity": old_identity}) if before else None
        resolve(call.arm, call.sandbox.settings.tenant_id, made, previous)
        return made

    def _check_unique(self, call: Call, body: Json) -> None:
        """An endpoint's name is part of a host name, so it is free only once in a region."""
        region = str(body.get("location", "")).replace(" ", "").lower()
        for each in self._state.endpoints():
            if each.name.lower() == call["endpoint"].lower() and each.location == region:
                raise rules.refused(
                    f"There is already an online endpoint with the name '{each.name}' in region {region}; choose another.",
                    409,
                    "Conflict",
                )

    def _write(self, call: Call, wanted: Resource, before: Resource | None) -> Response:
        created = before is None
        if created:
            wanted.private[KEYS] = {"primaryKey": _new_key(), "secondaryKey": _new_key()}
        old = before.properties if before else {}
        wanted.private[APPLIED] = {key: old.get(key) or {} for key in _WEIGHTS}
        wanted.provisioning_state = "Creating" if created else "Updating"
        call.arm.put(wanted, call.request.state.principal)
        self._state.remember(wanted)
        operation = call.arm.operations.start(
            self._apply(wanted.id), wanted.id, on_failed=lambda _: self._keep_old(wanted.id)
        )
        return JSONResponse(self.shown(wanted, call.view), 201 if created else 200, operation.headers(call.request))

    async def _apply(self, endpoint_id: str) -> None:
        endpoint = self._current(endpoint_id)
        endpoint.private.pop(APPLIED, None)
        self._state.arm.put(endpoint)
        await self._state.publish()
        endpoint = self._current(endpoint_id)
        endpoint.provisioning_state = "Succeeded"
        self._state.arm.put(endpoint)

    def _keep_old(self, endpoint_id: str) -> None:
        """An update that failed changes no traffic."""
        if (endpoint := self._state.arm.get(endpoint_id)) is None:
            return
        applied = endpoint.private.pop(APPLIED, None)
        endpoint.properties |= applied or {}
        endpoint.provisioning_state = "Failed"
        self._state.arm.put(endpoint)

    def _current(self, endpoint_id: str) -> Resource:
        endpoint = self._state.arm.get(endpoint_id)
        if endpoint is None:
            raise user_error("The endpoint was deleted while it was being updated.", 409)
        return endpoint

    async def _remove(self, endpoint: Resource) -> None:
        endpoint.properties |= {key: {} for key in _WEIGHTS}
        self._state.arm.put(endpoint)
        await self._state.publish()
        deployments = self._state.deployments(endpoint.id).values()
        await asyncio.gather(*(self._state.remove(each) for each in deployments))
        self._state.arm.delete(endpoint.id)
        await self._state.publish()


def accepted(call: Call, operation: Operation) -> Response:
    """202, with where to ask how it goes."""
    return Response(status_code=202, headers=operation.headers(call.request))


def _new_key() -> str:
    return secrets.token_urlsafe(24)
