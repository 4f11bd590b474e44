"""The registries' data plane: discovery, and what azure-ai-ml asks of a registry's models."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from sandbox.arm.access import check_action
from sandbox.arm.app import AUDIENCES
from sandbox.arm.ids import parse
from sandbox.arm.model import Resource, View
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError, not_imitated
from sandbox.kernel.http import bearer, body_json, is_public_host
from sandbox.ml.assets import container_properties, drop_nulls
from sandbox.ml.http import PROVIDER, CaselessRoute, listing, user_error
from sandbox.ml.registries.state import TYPE, Registries

if TYPE_CHECKING:
    from sandbox.ml.state import MlState

ML_AUDIENCES = ("https://ml.azure.com",)
VERSION = "2021-10-01-dataplanepreview"
DISCOVERY = "/registrymanagement/v1.0/registries/{registry}/discovery"
_PREFIX = (
    "/mferp/managementfrontend/subscriptions/{subscription}/resourceGroups/{group}/providers/"
    + PROVIDER
    + "/registries/{registry}"
)


@dataclass(frozen=True, slots=True)
class RegistryCall:
    """One request on something below `registry`."""

    sandbox: Sandbox
    request: Request
    registry: Resource

    def __getitem__(self, name: str) -> str:
        return str(self.request.path_params[name])

    @property
    def ml(self) -> MlState:
        state: MlState = self.sandbox.states["ml"]
        return state

    @property
    def registries(self) -> Registries:
        return self.ml.registries

    @property
    def view(self) -> View:
        return View(self.sandbox, is_public_host(self.request))

    def version(self) -> Resource:
        return self.registries.version(self.registry, self["name"], self["version"])


Handler = Callable[[RegistryCall], Awaitable[Response]]


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """On the port of the region's ML services."""
    one = "/models/{name}/versions/{version}"
    return [
        _discovery(sandbox),
        _route(sandbox, "/models", {"GET": list_models}),
        _route(sandbox, "/models/{name}", {"GET": get_model}),
        _route(sandbox, "/models/{name}/versions", {"GET": list_versions}),
        _route(sandbox, one, {"GET": get_version, "PUT": put_version}),
        _route(sandbox, "/tempdatarefs/{name}/versions/{version}", {"PUT": upload_link}),
        _route(sandbox, "/datarefs/{name}/versions/{version}", {"POST": read_link}),
        _route(sandbox, "/import", {"POST": import_model}),
        _route(sandbox, "/import/{operation}", {"GET": import_result}),
    ]


def _discovery(sandbox: Sandbox) -> CaselessRoute:
    """Where a registry's data plane is."""

    async def endpoint(request: Request) -> Response:
        _principal(request, sandbox)
        ml: MlState = sandbox.states["ml"]
        registry = ml.registries.find(str(request.path_params["registry"]))
        owner, region = parse(registry.id), str(registry.location)
        base = f"https://cert-{region}.api.azureml.ms" if is_public_host(request) else sandbox.settings.url("ml")
        return JSONResponse(
            {
                "registryName": registry.name,
                "primaryRegion": region,
                "regions": [region],
                "tenantId": sandbox.settings.tenant_id,
                "subscriptionId": owner.subscription,
                "resourceGroup": owner.group,
                "primaryRegionResourceProviderUri": f"{base}/",
                "registryFqdns": {region: {"uri": base}},
            }
        )

    return CaselessRoute(DISCOVERY, endpoint, methods=["GET"])


def _route(sandbox: Sandbox, path: str, handlers: dict[str, Handler]) -> CaselessRoute:
    async def endpoint(request: Request) -> Response:
        principal = _principal(request, sandbox)
        version = request.query_params.get("api-version", "")
        handler = handlers.get(request.method)
        if handler is None or version != VERSION:
            raise not_imitated(request.method, request.url.path, version)
        ml: MlState = sandbox.states["ml"]
        registry = ml.registries.find(str(request.path_params["registry"]))
        # a POST for a link reads; the import and the upload write
        reads = request.method == "GET" or "/datarefs/" in request.url.path
        check_action(sandbox, principal, f"{TYPE}/assets/{'read' if reads else 'write'}", registry.id)
        return await handler(RegistryCall(sandbox, request, registry))

    return CaselessRoute(_PREFIX + path, endpoint, methods=["GET", "PUT", "POST", "DELETE", "PATCH"])


def _principal(request: Request, sandbox: Sandbox) -> Any:
    settings = sandbox.settings
    request.state.principal = bearer(
        request, sandbox, [*AUDIENCES, *ML_AUDIENCES, settings.url("arm"), settings.url("ml")]
    )
    return request.state.principal


async def list_models(call: RegistryCall) -> Response:
    names = sorted({_name(each) for each in call.registries.versions(call.registry)})
    return listing([_container(call, name) for name in names])


