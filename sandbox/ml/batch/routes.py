"""The data plane of batch endpoints: invocations, and the jobs that they became."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse, Response

from sandbox.arm.access import check_action
from sandbox.arm.model import Resource
from sandbox.ml.assets import created_at
from sandbox.ml.batch.spec import INPUT, OUTPUT, BatchSpec, output_of
from sandbox.ml.http import PROVIDER, Call, listing, user_error
from sandbox.ml.jobs import records
from sandbox.ml.jobs.pipeline_plan import PipelinePlan, Step
from sandbox.ml.jobs.spec import check_name

#: Where azure-ai-ml finds the service that lists jobs, below the workspace's discovered address.
LISTING = "/mferp/managementfrontend"
#: Where the sandbox's own scoring URIs lead; the gateway sends Azure's public ones here.
INVOCATION = "/batch"
STEP = "batchscoring"
_JOBS = f"{PROVIDER}/workspaces/batchEndpoints/jobs"


async def invoke(call: Call) -> Response:
    """Begin a job of the endpoint's default deployment, or of the one that the header names."""
    endpoint = _endpoint(call)
    pinned = call.request.headers.get("azureml-model-deployment", "")
    scope = f"{endpoint.id}/deployments/{pinned}" if pinned else endpoint.id
    kind = "batchEndpoints/deployments" if pinned else "batchEndpoints"
    principal = call.request.state.principal
    check_action(call.sandbox, principal, f"{PROVIDER}/workspaces/{kind}/jobs/write", scope)
    # The job is its caller's.
    check_action(call.sandbox, principal, f"{PROVIDER}/workspaces/experiments/runs/submit/action", call.workspace.id)
    asked = call.request.headers.get("repeatability_request-id", "")
    if (known := _asked_before(call, asked)) is not None:
        return JSONResponse(_shown(known), 201)
    deployment = _deployment(call, endpoint, pinned)
    body = await call.properties()
    job, plan = _plan(call, endpoint, deployment, body)
    job.private = {"batchEndpoint": endpoint.id, "request": asked}
    call.arm.put(job, call.request.state.principal)
    call.ml.datastores.ensure(call.workspace)
    call.ml.jobs.submit(call.workspace, job, plan)
    return JSONResponse(_shown(job), 201)


async def list_jobs(call: Call) -> Response:
    """Of the endpoint, or of one of its deployments."""
    endpoint, deployment = _endpoint(call), call.request.path_params.get("deployment")
    check_action(call.sandbox, call.request.state.principal, f"{_JOBS}/read", endpoint.id)
    found = [job for job in _jobs(call) if job.private.get("batchEndpoint") == endpoint.id]
    if deployment:
        found = [job for job in found if job.properties["tags"]["azureml.deploymentname"] == deployment]
    return listing([_shown(job) for job in sorted(found, key=created_at, reverse=True)])


def _endpoint(call: Call) -> Resource:
    found = call.arm.get(call.id("batchEndpoints", call["endpoint"]))
    if found is None:
        raise user_error(f"Batch endpoint '{call['endpoint']}' was not found in {call.workspace.name}.", 404)
    return found


def _deployment(call: Call, endpoint: Resource, pinned: str) -> Resource:
    name = pinned or (endpoint.properties.get("defaults") or {}).get("deploymentName")
    if not name:
        raise user_error(f"Batch endpoint '{endpoint.name}' has no default deployment, and none was named.")
    found = call.arm.get(f"{endpoint.id}/deployments/{name}")
    if found is None:
        raise user_error(f"Batch endpoint '{endpoint.name}' has no deployment '{name}'.", 404)
    if found.properties.get("provisioningState") != "Succeeded":
        raise user_error(f"Deployment '{name}' is {found.properties.get('provisioningState')}; it can't be invoked.")
    return found


def _plan(call: Call, endpoint: Resource, deployment: Resource, body: dict[str, Any]) -> tuple[Resource, PipelinePlan]:
    """The job's document and its one step, as Azure makes them of an invocation."""
    name = str(body.get("name") or f"batchjob-{uuid.uuid4()}")
    check_name(name)
    if call.arm.get(call.id("jobs", name)) is not None:
        raise user_error(f"There is a job '{name}' already.", 409)
    spec, settings, child = BatchSpec.read(deployment.properties, body), call.sandbox.settings, str(uuid.uuid4())
    bound = {"jobInputType": spec.inputs[INPUT].type, "uri": spec.inputs[INPUT].uri, "mode": "ReadOnlyMount"}
    experiment = str((body.get("properties") or {}).get("experimentName") or endpoint.name)
    common = {"experimentName": experiment, "inputs": {INPUT: bound}}
    output: dict[str, Any] = {"jobOutputType": "uri_folder"}
    if uri := output_of(body):
        output["uri"] = uri
    tags = {
        "azureml.batchrun": "true", "azureml.jobtype": "azureml.batchjob",
        "azureml.endpointname": endpoint.name, "azureml.deploymentname": deployment.name,
    }  # fmt: skip
    job = call.arm.new(call.id("jobs", name))
    asked = {"jobType": records.PIPELINE, "tags": tags, "jobs": {}, "settings": {}, **common}
    job.properties = records.complete(settings, name, asked)
    step = {
        "jobType": records.COMMAND, "displayName": STEP, "computeId": spec.compute_id, "outputs": {OUTPUT: output},
        **common,
    }  # fmt: skip
    return job, PipelinePlan({STEP: Step(STEP, child, spec, step, frozenset())}, continue_on_failure=False)


def _jobs(call: Call) -> list[Resource]:
    return [job for job in call.arm.children(call.workspace.id, records.TYPE) if "batchEndpoint" in job.private]


def _asked_before(call: Call, request: str) -> Resource | None:
    """The job of a request that was sent twice."""
    return next((job for job in _jobs(call) if request and job.private["request"] == request), None)


def _shown(job: Resource) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "type": _JOBS,
        "properties": {
            "name": job.name,
            "status": job.properties["status"],
            "tags": job.properties["tags"],
            "experimentName": job.properties["experimentName"],
            "interactionEndpoints": job.properties["services"],
            "inputData": job.properties["inputs"],
        },
    }
