"""ML engineers build pipelines from YAML and in Python, watch their steps, cancel them and download what they made.

Annotations are evaluated here: azure-ai-ml's `@pipeline` reads them.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.jobs import children, environment, mlflow_run, pool, run, status_of, until
from tests.sandbox.ml_workspace import MlWorkspace, workspace

pytestmark = pytest.mark.sandbox

STEPS = """
import pathlib, sys, time
kind, *paths = sys.argv[1:]
*sources, target = [pathlib.Path(path) for path in paths]
if kind == "split":
    rows = sources[0].read_text().split()
    (target / "left.txt").write_text(" ".join(rows[::2]))
    (target / "right.txt").write_text(" ".join(rows[1::2]))
elif kind in ("left", "right"):
    began = time.time()
    time.sleep(1.0)
    (target / "count.txt").write_text(str(len((sources[0] / f"{kind}.txt").read_text().split())))
    (target / "when.txt").write_text(f"{began} {time.time()}")
else:
    counts = [int((source / "count.txt").read_text()) for source in sources]
    (target / "sum.txt").write_text(str(sum(counts)))
print("did", kind)
"""

PIPELINE = """
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
display_name: counting
experiment_name: counts
settings:
  default_compute: azureml:pool
inputs:
  rows: {type: uri_file, path: ./rows.txt}
outputs:
  total: {type: uri_folder}
jobs:
  split:
    type: command
    code: ./code
    command: python steps.py split ${{inputs.rows}} ${{outputs.parts}}
    environment: azureml:bare@latest
    inputs:
      rows: ${{parent.inputs.rows}}
    outputs:
      parts: {type: uri_folder}
  left:
    type: command
    code: ./code
    command: python steps.py left ${{inputs.parts}} ${{outputs.counted}}
    environment: azureml:bare@latest
    inputs:
      parts: ${{parent.jobs.split.outputs.parts}}
    outputs:
      counted: {type: uri_folder}
  right:
    type: command
    code: ./code
    command: python steps.py right ${{inputs.parts}} ${{outputs.counted}}
    environment: azureml:bare@latest
    inputs:
      parts: ${{parent.jobs.split.outputs.parts}}
    outputs:
      counted: {type: uri_folder}
  join:
    type: command
    code: ./code
    command: python steps.py join ${{inputs.a}} ${{inputs.b}} ${{outputs.total}}
    environment: azureml:bare@latest
    inputs:
      a: ${{parent.jobs.left.outputs.counted}}
      b: ${{parent.jobs.right.outputs.counted}}
    outputs:
      total: ${{parent.outputs.total}}
"""

COMPONENT = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: greet
version: "1"
code: ./code
command: echo 1 ${{inputs.who}} > ${{outputs.out}}/hello.txt
environment: azureml:bare@latest
inputs:
  who: {type: string, enum: [Ada, Alan]}
outputs:
  out: {type: uri_folder}
"""


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlWorkspace]:
    with workspace(sandbox, "pipelines") as made:
        pool(made, "pool", 3)
        made.client.environments.create_or_update(environment(tmp_path_factory.mktemp("env")))
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "steps.py").write_text(STEPS)
    (tmp_path / "rows.txt").write_text("a b c d e")
    (tmp_path / "pipeline.yml").write_text(PIPELINE)
    return tmp_path


def shell(line: str, **kwargs: Any) -> Any:
    """A step that runs one line of shell."""
    from azure.ai.ml import command

    return command(command=line, environment="bare@latest", **kwargs)


