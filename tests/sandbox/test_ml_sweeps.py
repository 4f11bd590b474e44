"""ML engineers sweep hyperparameters: trials side by side, the best by its metric, hopeless ones ended early."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.kernel.errors import AzureError
from sandbox.ml.jobs.early_termination import Goal, Policy
from sandbox.ml.jobs.search_space import Dimension, grid_points, random_points, sobol_points
from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.jobs import children, environment, mlflow_run, pool, run, status_of, until
from tests.sandbox.ml_workspace import MlWorkspace, workspace

RANDOM, GRID = {"samplingAlgorithmType": "Random"}, {"samplingAlgorithmType": "Grid"}
#: MLflow without what only its server needs.
WITH_MLFLOW = "dependencies:\n- python=3.11\n- pip\n- pip:\n  - mlflow-skinny==3.17.2\n"

TRAIN = """
import pathlib, sys, time
import mlflow
x, target = float(sys.argv[1]), pathlib.Path(sys.argv[2])
began = time.time()
for step in range(3):
    mlflow.log_metric("loss", (x - 0.3) ** 2 + 1.0 / (step + 1), step=step)
(target / "x.txt").write_text(f"{x} {began} {time.time()}")
"""

#: Logs as MLflow's own client does, without its seconds of import.
LOG = """
import json, os, pathlib, sys, time, urllib.request
def log(value, step):
    body = dict(run_id=os.environ["MLFLOW_RUN_ID"], key="auc", value=value, timestamp=int(time.time() * 1000), step=step)
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}))
"""

SWEEP = """
$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
experiment_name: sweeps
compute: azureml:pool
trial:
  code: ./code
  command: python train.py ${{search_space.x}} ${{outputs.model}}
  environment: azureml:tracked@latest
outputs:
  model: {type: uri_folder}
sampling_algorithm: {type: random, seed: 7}
search_space:
  x: {type: quniform, min_value: 0, max_value: 1, q: 0.05}
objective: {goal: minimize, primary_metric: loss}
limits: {max_total_trials: 6, max_concurrent_trials: 2, timeout: 300, trial_timeout: 120}
"""


@pytest.fixture(scope="module")
def ws(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlWorkspace]:
    with workspace(sandbox, "sweeps") as made:
        pool(made, "pool", 4)
        folder = tmp_path_factory.mktemp("env")
        made.client.environments.create_or_update(environment(folder))
        made.client.environments.create_or_update(environment(folder, "tracked", WITH_MLFLOW))
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(TRAIN)
    (tmp_path / "sweep.yml").write_text(SWEEP)
    return tmp_path


def sweep(code: str, folder: Path, space: dict[str, Any], **kwargs: Any) -> Any:
    """A sweep whose trials run `code` with the search space's `x` as argument; the metric is auc."""
    from azure.ai.ml import Output, command

    source = folder / "logged"
    source.mkdir(exist_ok=True)
    (source / "main.py").write_text(LOG + code)
    limits = {key: kwargs.pop(key) for key in ("max_total_trials", "max_concurrent_trials") if key in kwargs}
    trial = command(
        command="python main.py ${{inputs.x}} ${{outputs.out}}", code=str(source), environment="bare@latest",
        inputs={"x": 0.0}, outputs={"out": Output(type="uri_folder")}, compute="pool",
    )  # fmt: skip
    options = {"sampling_algorithm": "grid", "primary_metric": "auc", "goal": "maximize", **kwargs}
    made = trial(x=space["x"]).sweep(**options)
    made.set_limits(**limits)
    made.experiment_name = "sweeps"
    return made


