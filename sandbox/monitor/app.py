"""The metrics service: `metrics:getBatch` on its own port, and the same numbers below every resource on ARM's."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.arm.access import check_action
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError, not_imitated
from sandbox.kernel.http import bearer, body_json, create_app
from sandbox.monitor.answers import answer, definitions, namespace_of, read_question, stamp

AUDIENCE = "https://metrics.monitor.azure.com"
READ = "Microsoft.Insights/Metrics/Read"
_BATCH_VERSIONS = ("2023-10-01", "2024-02-01")
_ARM_VERSIONS = ("2018-01-01", "2019-07-01", "2021-05-01", "2023-10-01", "2024-02-01")
_MOST_RESOURCES = 50


def create(sandbox: Sandbox) -> ASGIApp:
    """Serves the `monitor` port; its routes on ARM's port are mounted on the way."""
    if (arm := sandbox.states.get("arm")) is not None:
        arm.mount(routes(sandbox))
    batch = Route("/subscriptions/{subscription}/metrics:getBatch", _Batch(sandbox).answer, methods=["POST"])
    return create_app("monitor", sandbox, [batch])


def routes(sandbox: Sandbox) -> list[Route]:
    """`{resource}/providers/Microsoft.Insights/metrics` and `metricDefinitions`, for ARM's port (token checked there)."""

    async def metrics(request: Request) -> Response:
        _check_version(request, _ARM_VERSIONS)
        resource_id = "/" + request.path_params["resource"]
        query = {name.lstrip("$").lower(): value for name, value in request.query_params.items()}
        query.setdefault("metricnamespace", namespace_of(resource_id))
        start, _, end = query.get("timespan", "").partition("/")
        question = read_question(sandbox, query, start or None, end or None)
        found = sandbox.states["arm"].get(resource_id)
        return JSONResponse(
            {
                "cost": 0,
                "timespan": f"{stamp(question.start)}/{stamp(question.end)}",
                "interval": question.interval,
                "namespace": question.namespace,
                "resourceregion": found.location if found else None,
                "value": answer(sandbox, resource_id, question),
            }
        )

    async def metric_definitions(request: Request) -> Response:
        _check_version(request, _ARM_VERSIONS)
        return JSONResponse({"value": definitions("/" + request.path_params["resource"])})

    made = []
    for provider in ("Microsoft.Insights", "microsoft.insights"):
        made.append(Route(f"/{{resource:path}}/providers/{provider}/metrics", metrics))
        made.append(Route(f"/{{resource:path}}/providers/{provider}/metricDefinitions", metric_definitions))
    return made


class _Batch:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def answer(self, request: Request) -> Response:
        sandbox = self._sandbox
        audiences = [AUDIENCE, sandbox.settings.url("monitor"), f"https://{request.url.hostname}"]
        principal = bearer(request, sandbox, audiences)
        _check_version(request, _BATCH_VERSIONS)
        ids = await self._resource_ids(request)
        for resource_id in ids:
            check_action(sandbox, principal, READ, resource_id)
        region = self._region(ids, request.url.hostname or "")
        query = {name.lower(): value for name, value in request.query_params.items()}
        question = read_question(sandbox, query, query.get("starttime"), query.get("endtime"))
        values = [
            {
                "starttime": stamp(question.start),
                "endtime": stamp(question.end),
                "interval": question.interval,
                "namespace": question.namespace,
                "resourceregion": region,
                "resourceid": resource_id,
                "value": answer(sandbox, resource_id, question),
            }
            for resource_id in ids
        ]
        return JSONResponse({"values": values})

    async def _resource_ids(self, request: Request) -> list[str]:
        ids = (await body_json(request)).get("resourceids")
        if (
            not isinstance(ids, list)
            or not 1 <= len(ids) <= _MOST_RESOURCES
            or not all(isinstance(i, str) for i in ids)
        ):
            raise AzureError(400, "BadRequest", f"'resourceids' must list 1 to {_MOST_RESOURCES} resource ids.")
        prefix = f"/subscriptions/{request.path_params['subscription']}/".lower()
        for resource_id in ids:
            if not resource_id.lower().startswith(prefix):
                raise AzureError(
                    400, "BadRequest", f"{resource_id} is in another subscription than the request's path names."
                )
        return ids

    def _region(self, ids: list[str], host: str) -> str:
        """All must be in one region, and in the one that a regional host name gives."""
        regions = set()
        for resource_id in ids:
            if (found := self._sandbox.states["arm"].get(resource_id)) is None:
                raise AzureError(404, "ResourceNotFound", f"The Resource '{resource_id}' was not found.")
            regions.add((found.location or "").lower())
        if host.endswith(".metrics.monitor.azure.com"):
            regions.add(host.partition(".")[0])
        if len(regions) > 1:
            raise AzureError(
                400,
                "BadRequest",
                f"All resources must be in the region that is asked; here: {', '.join(sorted(regions))}.",
            )
        return regions.pop()


def _check_version(request: Request, known: tuple[str, ...]) -> None:
    version = request.query_params.get("api-version")
    if version not in known:
        raise not_imitated(request.method, request.url.path, version)