def test_a_pipeline_from_yaml_runs_side_by_side_what_it_can_and_hands_outputs_on(
    ws: MlWorkspace, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from azure.ai.ml import load_job

    job = ws.client.jobs.create_or_update(load_job(folder / "pipeline.yml"))
    ws.client.jobs.stream(job.name)
    assert "Completing processing run id" in capsys.readouterr().out
    assert until(ws, job.name, "Completed") == "Completed"

    ws.client.jobs.download(job.name, download_path=folder / "got", output_name="total")
    assert (folder / "got/named-outputs/total/sum.txt").read_text() == "5"
    steps = children(ws, job.name)
    assert list(steps) == ["split", "left", "right", "join"] or list(steps) == ["split", "right", "left", "join"]
    spans = [counted(ws, steps[name].name, folder / name) for name in ("left", "right")]
    assert max(began for began, _ in spans) < min(ended for _, ended in spans), "left and right did not overlap"
    ws.client.jobs.download(steps["join"].name, download_path=folder / "join", all=True)
    assert "did join" in (folder / "join/artifacts/user_logs/std_log.txt").read_text()
    # Steps are not jobs of the workspace's own list.
    assert {steps["join"].name, job.name} & {each.name for each in ws.client.jobs.list()} == {job.name}


def counted(ws: MlWorkspace, step: str, folder: Path) -> tuple[float, float]:
    ws.client.jobs.download(step, download_path=folder, output_name="counted")
    began, ended = (folder / "named-outputs/counted/when.txt").read_text().split()
    return float(began), float(ended)


def test_the_steps_runs_are_nested_in_mlflow_below_the_pipelines(ws: MlWorkspace) -> None:
    from azure.ai.ml.dsl import pipeline

    @pipeline(compute="pool", experiment_name="nested")
    def two() -> None:
        shell("echo $AZUREML_ROOT_RUN_ID")(), shell("true")()

    job = ws.client.jobs.create_or_update(two())
    until(ws, job.name, "Completed")
    above = ws.client.jobs.get(job.name).properties["mlflow.runId"]
    below = [mlflow_run(ws, each.properties["mlflow.runId"]) for each in children(ws, job.name).values()]
    assert [each["tags"]["mlflow.parentRunId"] for each in below] == [above, above]
    assert [each["info"]["status"] for each in (mlflow_run(ws, above), *below)] == ["FINISHED"] * 3
    document = run(ws, next(iter(children(ws, job.name).values())).name)
    assert (document["parentRunId"], document["rootRunId"], document["runType"]) == (
        job.name,
        job.name,
        "azureml.StepRun",
    )


def test_a_pipeline_in_python_takes_values_data_assets_optional_inputs_and_pipelines_as_steps(
    ws: MlWorkspace, folder: Path
) -> None:
    from azure.ai.ml import Input, Output
    from azure.ai.ml.dsl import pipeline
    from azure.ai.ml.entities import Data

    ws.client.data.create_or_update(Data(name="rows", version="1", type="uri_file", path=str(folder / "rows.txt")))
    say = shell(
        "echo ${{inputs.word}} $[[and ${{inputs.more}}]] x${{inputs.times}} $(cat ${{inputs.rows}}) > ${{outputs.out}}/said.txt",
        inputs={"word": "?", "more": Input(type="string", optional=True), "times": 2, "rows": Input(type="uri_file")},
        outputs={"out": Output(type="uri_folder")},
    )

    @pipeline()
    def inner(rows: Input(type="uri_file"), word: str) -> dict[str, Any]:  # type: ignore[valid-type]
        return {"said": say(rows=rows, word=word, more="more").outputs.out}

    @pipeline(compute="pool")
    def outer(rows: Input(type="uri_file"), word: str, more: str) -> dict[str, Any]:  # type: ignore[valid-type]
        without, within = say(rows=rows, word=word, times=3), inner(rows=rows, word=word)
        return {"without": without.outputs.out, "within": within.outputs.said}

    job = ws.client.jobs.create_or_update(
        outer(rows=Input(type="uri_file", path="azureml:rows:1"), word="hi", more="no")
    )
    until(ws, job.name, "Completed")
    ws.client.jobs.download(job.name, download_path=folder / "got", all=True)
    assert (folder / "got/named-outputs/without/said.txt").read_text() == "hi x3 a b c d e\n"
    assert (folder / "got/named-outputs/within/said.txt").read_text() == "hi and more x2 a b c d e\n"
    nested = children(ws, job.name)["within"]
    assert len(children(ws, nested.name)) == 1


def fan(*, continue_on_step_failure: bool) -> Any:
    """`bad` fails at once beside `slow`; `after` waits for bad, `good` for slow."""
    from azure.ai.ml import Input, Output
    from azure.ai.ml.dsl import pipeline

    def step(line: str) -> Any:
        return shell(f"{line} > ${{{{outputs.out}}}}/x", outputs={"out": Output(type="uri_folder")})

    def then(line: str) -> Any:
        return shell(line, inputs={"above": Input(type="uri_folder")})

    @pipeline(compute="pool")
    def whole() -> None:
        bad = step("exit 3;")()
        slow = step("sleep 2; echo done")()
        after = then("true ${{inputs.above}}")(above=bad.outputs.out)
        good = then("grep done ${{inputs.above}}/x")(above=slow.outputs.out)
        assert after
        assert good

    made = whole()
    made.settings.continue_on_step_failure = continue_on_step_failure
    return made


def test_a_failed_step_fails_the_pipeline_and_ends_what_runs(ws: MlWorkspace) -> None:
    from azure.ai.ml.exceptions import JobException

    job = ws.client.jobs.create_or_update(fan(continue_on_step_failure=False))
    with pytest.raises(JobException, match=r"bad: .*exited with status code 3"):
        ws.client.jobs.stream(job.name)
    assert status_of(ws, job.name) == "Failed"
    assert {name: each.status for name, each in children(ws, job.name).items()} == {"bad": "Failed", "slow": "Canceled"}


def test_steps_that_do_not_need_the_failed_one_go_on_where_the_pipeline_says_so(ws: MlWorkspace) -> None:
    job = ws.client.jobs.create_or_update(fan(continue_on_step_failure=True))
    assert until(ws, job.name, "Failed") == "Failed"
    statuses = {name: each.status for name, each in children(ws, job.name).items()}
    assert statuses == {"bad": "Failed", "slow": "Completed", "good": "Completed"}


def test_cancelling_a_pipeline_ends_its_steps_and_starts_no_more(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml import Input, Output
    from azure.ai.ml.dsl import pipeline

    alive = tmp_path / "alive"
    forever = shell(f"while true; do date > {alive}; sleep 0.1; done", outputs={"out": Output(type="uri_folder")})
    after = shell("true ${{inputs.x}}", inputs={"x": Input(type="uri_folder")})

    @pipeline(compute="pool")
    def endless() -> None:
        first = forever()
        after(x=first.outputs.out)

    job = ws.client.jobs.create_or_update(endless())
    while not alive.exists():
        time.sleep(0.05)
    ws.client.jobs.begin_cancel(job.name).result()
    assert status_of(ws, job.name) == "Canceled"
    assert {name: each.status for name, each in children(ws, job.name).items()} == {"first": "Canceled"}
    alive.unlink(missing_ok=True)
    time.sleep(0.4)
    assert not alive.exists()


def test_components_are_kept_by_version_and_used_by_name(ws: MlWorkspace, folder: Path) -> None:
    from azure.ai.ml import load_component, load_job
    from azure.core.exceptions import ResourceNotFoundError

    (folder / "component.yml").write_text(COMPONENT)
    made = ws.client.components.create_or_update(load_component(folder / "component.yml"))
    assert (made.name, made.version) == ("greet", "1")
    newer = load_component(folder / "component.yml")
    newer.version, newer.command = "2", newer.command.replace("echo 1", "echo 2")
    ws.client.components.create_or_update(newer)
    assert [each.version for each in ws.client.components.list("greet")] == ["2", "1"]
    assert "greet" in {each.name for each in ws.client.components.list()}
    assert "azureml_anonymous" not in {each.name for each in ws.client.components.list()}
    assert ws.client.components.get("greet", label="latest").version == "2"
    assert ws.client.components.get("greet").version == "2"
    with pytest.raises(ResourceNotFoundError):
        ws.client.components.get("greet", version="3")

    (folder / "named.yml").write_text(
        "type: pipeline\nsettings: {default_compute: azureml:pool}\noutputs: {said: {type: uri_folder}}\n"
        "jobs:\n  one:\n    type: command\n    component: azureml:greet@latest\n    inputs: {who: Ada}\n"
        "    outputs: {out: '${{parent.outputs.said}}'}\n"
    )
    job = ws.client.jobs.create_or_update(load_job(folder / "named.yml"))
    until(ws, job.name, "Completed")
    ws.client.jobs.download(job.name, download_path=folder / "got", output_name="said")
    assert (folder / "got/named-outputs/said/hello.txt").read_text() == "2 Ada\n"


def test_outputs_with_a_name_become_data_assets_and_models(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml import Output
    from azure.ai.ml.dsl import pipeline

    make = shell(
        "echo rows > ${{outputs.rows}}/rows.txt; echo weights > ${{outputs.model}}/weights.txt; echo one > ${{outputs.own}}",
        outputs={name: Output(type=kind) for name, kind in (("rows", "uri_folder"), ("model", "custom_model"), ("own", "uri_file"))},
    )  # fmt: skip

    @pipeline(compute="pool")
    def whole() -> dict[str, Any]:
        made = make()
        made.outputs.own = Output(type="uri_file", name="own-file", version="5")
        return {"rows": made.outputs.rows, "model": made.outputs.model}

    job = whole()
    job.outputs.rows = Output(type="uri_folder", name="made-rows")
    job.outputs.model = Output(type="custom_model", name="made-model", version="3")
    name = ws.client.jobs.create_or_update(job).name
    until(ws, name, "Completed")
    rows = ws.client.data.get("made-rows", version="1")
    assert (rows.type, rows.path.endswith(f"{name}/rows/")) == ("uri_folder", True)
    ws.client.models.download("made-model", version="3", download_path=tmp_path)
    assert [each.read_text() for each in tmp_path.rglob("weights.txt")] == ["weights\n"]
    assert ws.client.data.get("own-file", version="5").type == "uri_file"


def test_a_pipeline_can_be_tagged_and_archived_and_is_deleted_with_its_steps(ws: MlWorkspace) -> None:
    from azure.ai.ml.dsl import pipeline

    @pipeline(compute="pool")
    def whole() -> None:
        shell("true")()

    job = ws.client.jobs.create_or_update(whole())
    until(ws, job.name, "Completed")
    (step,) = children(ws, job.name).values()
    assert ws.client.jobs.update(job.name, tags={"kept": "no"}).tags["kept"] == "no"
    ws.client.jobs.archive(job.name)
    assert job.name not in {each.name for each in ws.client.jobs.list()}
    assert ws.rest("GET", f"/jobs/{step.name}").json()["properties"] is None
    assert ws.rest("DELETE", f"/jobs/{job.name}").status_code == 202
    for _ in range(50):
        if ws.rest("GET", f"/jobs/{step.name}").status_code == 404:
            break
        time.sleep(0.1)
    assert {ws.rest("GET", f"/jobs/{each}").status_code for each in (step.name, job.name)} == {404}


# What is refused


@pytest.fixture(scope="module")
def component(ws: MlWorkspace) -> str:
    """The id of a component with one input of each sort."""
    environment_id = f"{ws.id}/environments/bare/versions/1"
    spec = {
        "name": "odd", "version": "1", "type": "command", "environment": f"azureml:{environment_id}",
        "command": "echo ${{inputs.n}} $[[${{inputs.data}}]]",
        "inputs": {"n": {"type": "integer", "max": 9}, "data": {"type": "uri_folder", "optional": True}},
        "outputs": {"out": {"type": "uri_folder"}},
    }  # fmt: skip
    answer = ws.rest(
        "PUT", "/components/odd/versions/1", {"properties": {"componentSpec": spec}}, version="2024-01-01-preview"
    )
    assert answer.status_code == 201, answer.text
    return f"{ws.id}/components/odd/versions/1"


def node(**changes: Any) -> dict[str, Any]:
    inputs = changes.pop("inputs", {"n": {"job_input_type": "literal", "value": "1"}})
    return {"type": "command", "inputs": inputs, **changes}


def literal(value: str) -> dict[str, Any]:
    return {"job_input_type": "literal", "value": value}


FROM_A = {"n": literal("1"), "data": literal("${{parent.jobs.a.outputs.out}}")}
FROM_B = {"n": literal("1"), "data": literal("${{parent.jobs.b.outputs.out}}")}


@pytest.mark.parametrize(
    ("jobs", "status", "words"),
    [
        ({}, 400, "properties.jobs: a pipeline needs at least one step"),
        ({"a": node(type="parallel")}, 501, "properties.jobs.a.type: the sandbox does not imitate steps of type 'parallel'"),
        ({"a": node(componentId="/subscriptions/x")}, 400, "properties.jobs.a.componentId: '/subscriptions/x' was not found"),
        ({"a": node(inputs={})}, 400, "properties.jobs.a.inputs.n: the component needs it"),
        ({"a": node(inputs={"n": literal("many")})}, 400, "properties.jobs.a.inputs.n is 'many'; the component wants type integer"),
        ({"a": node(inputs={"n": literal("10")})}, 400, "properties.jobs.a.inputs.n is 10; the component allows None to 9"),
        ({"a": node(inputs={"m": literal("1")})}, 400, "properties.jobs.a.inputs.m: the component has no such input"),
        ({"a": node(inputs={"n": literal("${{parent.inputs.gone}}")})}, 400, "bound to parent.inputs.gone"),
        ({"a": node(inputs={"n": literal("1"), "data": literal("x")})}, 400, "data: the component wants type uri_folder"),
        ({"a": node(inputs=FROM_B)}, 400, "bound to parent.jobs.b.outputs.out; no step has that output"),
        ({"a": node(inputs=FROM_B), "b": node(inputs=FROM_A)}, 400, "wait for one another"),
        ({"a": node(outputs={"other": {}})}, 400, "properties.jobs.a.outputs.other: the component has no such output"),
        ({"a": node(computeId="{ws}/computes/gone")}, 400, "properties.jobs.a.computeId: Unknown compute target 'gone'"),
        ({"a": node(resources={"instance_count": 2})}, 501, "properties.jobs.a: The sandbox runs command jobs on one node"),
    ],
)  # fmt: skip
def test_a_wrong_pipeline_is_refused_before_anything_starts(
    ws: MlWorkspace, component: str, jobs: dict[str, Any], status: int, words: str
) -> None:
    made = {name: {"componentId": component, **entry} for name, entry in jobs.items()}
    for entry in made.values():
        if "computeId" in entry:
            entry["computeId"] = entry["computeId"].replace("{ws}", ws.id)
    answer = ws.rest("PUT", "/jobs/wrong", {"properties": {"jobType": "Pipeline", "jobs": made}}, "2024-01-01-preview")
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True), answer.text
    assert ws.rest("GET", "/jobs/wrong").status_code == 404


def test_an_output_that_no_step_writes_is_refused(ws: MlWorkspace, component: str) -> None:
    body = {
        "jobType": "Pipeline",
        "jobs": {"a": {"componentId": component, **node()}},
        "outputs": {"lost": {"jobOutputType": "uri_folder"}},
    }
    answer = ws.rest("PUT", "/jobs/wrong", {"properties": body}, "2024-01-01-preview")
    assert answer.status_code == 400
    assert "properties.outputs.lost: no step writes it" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"type": "parallel"}, 501, "componentSpec.type: the sandbox does not imitate components of type 'parallel'"),
        ({"command": ""}, 400, "componentSpec.command: a command component needs it"),
        ({"command": "${{inputs.gone}}"}, 400, "componentSpec.command refers to inputs.gone, which it does not have"),
        ({"environment": "azureml:/subscriptions/x"}, 400, "componentSpec.environment: 'azureml:/subscriptions/x' was not found"),
        ({"inputs": {"x": {"type": "odd"}}}, 400, "componentSpec.inputs.x.type is 'odd'"),
        ({"outputs": {"x": {"type": "string"}}}, 400, "componentSpec.outputs.x.type is 'string'"),
    ],
)  # fmt: skip
def test_a_wrong_component_is_refused(ws: MlWorkspace, change: dict[str, Any], status: int, words: str) -> None:
    environment_id = f"azureml:{ws.id}/environments/bare/versions/1"
    spec = {"name": "bad", "type": "command", "command": "true", "environment": environment_id, **change}
    answer = ws.rest("PUT", "/components/bad/versions/1", {"properties": {"componentSpec": spec}}, "2024-01-01-preview")
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True), answer.text