@pytest.mark.sandbox
def test_a_sweep_from_yaml_runs_two_trials_at_a_time_and_finds_the_best(ws: MlWorkspace, folder: Path) -> None:
    from azure.ai.ml import load_job

    job = ws.client.jobs.create_or_update(load_job(folder / "sweep.yml"))
    ws.client.jobs.stream(job.name)
    assert until(ws, job.name, "Completed") == "Completed"
    trials = children(ws, job.name)
    assert list(trials) == [f"{job.name}_{number}" for number in range(6)]

    scores, spans = {}, []
    for name, trial in trials.items():
        ws.client.jobs.download(name, download_path=folder / name, output_name="model")
        x, began, ended = map(float, (folder / name / "named-outputs/model/x.txt").read_text().split())
        assert json.loads(trial.tags["hyperparameters"]) == {"x": x}
        scores[name] = (x - 0.3) ** 2 + 1 / 3
        spans.append((began, ended))
    assert len(set(scores.values())) > 2
    started = sorted((trial_times(ws, name) for name in trials), key=lambda span: span[0])
    together = max(sum(began <= at < ended for began, ended in started) for at, _ in started)
    assert together == 2

    best = min(scores, key=lambda name: scores[name])
    found = ws.client.jobs.get(job.name)
    assert found.properties["best_child_run_id"] == best
    assert float(found.properties["score"]) == pytest.approx(scores[best])
    ws.client.jobs.download(job.name, download_path=folder / "best", output_name="model")
    assert (folder / "best/named-outputs/model/x.txt").read_text() == (
        folder / best / "named-outputs/model/x.txt"
    ).read_text()
    logged = mlflow_run(ws, trials[best].properties["mlflow.runId"])
    assert logged["tags"]["mlflow.parentRunId"] == found.properties["mlflow.runId"]


def trial_times(ws: MlWorkspace, name: str) -> tuple[str, str]:
    document = run(ws, name)
    return document["startTimeUtc"], document["endTimeUtc"]


