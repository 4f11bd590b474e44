"""`rollout train` on the shop's stack: the same model twice, a model that is refused, a table that is refused, a sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.stage import ROOT, Ran
from rollout.azure.cloud import cloud_from_environment
from rollout.azure.quiet import quiet_sdk
from tests.e2e.conftest import SMALL
from tests.e2e.shop import Shop
from tests.training.conftest import customers
from training.following import JobFiles, follow
from training.job import STEPS, TrainingRequest, pipeline
from training.target import Target
from training.usecase import load_use_case, write_use_case

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]


def train(shop: Shop, use_case: str, *options: str, ok: int = 0) -> Ran:
    return shop.stage.run(
        "rollout", "train", use_case, "--outputs", str(shop.outputs), *SMALL, *options, "--json", ok=(ok,), quiet=True
    )


def versions(shop: Shop, name: str) -> list[str]:
    with quiet_sdk():
        return [str(each.version) for each in shop.session.azure.client.models.list(name=name)]


def test_the_same_table_gives_the_same_model_again(shop: Shop, tmp_path: Path) -> None:
    table = shop.stage.out / "data" / "churn.csv"
    told = train(
        shop, "churn", "--data", str(table), "--name", "again", "--baseline", "churn:1", "--save", str(tmp_path)
    )
    *steps, made = [document for document in told.documents if "step" in document or "model" in document]
    with quiet_sdk():
        first = shop.session.azure.client.models.get("churn", "1")
    assert (made["model"], made["model_hash"]) == ("again:1", first.tags["model_hash"])
    assert [step["step"] for step in steps if step["status"] == "Completed"] == list(STEPS)
    assert all(step["figures"] for step in steps if step["status"] == "Completed")
    assert made["announced"]

    def heard() -> bool:
        """the event of the registration"""
        told = [event for event in shop.webhook.events if event["eventType"] == "Rollouts.ModelRegistered"]
        return any(event["data"]["model"] == "again:1" for event in told)

    shop.wait_for(heard, seconds=30)
    card = (tmp_path / "model_card.md").read_text()
    assert "Every gate passed." in card
    assert "Against churn:1: McNemar p = 1" in card, "the same model is no better and no worse"
    assert (tmp_path / "code" / "score.py").is_file()
    deployment = json.loads((tmp_path / "deployment_config.json").read_text())
    assert (deployment["endpoint_name"], deployment["model"]) == (shop.session.endpoint.name, "azureml:again:1")


def test_a_model_under_the_gates_is_refused_with_each_shortfall(shop: Shop, tmp_path: Path) -> None:
    told = train(shop, str(ROOT / "demo" / "usecases" / "telco.yaml"), "--save", str(tmp_path), ok=7)
    assert "precision 0." in told.output
    assert "under 0.700; try: features that tell false alarms apart" in told.output
    assert "nothing was registered" in told.output
    assert versions(shop, "telco") == []
    assert "Refused:" in (tmp_path / "model_card.md").read_text(), "the reviewer sees why"


def test_a_table_that_no_model_should_learn_from_is_refused_with_all_findings(shop: Shop, tmp_path: Path) -> None:
    customers(999).assign(months=3).to_csv(tmp_path / "few.csv", index=False)
    (tmp_path / "few.yaml").write_text("name: few\ntarget: left\npositive: 'yes'\nids: [id]\n")
    told = train(shop, str(tmp_path / "few.yaml"), "--data", str(tmp_path / "few.csv"), ok=2)
    assert "999 rows; at least 1000 are needed" in told.output
    assert "column 'months' is constant" in told.output
    assert versions(shop, "few") == []


def test_what_would_be_submitted_is_shown_without_submitting_it(shop: Shop) -> None:
    with quiet_sdk():
        before = {job.name for job in shop.session.azure.client.jobs.list()}
    (document,) = train(shop, "churn", "--sweep", "--dry-run").documents
    assert set(document["jobs"]) == set(STEPS)
    assert document["jobs"]["train"]["limits"]["max_total_trials"] == 20
    with quiet_sdk():
        assert {job.name for job in shop.session.azure.client.jobs.list()} == before


def test_the_best_trial_of_a_sweep_is_registered(shop: Shop, tmp_path: Path) -> None:
    customers().to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "case.yaml").write_text("name: swept\ntarget: left\npositive: 'yes'\nids: [id]\n")
    write_use_case(load_use_case(str(tmp_path / "case.yaml"), SMALL[1::2]), tmp_path / "case.yaml")
    outputs, client = shop.session.outputs, shop.session.azure.client
    # two trials of a moment learn unevenly; how even a model has to be is another story
    target = Target(gates=outputs.gates.model_copy(update={"max_cv_std": None}))
    request = TrainingRequest(
        tmp_path / "table.csv", tmp_path / "case.yaml", min(outputs.clusters), target, "swept", sweep=True
    )
    job: Any = pipeline(request, tmp_path / "staged")
    job.jobs["train"].set_limits(max_total_trials=2, max_concurrent_trials=2)
    with quiet_sdk():
        name = str(client.jobs.create_or_update(job).name)
    files = JobFiles(client, cloud_from_environment().blob_service(outputs), name)
    steps = follow(client, files, name, lambda _: None)
    with quiet_sdk():
        trials = [each.name for each in client.jobs.list(parent_job_name=steps["train"].job)]
        best = client.jobs.get(steps["train"].job).properties["best_child_run_id"]
        made = client.models.get("swept", "1")
    assert len(trials) == 2
    chosen = json.loads(files.read(steps["train"], "training_metrics.json") or "{}")
    assert best in trials
    assert made.tags["model_hash"] == chosen["model_hash"]
    assert {"learning_rate", "max_depth"} <= set(chosen["params"])
