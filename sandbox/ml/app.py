"""The workspace's data plane: discovery, run history, resolved addresses of outputs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.arm.access import check_action
from sandbox.arm.app import AUDIENCES
from sandbox.arm.model import Resource
from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.http import bearer, create_app, is_public_host
from sandbox.ml.assets import created_at
from sandbox.ml.batch import routes as batch
from sandbox.ml.http import PROVIDER, WORKSPACE_PATH, Call, CaselessRoute, find_workspace, user_error
from sandbox.ml.jobs import records
from sandbox.ml.jobs.workdir import LOGS, Workdir
from sandbox.ml.registries.routes import routes as registry_routes
from sandbox.ml.routes import routes as arm_routes

_HISTORY = "/history/v1.0"
ML_AUDIENCES = ("https://ml.azure.com", "https://graph.windows.net")
_EDITS = {"displayName": "displayName", "description": "description", "hidden": "isArchived"}


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves `{region}.api.azureml.ms`; mounts what ARM serves below a workspace on ARM's port."""
    arm: ArmState = sandbox.states["arm"]
    arm.mount(arm_routes(sandbox))
    history = f"{_HISTORY}{WORKSPACE_PATH}"
    run = f"{history}/runs/{{job}}"
    endpoint = "/batchEndpoints/{endpoint}"
    routes = [
        Route("/", _discovery(sandbox)),
        Route("/discovery{rest:path}", _discovery(sandbox)),
        *registry_routes(sandbox),
        _route(sandbox, f"{run}/details", "GET", details),
        _route(sandbox, f"{run}/children", "GET", children),
        _route(sandbox, run, "GET", get_run),
        _route(sandbox, f"{history}/rundata", "POST", run_data),
        _route(sandbox, f"{history}/experiments/{{experiment}}/runs/{{job}}/details", "GET", details),
        _route(sandbox, f"{history}/experiments/{{experiment}}/runs/{{job}}", "PATCH", patch_run),
        _route(sandbox, f"/data/v1.0{WORKSPACE_PATH}/dataversion/batchGetResolvedUris", "POST", resolved_uris),
        _route(sandbox, f"/modelregistry/v1.0{WORKSPACE_PATH}/models/batchGetResolvedUris", "POST", resolved_uris),
        _route(sandbox, f"{batch.INVOCATION}{WORKSPACE_PATH}{endpoint}/jobs", "POST", batch.invoke),
        _route(sandbox, f"{batch.LISTING}{WORKSPACE_PATH}{endpoint}/jobs", "GET", batch.list_jobs),
        _route(
            sandbox,
            f"{batch.LISTING}{WORKSPACE_PATH}{endpoint}/deployments/{{deployment}}/jobs",
            "GET",
            batch.list_jobs,
        ),
    ]
    return create_app("ml", sandbox, routes)


def _route(sandbox: Sandbox, path: str, method: str, handler: Callable[[Call], Awaitable[Response]]) -> CaselessRoute:
    async def endpoint(request: Request) -> Response:
        settings = sandbox.settings
        audiences = [*AUDIENCES, *ML_AUDIENCES, settings.url("arm"), settings.url("ml")]
        request.state.principal = bearer(request, sandbox, audiences)
        call = Call(sandbox, request, find_workspace(sandbox, request.path_params))
        if path.startswith(_HISTORY) and method == "GET":
            check_action(
                sandbox, request.state.principal, f"{PROVIDER}/workspaces/experiments/runs/read", call.workspace.id
            )
        return await handler(call)

    return CaselessRoute(path, endpoint, methods=[method])


def _discovery(sandbox: Sandbox) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        """Needs no token, as on Azure: it only says where the services are."""
        base = f"https://{request.url.hostname}" if is_public_host(request) else sandbox.settings.url("ml")
        names = ("api", "experimentation", "history", "metrics", "catalog", "modelregistry", "studio")
        return JSONResponse(dict.fromkeys(names, base))

    return endpoint


def _find(call: Call, name: str) -> Resource:
    job = call.arm.get(call.id("jobs", name))
    if job is None:
        raise AzureError(404, "UserError", f"Run {name} was not found in workspace {call.workspace.name}.")
    return job


async def get_run(call: Call) -> Response:
    return JSONResponse(records.run_document(_find(call, call["job"])))


async def details(call: Call) -> Response:
    job = _find(call, call["job"])
    return JSONResponse(records.run_document(job) | {"logFiles": log_links(call, job)})


def log_links(call: Call, job: Resource) -> dict[str, str]:
    """The logs that were kept so far, as links that need no other credentials."""
    storage = call.sandbox.states["storage"]
    workdir = Workdir(call.ml, call.workspace, job.name, call.sandbox.home)
    places = {name: workdir.artifact(name) for name in LOGS}
    return {
        name: call.ml.datastores.read_link(place, call.view)
        for name, place in places.items()
        if storage.find(place.account, place.container, place.path) is not None
    }


async def children(call: Call) -> Response:
    parent = _find(call, call["job"])
    jobs = [
        each for each in call.arm.children(call.workspace.id, records.TYPE) if each.private.get("parent") == parent.name
    ]
    return JSONResponse({"value": [records.run_document(each) for each in sorted(jobs, key=created_at)]})


async def run_data(call: Call) -> Response:
    name = str((await call.body()).get("runId") or "")
    document = records.run_document(_find(call, name))
    return JSONResponse({"runMetadata": document, "runDefinition": None, "jobSpecification": None})


async def patch_run(call: Call) -> Response:
    """Tags and properties are merged; a job's name and files are not the history's to change."""
    body = await call.body()
    job = _find(call, call["job"])
    for key, target in _EDITS.items():
        if body.get(key) is not None:
            job.properties[target] = body[key]
    for key in ("tags", "properties"):
        if isinstance(body.get(key), dict):
            job.properties[key] = (job.properties.get(key) or {}) | body[key]
    call.arm.put(job, call.request.state.principal)
    return JSONResponse(records.run_document(job))


async def resolved_uris(call: Call) -> Response:
    """From the ids that `run_data` gives for outputs to where they are."""
    wanted = (await call.body()).get("values")
    if not isinstance(wanted, list):
        raise user_error("The request body must have a list 'values'.")
    known = {}
    for job in call.arm.children(call.workspace.id, records.TYPE):
        for name, output in (job.properties.get("outputs") or {}).items():
            known[records.output_asset(job, name)] = {
                "uri": output["uri"], "path": output["uri"], "type": output.get("jobOutputType") or "uri_folder",
            }  # fmt: skip
    return JSONResponse({"values": {each: known[each] for each in wanted if each in known}})