@pytest.mark.sandbox
def test_a_grid_tries_every_choice_once_and_failed_trials_are_never_the_best(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.sweep import Choice

    code = "x = float(sys.argv[1]); log(x, 0); pathlib.Path(sys.argv[2], 'x').write_text(sys.argv[1]); sys.exit(x > 2)"
    job = ws.client.jobs.create_or_update(sweep(code, tmp_path, {"x": Choice([1, 2, 3])}, max_concurrent_trials=3))
    until(ws, job.name, "Completed")
    trials = children(ws, job.name)
    assert [json.loads(each.tags["hyperparameters"])["x"] for each in trials.values()] == [1, 2, 3]
    assert [each.status for each in trials.values()] == ["Completed", "Completed", "Failed"]
    assert ws.client.jobs.get(job.name).properties["best_child_run_id"] == f"{job.name}_1"
    output = run(ws, job.name)["outputs"]["out"]
    assert output["type"] == "uri_folder"


@pytest.mark.sandbox
def test_a_sweep_of_which_all_trials_fail_gives_up_after_three(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.sweep import Choice

    job = ws.client.jobs.create_or_update(
        sweep("sys.exit(4)", tmp_path, {"x": Choice(list(range(20)))}, max_concurrent_trials=1)
    )
    until(ws, job.name, "Failed")
    assert len(children(ws, job.name)) == 3
    error = run(ws, job.name)["error"]["error"]["message"]
    assert "first 3 trials have failed" in error
    assert "status code 4" in error


@pytest.mark.sandbox
def test_a_bandit_policy_ends_a_trial_that_falls_behind(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.sweep import BanditPolicy, Choice

    code = "x = float(sys.argv[1]); log(x, 0); log(x, 1); time.sleep(1 if x > 0.5 else 120)"
    job = ws.client.jobs.create_or_update(
        sweep(
            code, tmp_path, {"x": Choice([0.9, 0.1])}, max_concurrent_trials=2,
            early_termination_policy=BanditPolicy(slack_factor=0.2, evaluation_interval=1),
        )
    )  # fmt: skip
    until(ws, job.name, "Completed", seconds=40)
    assert [each.status for each in children(ws, job.name).values()] == ["Completed", "Canceled"]
    assert "ended early" in run(ws, f"{job.name}_1")["error"]["error"]["message"]


@pytest.mark.sandbox
def test_a_sweep_over_its_time_limit_is_canceled_with_its_trials_and_keeps_its_best(ws: MlWorkspace) -> None:
    # Not with azure-ai-ml: it rounds limits up to whole minutes.
    log = "/api/2.0/mlflow/runs/log-metric -H 'Content-Type: application/json' -d "
    body = '{"run_id": "\'$MLFLOW_RUN_ID\'", "key": "auc", "value": 1, "timestamp": 1, "step": 0}'
    line = f"curl -sf $MLFLOW_TRACKING_URI{log}'{body}' && sleep ${{{{search_space.x}}}}"
    properties = {
        "jobType": "Sweep", "searchSpace": {"x": ["choice", [[0, 100, 101]]]}, "samplingAlgorithm": GRID,
        "objective": {"goal": "Maximize", "primaryMetric": "auc"}, "limits": {"maxConcurrentTrials": 1, "timeout": "PT3S"},
        "trial": {"command": line, "environmentId": f"{ws.id}/environments/bare/versions/1"},
    }  # fmt: skip
    assert ws.rest("PUT", "/jobs/limited", {"properties": properties}, "2024-01-01-preview").status_code == 201
    until(ws, "limited", "Canceled")
    assert [each.status for each in children(ws, "limited").values()] == ["Completed", "Canceled"]
    assert "limit of 3 s" in run(ws, "limited")["error"]["error"]["message"]
    assert ws.client.jobs.get("limited").properties["best_child_run_id"] == "limited_0"


@pytest.mark.sandbox
def test_cancelling_a_sweep_ends_its_trials(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml.sweep import Choice

    job = ws.client.jobs.create_or_update(
        sweep("time.sleep(120)", tmp_path, {"x": Choice([1, 2, 3])}, max_concurrent_trials=2)
    )
    while [each.status for each in children(ws, job.name).values()] != ["Running", "Running"]:
        assert status_of(ws, job.name) in ("NotStarted", "Preparing", "Running")
        time.sleep(0.1)
    ws.client.jobs.begin_cancel(job.name).result()
    assert status_of(ws, job.name) == "Canceled"
    assert [each.status for each in children(ws, job.name).values()] == ["Canceled", "Canceled"]


@pytest.mark.sandbox
def test_a_sweep_is_a_step_of_a_pipeline_and_the_next_step_gets_its_best(ws: MlWorkspace, tmp_path: Path) -> None:
    from azure.ai.ml import Input, Output, command
    from azure.ai.ml.dsl import pipeline
    from azure.ai.ml.sweep import Choice

    code = "x = float(sys.argv[1]); log(x, 0); pathlib.Path(sys.argv[2], 'x').write_text(sys.argv[1])"
    (tmp_path / "main.py").write_text(LOG + code)
    trial = command(
        command="python main.py ${{inputs.x}} ${{outputs.out}}", code=str(tmp_path / "main.py"), environment="bare@latest",
        inputs={"x": Input(type="number")}, outputs={"out": Output(type="uri_folder")},
    )  # fmt: skip
    show = command(
        command="cp ${{inputs.best}}/x ${{outputs.out}}/shown", environment="bare@latest",
        inputs={"best": Input(type="uri_folder")}, outputs={"out": Output(type="uri_folder")},
    )  # fmt: skip

    @pipeline(compute="pool")
    def tuned() -> dict[str, Any]:
        search = trial(x=Choice([1.5, 4.5, 3.5])).sweep(
            primary_metric="auc", goal="maximize", sampling_algorithm="grid"
        )
        search.set_limits(max_total_trials=3, max_concurrent_trials=3, timeout=60)
        return {"shown": show(best=search.outputs.out).outputs.out}

    job = ws.client.jobs.create_or_update(tuned())
    until(ws, job.name, "Completed")
    ws.client.jobs.download(job.name, download_path=tmp_path / "got", output_name="shown")
    assert (tmp_path / "got/named-outputs/shown/shown").read_text() == "4.5"
    assert len(children(ws, children(ws, job.name)["search"].name)) == 3


# What is refused

SPACE = {"x": ["uniform", [0, 1]]}


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"searchSpace": {"x": ["zipf", [2]]}}, 400, "properties.searchSpace.x is of kind 'zipf'; allowed are choice, randint"),
        ({"searchSpace": {"x": ["uniform", [1]]}}, 400, "properties.searchSpace.x: uniform takes min_value, max_value"),
        ({"searchSpace": {"x": ["uniform", [1, 0]]}}, 400, "properties.searchSpace.x.min_value is 1; it must be below max_value"),
        ({"searchSpace": {"x": ["quniform", [0, 1, 0]]}}, 400, "properties.searchSpace.x.q is 0; it must be above 0"),
        ({"searchSpace": {"x": ["choice", [[{"y": 1}]]]}}, 501, "properties.searchSpace.x.values"),
        ({"searchSpace": {}}, 400, "properties.searchSpace: a sweep needs at least one"),
        ({"samplingAlgorithm": {"samplingAlgorithmType": "Bayesian"}}, 501, "does not imitate Bayesian sampling"),
        ({"samplingAlgorithm": GRID}, 400, "searchSpace.x is uniform; grid sampling takes choice only"),
        ({"samplingAlgorithm": RANDOM | {"rule": "halton"}}, 400, "properties.samplingAlgorithm.rule is 'halton'"),
        ({"samplingAlgorithm": RANDOM | {"seed": -1}}, 400, "properties.samplingAlgorithm.seed is -1"),
        ({"objective": {"goal": "Improve", "primaryMetric": "a"}}, 400, "properties.objective.goal is 'Improve'"),
        ({"objective": {"goal": "Maximize"}}, 400, "properties.objective.primaryMetric"),
        ({"limits": {"maxTotalTrials": 0}}, 400, "properties.limits.maxTotalTrials is 0"),
        ({"earlyTermination": {"policyType": "Hope"}}, 400, "properties.earlyTermination.policyType is 'Hope'"),
        ({"earlyTermination": {"policyType": "TruncationSelection"}}, 400, "truncationPercentage is 0; it must be 1 to 99"),
        ({"trial": {"command": "${{search_space.y}}", "environmentId": "e"}}, 400, "search_space.y"),
        ({"trial": {"environmentId": "e"}}, 400, "command"),
        ({"computeId": "{ws}/computes/gone"}, 400, "properties.computeId: Unknown compute target 'gone'"),
    ],
)  # fmt: skip
def test_a_wrong_sweep_is_refused_before_anything_starts(
    ws: MlWorkspace, change: dict[str, Any], status: int, words: str
) -> None:
    body = {
        "jobType": "Sweep", "searchSpace": SPACE, "samplingAlgorithm": RANDOM,
        "objective": {"goal": "Maximize", "primaryMetric": "auc"}, "limits": {"maxTotalTrials": 2},
        "trial": {"command": "echo ${{search_space.x}}", "environmentId": "e"}, **change,
    }  # fmt: skip
    if "computeId" in change:
        body["computeId"] = change["computeId"].replace("{ws}", ws.id)
    answer = ws.rest("PUT", "/jobs/wrong", {"properties": body}, "2024-01-01-preview")
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True), answer.text
    assert ws.rest("GET", "/jobs/wrong").status_code == 404


