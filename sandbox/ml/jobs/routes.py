"""ARM's routes for jobs."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.assets import drop_nulls, selected
from sandbox.ml.components import component_of
from sandbox.ml.http import Call, listing, user_error, workspace_route
from sandbox.ml.jobs import records
from sandbox.ml.jobs.pipeline_plan import Planner, datastore_of
from sandbox.ml.jobs.runner import Spec
from sandbox.ml.jobs.spec import CommandSpec, check_name
from sandbox.ml.jobs.sweep_spec import SweepSpec

#: What a second PUT of a job may not change.
_FIXED = (
    "command", "codeId", "environmentId", "computeId", "experimentName", "jobType", "jobs", "trial", "searchSpace", "objective",
)  # fmt: skip


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    return [
        workspace_route(sandbox, "/jobs", {"GET": list_jobs}),
        workspace_route(sandbox, "/jobs/{job}", {"GET": get_job, "PUT": put_job, "DELETE": delete_job}),
        workspace_route(sandbox, "/jobs/{job}/cancel", {"POST": cancel_job}),
    ]


def find(call: Call) -> Resource:
    """AzureError 404 when there is no such job."""
    job = call.arm.get(call.id("jobs", call["job"]))
    if job is None:
        raise user_error(f"Run {call['job']} was not found in workspace {call.workspace.name}.", 404)
    return job


async def list_jobs(call: Call) -> Response:
    jobs = [each for each in call.arm.children(call.workspace.id, records.TYPE) if not each.private.get("parent")]
    if kind := call.query.get("jobType"):
        jobs = [each for each in jobs if each.properties["jobType"].lower() == kind.lower()]
    return listing([each.document() for each in selected(call, jobs)])


async def get_job(call: Call) -> Response:
    """A pipeline's steps without their properties, as on Azure: the run history has them, and azure-ai-ml asks it."""
    job = find(call)
    document = job.document()
    return JSONResponse(document | {"properties": None} if "step" in job.private else document)


async def put_job(call: Call) -> Response:
    properties = drop_nulls(await call.properties())
    old = call.arm.get(call.id("jobs", call["job"]))
    if old is not None:
        return JSONResponse(_change(call, old, properties).document())
    check_name(call["job"])
    properties, spec = _read(call, properties)
    job = call.arm.new(call.id("jobs", call["job"]))
    job.properties = properties
    call.arm.put(job, call.request.state.principal)
    call.ml.datastores.ensure(call.workspace)
    call.ml.jobs.submit(call.workspace, job, spec)
    return JSONResponse(job.document(), 201)


def _read(call: Call, properties: dict[str, Any]) -> tuple[dict[str, Any], Spec]:
    """The new job's document and what it asks for; AzureError names what is wrong with it."""
    kind, name = properties.get("jobType"), call["job"]
    if kind not in (records.COMMAND, records.PIPELINE, records.SWEEP):
        raise AzureError(501, "NotImitatedBySandbox", f"The sandbox does not imitate jobs of type {kind!r}.")
    datastore = datastore_of(properties.get("settings") or {})
    complete = records.complete(call.sandbox.settings, name, properties, datastore)
    if kind == records.PIPELINE:
        planner = Planner(
            lambda reference, where: component_of(call.arm, reference, where),
            lambda compute, where: check_compute(call, compute, where),
            lambda: str(uuid.uuid4()),
        )
        return complete, planner.plan(complete)
    spec = CommandSpec.read(name, properties) if kind == records.COMMAND else SweepSpec.read(name, properties)
    if spec.compute_id:
        check_compute(call, spec.compute_id, "properties.computeId")
    return complete, spec


def _change(call: Call, job: Resource, properties: dict[str, Any]) -> Resource:
    for key in _FIXED:
        if key in properties and properties[key] != job.properties.get(key):
            raise user_error(f"Job {job.name} was submitted; its {key} can't be changed.")
    job.properties |= {key: properties[key] for key in records.CHANGEABLE if key in properties}
    return call.arm.put(job, call.request.state.principal)


def check_compute(call: Call, compute: str, where: str) -> None:
    """AzureError 400 for a compute that the workspace does not have."""
    if call.arm.get(compute) is None:
        name = compute.rpartition("/")[2]
        raise user_error(f"{where}: Unknown compute target '{name}' in workspace {call.workspace.name}.")


async def cancel_job(call: Call) -> Response:
    job = find(call)
    if records.is_over(job):
        raise user_error(f"Job {job.name} is {job.properties['status']} and can't be canceled.")
    operation = call.arm.operations.start(call.ml.jobs.cancel(job), job.id, on_failed=lambda _: None)
    return Response(status_code=202, headers=operation.headers(call.request))


def _remove(call: Call, job: Resource) -> None:
    """With its children."""
    for each in call.arm.children(call.workspace.id, records.TYPE):
        if each.private.get("parent") == job.name:
            _remove(call, each)
    call.arm.delete(job.id)


async def delete_job(call: Call) -> Response:
    job = call.arm.get(call.id("jobs", call["job"]))
    if job is None:
        return Response(status_code=204)
    if not records.is_over(job):
        raise user_error(f"Job {job.name} is {job.properties['status']}; cancel it before it is deleted.", 409)

    async def remove() -> None:
        _remove(call, job)

    operation = call.arm.operations.start(remove(), job.id, on_failed=lambda _: None)
    return Response(status_code=202, headers=operation.headers(call.request))
