"""What is above resource groups: the cloud's metadata, tenants, the subscription, its locations and providers."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.arm.checks import check_scope
from sandbox.arm.ids import GROUP_TYPE
from sandbox.arm.model import View
from sandbox.arm.reads import listed, listed_any
from sandbox.arm.roles import BUILT_IN, DEFINITION_TYPE, BuiltInRole, built_in
from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError, not_imitated
from sandbox.kernel.http import body_json, is_public_host
from sandbox.kernel.tls import REGIONS

VERSIONS = {
    "2016-06-01", "2018-05-01", "2019-06-01", "2019-11-01", "2020-01-01", "2020-06-01", "2020-10-01", "2021-01-01",
    "2021-04-01", "2022-09-01", "2022-12-01", "2023-07-01", "2024-03-01", "2024-07-01", "2024-11-01", "2025-04-01",
}  # fmt: skip
ROLE_VERSIONS = {"2022-04-01", "2022-05-01-preview", "2018-01-01-preview", "2020-04-01-preview"}


def subscription_routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes that are no resource type's."""
    top = _Top(sandbox)
    one = "/subscriptions/{subscription}"
    roles = "/providers/Microsoft.Authorization/roleDefinitions"
    return [
        Route("/metadata/endpoints", top.metadata),
        Route("/tenants", top.tenants),
        Route("/subscriptions", top.subscriptions),
        Route(one, top.subscription),
        Route(f"{one}/locations", top.locations),
        Route(f"{one}/resources", top.resources),
        Route(f"{one}/resourcegroups", top.groups),
        Route(f"{one}/resourceGroups", top.groups),
        Route(f"{one}/providers", top.providers),
        Route(f"{one}/providers/{{namespace}}", top.provider),
        Route(f"{one}/providers/{{namespace}}/register", top.provider, methods=["POST"]),
        Route(f"{one}/providers/Microsoft.Storage/checkNameAvailability", top.check_name, methods=["POST"]),
        Route(f"{roles}/{{guid}}", top.role),
        Route(f"/{{scope:path}}{roles}/{{guid}}", top.role),
        Route(f"/{{scope:path}}{roles}", top.roles),
    ]