# Sampling


def space(**given: list[Any]) -> dict[str, Dimension]:
    return {name: Dimension.read(value, name) for name, value in given.items()}


@pytest.mark.parametrize(
    ("given", "at", "value"),
    [
        (["choice", [["a", "b"]]], 0.49, "a"),
        (["choice", [["a", "b"]]], 1.0, "b"),
        (["randint", [4]], 0.99, 3),
        (["uniform", [2, 4]], 0.25, 2.5),
        (["quniform", [0, 1, 0.1]], 0.33, 0.3),
        (["loguniform", [0, 2]], 0.5, 2.71828182846),
        (["qloguniform", [0, 2, 0.5]], 0.5, 2.5),
        (["normal", [3, 2]], 0.5, 3.0),
        (["qnormal", [3, 2, 2]], 0.5, 4.0),
        (["lognormal", [0, 1]], 0.5, 1.0),
        (["qlognormal", [1, 1, 1]], 0.5, 3.0),
    ],
)
def test_each_distribution_has_its_quantiles(given: list[Any], at: float, value: Any) -> None:
    assert Dimension.read(given, "x").at(at) == value


@pytest.mark.parametrize("points", [random_points, sobol_points])
def test_a_seed_gives_the_same_points_and_another_seed_others(points: Any) -> None:
    made = space(a=["uniform", [0, 1]], b=["normal", [0, 1]])
    first, again, other = (list(itertools.islice(points(made, seed), 8)) for seed in (3, 3, 4))
    assert first == again != other
    assert len({tuple(each.values()) for each in first}) == 8


