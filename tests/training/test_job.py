"""The pipelines as azure-ai-ml reads them, and what a request puts into them."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.policy import Gates
from training.job import ROOT, STEPS, TrainingRequest, pipeline, specification, stage_code
from training.target import Target
from training.usecase import FOLDER

PIPELINES = ROOT / "training" / "pipelines"


@pytest.fixture
def request_(tmp_path: Path) -> TrainingRequest:
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    target = Target(stack="qa", gates=Gates(recall=0.8))
    return TrainingRequest(
        data=tmp_path / "table.csv", use_case=FOLDER / "churn.yaml", cluster="cpu", target=target, register_as="churn",
        tags={"trained_by": "O'Neill"},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["train", "sweep"])
def test_the_pipelines_load_as_they_are(name: str) -> None:
    from azure.ai.ml import load_job

    job: Any = load_job(PIPELINES / f"{name}.yml")
    assert tuple(job.jobs) == STEPS
    assert job._validate().passed


@pytest.mark.parametrize("step", STEPS)
def test_each_step_is_a_component(step: str) -> None:
    from azure.ai.ml import load_component

    component: Any = load_component(PIPELINES / "components" / f"{step}.yml")
    assert f"python -m training.steps.{step} " in component.command
    assert set(re.findall(r"inputs\.(\w+)", component.command)) == set(component.inputs), "every input is used"


def test_the_sweep_is_the_one_that_was_asked_for() -> None:
    document = yaml.safe_load((PIPELINES / "sweep.yml").read_text())
    sweep = document["jobs"]["train"]
    assert (sweep["sampling_algorithm"], sweep["objective"]) == (
        "random",
        {"primary_metric": "f1_score", "goal": "maximize"},
    )
    assert sweep["limits"] == {"max_total_trials": 20, "max_concurrent_trials": 4, "timeout": 3600}


def test_the_two_pipelines_differ_in_how_they_search_only() -> None:
    one, two = (yaml.safe_load((PIPELINES / f"{name}.yml").read_text()) for name in ("train", "sweep"))
    assert one["inputs"] == two["inputs"]
    for step in STEPS:
        assert step == "train" or one["jobs"][step] == two["jobs"][step]


def test_a_request_fills_the_pipeline_in(request_: TrainingRequest, tmp_path: Path) -> None:
    job: Any = pipeline(request_, tmp_path / "made")
    assert job.settings.default_compute == "azureml:cpu" or job.settings.default_compute == "cpu"
    assert (job.experiment_name, job.tags["trained_by"]) == ("churn", "O'Neill")
    target = Target.model_validate_json((tmp_path / "made" / "target.json").read_text())
    assert (target.stack, target.gates.recall) == ("qa", 0.8)
    document = specification(request_)
    assert "'" not in document["inputs"]["tags"], "it stands in single quotes on a command line"
    assert str(tmp_path / "made") not in str(document)
    assert "baseline" not in document["jobs"]["evaluate"]["inputs"]


def test_a_baseline_goes_to_the_steps_that_compare(request_: TrainingRequest) -> None:
    from dataclasses import replace

    document = specification(replace(request_, baseline="churn:3", sweep=True))
    for step in ("validate", "evaluate"):
        assert document["jobs"][step]["inputs"]["baseline"]["path"] == "azureml:churn:3"
    assert document["jobs"]["evaluate"]["inputs"]["baseline_name"] == "churn:3"
    assert document["jobs"]["train"]["type"] == "sweep"


def test_only_what_the_steps_need_is_uploaded(tmp_path: Path) -> None:
    stage_code(tmp_path / "code")
    assert {each.name for each in (tmp_path / "code").iterdir()} == {"training", "contract"}
    assert not list((tmp_path / "code").rglob("__pycache__"))


def test_jobs_run_on_the_versions_that_the_project_is_locked_to() -> None:
    pins = dict(
        line.split("==")
        for line in yaml.safe_load((ROOT / "training" / "conda.yaml").read_text())["dependencies"][-1]["pip"]
    )
    ours = {name: pin for name, pin in pins.items() if name != "azureml-mlflow"}
    assert ours == {name: version(name) for name in ours}