class _Top:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._settings = sandbox.settings
        self._arm: ArmState = sandbox.states["arm"]

    def _check(self, request: Request, versions: set[str] = VERSIONS) -> None:
        version = request.query_params.get("api-version")
        if not version:
            raise AzureError(
                400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
            )
        if version not in versions:
            raise not_imitated(request.method, request.url.path, version)
        if "subscription" in request.path_params:
            check_scope(
                self._arm, f"/subscriptions/{request.path_params['subscription']}", self._settings.subscription_id
            )

    async def metadata(self, request: Request) -> Response:
        """The cloud's addresses, at public names or the sandbox's, as the caller came."""
        return JSONResponse([_cloud(self._settings.url, is_public_host(request))])

    async def tenants(self, request: Request) -> Response:
        self._check(request)
        tenant = self._settings.tenant_id
        shown = {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "sandbox", "tenantCategory": "Home"}
        return JSONResponse({"value": [shown]})

    async def subscriptions(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse({"value": [self._subscription()], "count": {"type": "Total", "value": 1}})

    async def subscription(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse(self._subscription())

    def _subscription(self) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{self._settings.subscription_id}",
            "subscriptionId": self._settings.subscription_id,
            "tenantId": self._settings.tenant_id,
            "displayName": "sandbox",
            "state": "Enabled",
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
        }

    async def locations(self, request: Request) -> Response:
        self._check(request)
        scope = f"/subscriptions/{self._settings.subscription_id}/locations"
        shown = [{"id": f"{scope}/{name}", "name": name, "type": "Region", "displayName": name} for name in REGIONS]
        return JSONResponse({"value": shown})

    async def resources(self, request: Request) -> Response:
        self._check(request)
        found = listed_any(self._arm, f"/subscriptions/{self._settings.subscription_id}", request.query_params)
        return self._listed(request, found)

    async def groups(self, request: Request) -> Response:
        self._check(request)
        kind = self._arm.type(GROUP_TYPE)
        assert kind is not None  # nosec B101  # the catalogue always has it
        scope = f"/subscriptions/{self._settings.subscription_id}"
        return self._listed(request, listed(self._arm, kind, scope, request.query_params))

    def _listed(self, request: Request, found: list[Any]) -> Response:
        view = View(self._sandbox, is_public_host(request))
        return JSONResponse({"value": [self._arm.show(each, view) for each in found]})

    async def providers(self, request: Request) -> Response:
        self._check(request)
        names = sorted({each.name.split("/")[0] for each in self._arm.types()})
        return JSONResponse({"value": [self._provider(name) for name in names]})

    async def provider(self, request: Request) -> Response:
        self._check(request)
        wanted = request.path_params["namespace"].lower()
        for each in self._arm.types():
            if (name := each.name.split("/")[0]).lower() == wanted:
                return JSONResponse(self._provider(name))
        raise not_imitated(request.method, request.url.path, request.query_params["api-version"])

    def _provider(self, namespace: str) -> dict[str, Any]:
        types = [
            {
                "resourceType": each.name.split("/", 1)[1],
                "locations": list(REGIONS),
                "apiVersions": sorted(each.versions, reverse=True),
            }
            for each in self._arm.types()
            if each.name.split("/")[0] == namespace
        ]
        scope = f"/subscriptions/{self._settings.subscription_id}/providers/{namespace}"
        return {"id": scope, "namespace": namespace, "registrationState": "Registered", "resourceTypes": types}

    async def check_name(self, request: Request) -> Response:
        name = str((await body_json(request)).get("name", "")).lower()
        taken = any(each.name.lower() == name for each in self._arm.of_type("Microsoft.Storage/storageAccounts"))
        if taken:
            message = f"The storage account named {name} is already taken."
            return JSONResponse({"nameAvailable": False, "reason": "AlreadyExists", "message": message})
        return JSONResponse({"nameAvailable": True})

    async def role(self, request: Request) -> Response:
        """A built-in role, or one of the sandbox's own, at any scope."""
        self._check(request, ROLE_VERSIONS)
        guid = request.path_params["guid"]
        if (role := built_in(guid)) is not None:
            return JSONResponse(self._role(role))
        for custom in self._arm.of_type(DEFINITION_TYPE):
            if custom.name.lower() == guid.lower():
                return self._one(request, custom)
        raise AzureError(
            404, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{guid}' does not exist."
        )

    def _one(self, request: Request, resource: Any) -> Response:
        return JSONResponse(self._arm.show(resource, View(self._sandbox, is_public_host(request))))

    async def roles(self, request: Request) -> Response:
        """Built-in roles and the sandbox's own; `$filter=roleName eq '...'`."""
        self._check(request, ROLE_VERSIONS)
        kind = self._arm.type(DEFINITION_TYPE)
        assert kind is not None  # nosec B101  # the catalogue always has it
        view = View(self._sandbox, is_public_host(request))
        own = listed(self._arm, kind, "/" + request.path_params["scope"], request.query_params)
        name = _role_name(request.query_params.get("$filter", ""))
        stock = [self._role(role) for role in BUILT_IN if name in ("", role.name.lower())]
        return JSONResponse({"value": [*stock, *(self._arm.show(each, view) for each in own)]})

    def _role(self, role: BuiltInRole) -> dict[str, Any]:
        scope = f"/subscriptions/{self._settings.subscription_id}"
        return {
            "id": f"{scope}/providers/{DEFINITION_TYPE}/{role.guid}",
            "name": role.guid,
            "type": DEFINITION_TYPE,
            "properties": {
                "roleName": role.name,
                "type": "BuiltInRole",
                "description": "",
                "assignableScopes": ["/"],
                "permissions": role.permissions(),
            },
        }


def _role_name(text: str) -> str:
    parts = text.split("'")
    return parts[1].lower() if len(parts) == 3 and parts[0].strip().lower() == "rolename eq" else ""


def _cloud(url: Any, public: bool) -> dict[str, Any]:
    arm, login, graph, ml = (
        ("https://management.azure.com", "https://login.microsoftonline.com", "https://graph.microsoft.com", "https://ml.azure.com")
        if public
        else (url("arm"), url("login"), url("graph"), url("ml"))
    )  # fmt: skip
    storage = "core.windows.net" if public else url("blob").removeprefix("https://")
    return {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "resourceManager": arm + "/",
        "graph": graph + "/",
        "microsoftGraphResourceId": graph + "/",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "appInsightsResourceId": "https://api.applicationinsights.io",
        "logAnalyticsResourceId": "https://api.loganalytics.io",
        "authentication": {
            "loginEndpoint": login,
            "audiences": ["https://management.core.windows.net/", arm + "/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {
            "storage": storage,
            "keyVaultDns": "vault.azure.net",
            "acrLoginServer": "azurecr.io",
            "mlWorkspace": ml,
        },
    }