@pytest.mark.parametrize("points", [random_points, sobol_points])
def test_a_space_of_choices_is_used_up_and_no_point_comes_twice(points: Any) -> None:
    made = list(points(space(a=["choice", [[1, 2, 3]]], b=["randint", [2]]), 1))
    assert sorted(tuple(each.values()) for each in made) == [(a, b) for a in (1, 2, 3) for b in (0, 1)]


def test_a_grid_is_every_combination() -> None:
    made = space(a=["choice", [[1, 2]]], b=["choice", [["x", "y"]]])
    assert [tuple(each.values()) for each in grid_points(made)] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


# Early termination

HISTORIES: Mapping[str, list[float]] = {"good": [0.5, 0.8], "fair": [0.5, 0.7], "poor": [0.1, 0.3], "young": [0.2]}


@pytest.mark.parametrize(
    ("policy", "ended"),
    [
        ({"policyType": "Bandit", "slackFactor": 0.2}, ["poor"]),
        ({"policyType": "Bandit", "slackFactor": 0.1}, ["fair", "poor"]),
        ({"policyType": "Bandit", "slackAmount": 0.6}, []),
        ({"policyType": "Bandit", "slackAmount": 0.4}, ["poor"]),
        ({"policyType": "MedianStopping"}, ["poor"]),
        ({"policyType": "TruncationSelection", "truncationPercentage": 40}, ["poor"]),
        ({"policyType": "TruncationSelection", "truncationPercentage": 20}, []),
    ],
)
def test_a_policy_compares_trials_that_came_as_far(policy: dict[str, Any], ended: list[str]) -> None:
    made, goal = Policy.read(policy, "p"), Goal("auc", maximize=True)
    assert [name for name in ("good", "fair", "poor") if made.ends(goal, name, 2, HISTORIES)] == ended


def test_a_goal_to_minimize_turns_the_policy_round() -> None:
    goal, losses = Goal("loss", maximize=False), {"low": [1.0], "near": [1.1], "high": [1.5]}
    for given in ({"slackFactor": 0.2}, {"slackAmount": 0.2}):
        made = Policy.read({"policyType": "Bandit", **given}, "p")
        assert [name for name in losses if made.ends(goal, name, 1, losses)] == ["high"]


def test_a_policy_waits_and_then_looks_at_its_interval() -> None:
    made = Policy.read({"policyType": "MedianStopping", "delayEvaluation": 3, "evaluationInterval": 2}, "p")
    assert made.due(0, 3) == []
    assert made.due(3, 8) == [4, 6, 8]
    assert made.due(8, 8) == []


def test_a_bandit_policy_takes_one_slack() -> None:
    with pytest.raises(AzureError, match="not both"):
        Policy.read({"policyType": "Bandit", "slackFactor": 0.1, "slackAmount": 0.1}, "p")
