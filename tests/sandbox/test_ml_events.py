"""What happens in a workspace reaches Event Grid; what a killed sandbox left is tidied up by the next."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.events import MODEL_REGISTERED, MlEvents
from sandbox.ml.jobs.process import record_of
from sandbox.ml.jobs.runner import JobRunner
from sandbox.ml.jobs.spec import CommandSpec
from sandbox.ml.model_entry import MIRROR_TAG

BASE = "/subscriptions/s/resourceGroups/g/providers"
WORKSPACE = f"{BASE}/Microsoft.MachineLearningServices/workspaces/w"


class Recorder:
    """Event Grid, as far as the workspace knows it."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Mapping[str, Any]]] = []

    def publish(self, topic_id: str, events: Sequence[Mapping[str, Any]]) -> int:
        self.published += [(topic_id, event) for event in events]
        return len(events)


class Registry:
    """MLflow's answer to a search for versions."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    async def call(self, _method: str, path: str, _body: Mapping[str, Any]) -> dict[str, Any]:
        assert path == "model-versions/search"
        return {"model_versions": sorted(self.entries, key=lambda entry: -entry["creation_timestamp"])}

    def add(self, version: str, at: int, tags: Sequence[dict[str, str]] = ()) -> None:
        self.entries.append({"name": "churn", "version": version, "creation_timestamp": at, "tags": list(tags)})


@pytest.fixture
def workspace(context: Sandbox) -> Resource:
    arm = context.states["arm"]
    context.states["eventgrid"] = Recorder()
    arm.put(arm.new(f"{BASE}/Microsoft.EventGrid/systemTopics/t", properties={"source": WORKSPACE.upper()}))
    return arm.put(arm.new(WORKSPACE))


def test_models_that_mlflow_registers_are_announced_once_and_azures_own_are_not(
    context: Sandbox, workspace: Resource
) -> None:
    registry, recorder = Registry(), context.states["eventgrid"]
    events = MlEvents(context, registry)  # type: ignore[arg-type]
    registry.add("1", 100)
    asyncio.run(events.look_at_registry())
    assert recorder.published == []  # it was there before anybody listened
    registry.add("2", 200, [{"key": "stage", "value": "dev"}])
    registry.add("3", 300, [{"key": MIRROR_TAG, "value": "azureml://datastores/x/paths/y"}])
    for _ in range(2):
        asyncio.run(events.look_at_registry())
    ((topic, event),) = recorder.published
    assert (topic, event["eventType"], event["subject"]) == (workspace.id, MODEL_REGISTERED, "models/churn:2")
    assert event["data"]["ModelTags"] == {"stage": "dev"}


def test_a_workspace_without_a_topic_announces_nothing(context: Sandbox, workspace: Resource) -> None:
    other = context.states["arm"].put(context.states["arm"].new(f"{WORKSPACE}2"))
    MlEvents(context, Registry()).announce(other, MODEL_REGISTERED, "models/a:1", {})  # type: ignore[arg-type]
    assert context.states["eventgrid"].published == []


def test_a_job_that_ran_when_the_sandbox_was_killed_has_failed_and_its_process_is_ended(
    context: Sandbox, workspace: Resource
) -> None:
    arm = context.states["arm"]
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    job = arm.new(f"{workspace.id}/jobs/left", properties={"status": "Running", "jobType": "Command"})
    job.private = {"process": record_of(process.pid)}
    arm.put(job)
    runner = JobRunner(SimpleNamespace(sandbox=context, arm=arm))  # type: ignore[arg-type]
    asyncio.run(runner.start())
    assert process.wait(5) == -9
    found = arm.get(job.id)
    assert found.properties["status"] == "Failed"
    assert found.private["error"]["message"] == "The sandbox stopped while the job ran."


def test_pipelines_and_their_steps_that_ran_when_the_sandbox_was_killed_have_failed(
    context: Sandbox, workspace: Resource
) -> None:
    arm = context.states["arm"]
    for name, kind, private in (("whole", "Pipeline", {}), ("part", "Command", {"parent": "whole", "step": "a"})):
        job = arm.new(f"{workspace.id}/jobs/{name}", properties={"status": "Running", "jobType": kind})
        job.private = private
        arm.put(job)
    asyncio.run(JobRunner(SimpleNamespace(sandbox=context, arm=arm)).start())  # type: ignore[arg-type]
    assert [arm.get(f"{workspace.id}/jobs/{name}").properties["status"] for name in ("whole", "part")] == ["Failed"] * 2


def test_a_process_that_got_a_dead_jobs_id_is_left_alone(context: Sandbox, workspace: Resource) -> None:
    arm = context.states["arm"]
    process = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        job = arm.new(f"{workspace.id}/jobs/old", properties={"status": "Running", "jobType": "Command"})
        job.private = {"process": {"pid": process.pid, "started": 1.0}}
        arm.put(job)
        asyncio.run(JobRunner(SimpleNamespace(sandbox=context, arm=arm)).start())  # type: ignore[arg-type]
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def spec(command: str, **inputs: Any) -> CommandSpec:
    given = {
        "command": command,
        "environmentId": "e",
        "inputs": inputs,
        "outputs": {"o": {"jobOutputType": "uri_folder"}},
    }
    return CommandSpec.read("j", given)


FILE = {"jobInputType": "uri_file", "uri": "azureml://datastores/a/paths/b"}


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("run ${{inputs.x}} ${{outputs.o}}", "run '/a b/x' /o"),
        ('run "${{inputs.x}}"', 'run "/a b/x"'),
        ("run --in=${{ inputs.x }}", "run --in='/a b/x'"),
        ("run $[[--in ${{inputs.x}}]] $[[--no ${{inputs.no}}]]", "run --in '/a b/x' "),
        ("run ${{inputs.n}}", "run 1 2"),
    ],
)
def test_paths_are_put_into_the_command_whole_and_values_as_they_are(command: str, line: str) -> None:
    made = spec(command, x=FILE, n={"jobInputType": "literal", "value": "1 2"})
    assert made.command_line({"x": "/a b/x", "n": "1 2"}, {"o": "/o"}) == line


def test_a_distributed_job_is_refused_by_name() -> None:
    with pytest.raises(AzureError) as caught:
        CommandSpec.read("j", {"command": "x", "environmentId": "e", "resources": {"instanceCount": 2}})
    assert caught.value.status == 501
