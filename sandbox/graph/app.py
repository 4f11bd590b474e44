"""Microsoft Graph v1.0: applications, service principals, secrets, federated credentials."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.graph.errors import bad_request, missing
from sandbox.graph.filters import project, select
from sandbox.graph.state import APPLICATION_DEFAULTS, SERVICE_PRINCIPAL_DEFAULTS, GraphState
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import not_imitated
from sandbox.kernel.http import bearer, body_json, create_app

PUBLIC = "https://graph.microsoft.com"
_ALTERNATE_KEY = re.compile(r"^\(appId='([^']+)'\)$")
_READ_ONLY = {"id", "appId"}


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves `graph.microsoft.com`'s routes for the sandbox's tenant."""
    graph = _Graph(sandbox)
    item = "/v1.0/applications/{id}"
    routes = [
        Route("/v1.0/applications", graph.applications, methods=["GET", "POST"]),
        Route("/v1.0/applications{key}", graph.application, methods=["GET", "PATCH", "DELETE"]),
        Route(item, graph.application, methods=["GET", "PATCH", "DELETE"]),
        Route(f"{item}/addPassword", graph.add_password, methods=["POST"]),
        Route(f"{item}/removePassword", graph.remove_password, methods=["POST"]),
        Route(f"{item}/federatedIdentityCredentials", graph.federated, methods=["GET", "POST"]),
        Route(f"{item}/federatedIdentityCredentials/{{name}}", graph.federated_one, methods=["GET", "PATCH", "DELETE"]),
        Route("/v1.0/servicePrincipals", graph.principals, methods=["GET", "POST"]),
        Route("/v1.0/servicePrincipals{key}", graph.principal, methods=["GET", "PATCH", "DELETE"]),
        Route("/v1.0/servicePrincipals/{id}", graph.principal, methods=["GET", "PATCH", "DELETE"]),
    ]
    return create_app("graph", sandbox, routes)


class _Graph:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._state: GraphState = sandbox.states["graph"]

    def _check(self, request: Request) -> None:
        bearer(request, self._sandbox, [PUBLIC, self._sandbox.settings.url("graph")])

    async def applications(self, request: Request) -> Response:
        self._check(request)
        if request.method == "POST":
            added = self._state.add_application(await body_json(request))
            return _entity(request, "applications", added, 201)
        fields = frozenset(APPLICATION_DEFAULTS) | _READ_ONLY
        return _list(request, "applications", [_hide(each) for each in self._state.applications()], fields)

    async def application(self, request: Request) -> Response:
        self._check(request)
        object_id = self._application_id(request)
        if request.method == "PATCH":
            self._state.change_application(object_id, await body_json(request))
            return Response(status_code=204)
        if request.method == "DELETE":
            self._state.remove_application(object_id)
            return Response(status_code=204)
        return _entity(request, "applications", self._state.application(object_id))

    async def add_password(self, request: Request) -> Response:
        self._check(request)
        wanted = (await body_json(request)).get("passwordCredential") or {}
        if not isinstance(wanted, dict):
            raise bad_request("Property 'passwordCredential' must be an object.")
        return _answer(request, "microsoft.graph.passwordCredential", self._state.add_password(_id(request), wanted))

    async def remove_password(self, request: Request) -> Response:
        self._check(request)
        self._state.remove_password(_id(request), str((await body_json(request)).get("keyId", "")))
        return Response(status_code=204)

    async def federated(self, request: Request) -> Response:
        self._check(request)
        object_id = self._state.application(_id(request))["id"]
        if request.method == "POST":
            added = self._state.put_federated_credential(object_id, await body_json(request))
            return _answer(request, "federatedIdentityCredentials/$entity", added, 201)
        fields = frozenset({"id", "name", "issuer", "subject"})
        return _list(request, "federatedIdentityCredentials", self._state.federated_credentials(object_id), fields)

    async def federated_one(self, request: Request) -> Response:
        self._check(request)
        object_id, name = _id(request), request.path_params["name"]
        if request.method == "PATCH":
            self._state.put_federated_credential(object_id, await body_json(request), name)
            return Response(status_code=204)
        if request.method == "DELETE":
            self._state.remove_federated_credential(object_id, name)
            return Response(status_code=204)
        found = self._state.federated_credential(object_id, name)
        return _answer(request, "federatedIdentityCredentials/$entity", found)

    async def principals(self, request: Request) -> Response:
        self._check(request)
        if request.method == "POST":
            added = self._state.add_service_principal(await body_json(request))
            return _entity(request, "servicePrincipals", added, 201)
        fields = frozenset(SERVICE_PRINCIPAL_DEFAULTS) | _READ_ONLY | {"displayName", "servicePrincipalType"}
        return _list(request, "servicePrincipals", self._state.service_principals(), fields)

    async def principal(self, request: Request) -> Response:
        self._check(request)
        object_id = self._principal_id(request)
        if request.method == "PATCH":
            self._state.change_service_principal(object_id, await body_json(request))
            return Response(status_code=204)
        if request.method == "DELETE":
            self._state.remove_service_principal(object_id)
            return Response(status_code=204)
        return _entity(request, "servicePrincipals", self._state.service_principal(object_id))

    def _application_id(self, request: Request) -> str:
        if "id" in request.path_params:
            return _id(request)
        client_id = _client_id(request)
        found = self._state.application_by_client_id(client_id)
        if found is None:
            raise missing(client_id)
        return str(found["id"])

    def _principal_id(self, request: Request) -> str:
        if "id" in request.path_params:
            return _id(request)
        client_id = _client_id(request)
        found = self._state.service_principal_of(client_id)
        if found is None:
            raise missing(client_id)
        return str(found["id"])


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _client_id(request: Request) -> str:
    match = _ALTERNATE_KEY.match(request.path_params["key"])
    if match is None:
        raise not_imitated(request.method, request.url.path)
    return match[1]


def _hide(document: dict[str, Any]) -> dict[str, Any]:
    """Secrets are shown once, when they are made."""
    if "passwordCredentials" not in document:
        return document
    hidden = [{**each, "secretText": None} for each in document["passwordCredentials"]]
    return {**document, "passwordCredentials": hidden}


def _entity(request: Request, collection: str, document: dict[str, Any], status: int = 200) -> Response:
    return _answer(request, f"{collection}/$entity", project(_hide(document), request.query_params), status)


def _answer(request: Request, context: str, document: dict[str, Any], status: int = 200) -> Response:
    shown = {"@odata.context": f"https://{request.url.netloc}/v1.0/$metadata#{context}", **document}
    return JSONResponse(shown, status)


def _list(request: Request, collection: str, documents: list[dict[str, Any]], fields: frozenset[str]) -> Response:
    chosen = select(documents, request.query_params, fields)
    return _answer(request, collection, {"value": chosen})