async def get_model(call: RegistryCall) -> Response:
    if not call.registries.versions(call.registry, call["name"]):
        raise AzureError(404, "ModelNotFound", f"Model {call['name']} was not found in registry {call.registry.name}.")
    return JSONResponse(_container(call, call["name"]))


async def list_versions(call: RegistryCall) -> Response:
    found: Sequence[Resource] = call.registries.versions(call.registry, call["name"])[::-1]
    if call.request.query_params.get("$orderBy", "").lower().endswith("asc"):
        found = found[::-1]
    top = call.request.query_params.get("$top", "")
    return listing([_shown(call, each) for each in (found[: int(top)] if top.isdigit() else found)])


async def get_version(call: RegistryCall) -> Response:
    return JSONResponse(_shown(call, call.version()))


async def put_version(call: RegistryCall) -> Response:
    """From uploaded files; or tags and description of a version that is there."""
    properties = (await body_json(call.request)).get("properties")
    if not isinstance(properties, dict):
        raise user_error("The request body must have an object 'properties'.")
    created = call.registries.save(call.registry, call["name"], call["version"], drop_nulls(properties))
    return JSONResponse(_shown(call, call.version()), 201 if created else 200)


async def upload_link(call: RegistryCall) -> Response:
    """A container for the files of a version that is about to be made; 409 when it is there."""
    try:
        call.version()
    except AzureError:
        place = call.registries.place(call.registry, call["name"], call["version"])
        call.ml.datastores.make_container(place)
        return _link(call, place, call.ml.datastores.container_url(place, call.view), "racwdl")
    raise AzureError(409, "AssetExists", f"Model {call['name']}:{call['version']} exists; its files can't be changed.")


async def read_link(call: RegistryCall) -> Response:
    found = call.version()
    place = call.ml.datastores.locate(call.registry, found.properties["modelUri"])
    return _link(call, place, call.ml.datastores.container_url(place, call.view), "rl")


def _link(call: RegistryCall, place: Any, url: str, permissions: str) -> Response:
    credential = {
        "credentialType": "SAS",
        "sasUri": f"{url}?{call.ml.datastores.sas(place, permissions=permissions)}",
    }
    return JSONResponse({"blobReferenceForConsumption": {"blobUri": url, "credential": credential}})


async def import_model(call: RegistryCall) -> Response:
    """Starts the copy of a workspace's model; the caller has to be allowed to read that."""
    wanted = (await body_json(call.request)).get("properties")
    if not isinstance(wanted, dict) or not wanted.get("sourceAssetId"):
        raise user_error("properties.sourceAssetId: an import needs the id of what it imports.")
    source = call.registries.source(str(wanted["sourceAssetId"]))
    target = (str(wanted.get("destinationName") or source[1]), str(wanted.get("destinationVersion") or source[2]))
    model = f"{source[0].id}/models/{source[1]}/versions/{source[2]}"
    check_action(call.sandbox, call.request.state.principal, f"{PROVIDER}/workspaces/models/versions/read", model)
    await call.ml.models.get(*source)
    work = call.registries.take_over(call.registry, source, target)
    operation = call.ml.arm.operations.start(work, call.registry.id, on_failed=lambda _: None)
    return Response(status_code=202, headers=_poll(call, operation.id))


async def import_result(call: RegistryCall) -> Response:
    """202 while it runs; then 200 without a body, after which azure-ai-ml reads the version."""
    document = call.ml.arm.operations.status(call["operation"])
    if document["status"] == "InProgress":
        return Response(status_code=202, headers=_poll(call, call["operation"]))
    if document["status"] == "Succeeded":
        return Response(status_code=200)
    return JSONResponse({"error": document["error"]}, document["httpStatus"])


def _poll(call: RegistryCall, operation: str) -> dict[str, str]:
    url = call.request.url
    base = url.path.lower().partition("/import")[0]
    path = url.path[: len(base)]
    return {
        "Location": f"{url.scheme}://{url.netloc}{path}/import/{operation}?api-version={VERSION}",
        "retry-after-ms": "200",
    }


def _name(version: Resource) -> str:
    return version.id.split("/")[-3]


def _shown(call: RegistryCall, version: Resource) -> dict[str, Any]:
    """Assets of registries go by an id of their own form, not ARM's."""
    identity = f"azureml://registries/{call.registry.name}/models/{_name(version)}/versions/{version.name}"
    return version.document() | {"id": identity}


def _container(call: RegistryCall, name: str) -> dict[str, Any]:
    versions = call.registries.versions(call.registry, name)
    return {
        "id": f"azureml://registries/{call.registry.name}/models/{name}",
        "name": name,
        "type": f"{TYPE}/models",
        "properties": container_properties(versions),
        "systemData": versions[-1].system_data,
    }
