"""The options of observability on the real engine: Grafana with its monitor workspace, and the availability test."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.engine import Engine, copy_project
from tests.sandbox.test_engine_stacks import go_down, outputs_of

pytestmark = [pytest.mark.sandbox, pytest.mark.engine]
OPTIONS = {
    "dashboards": {"grafana": {"enabled": True, "viewers": ["0d1b1f4e-3a57-4c5e-9f0e-2b7a6c1d9e11"]}},
    "availabilityTest": {"enabled": True},
    "lockData": True,
}


def configure(engine: Engine, **options: object) -> None:
    file = engine.project / "Pulumi.dev.yaml"
    document = yaml.safe_load(file.read_text("utf-8"))
    document["config"] |= {f"azureml-rollouts:{key}": value for key, value in options.items()}
    file.write_text(yaml.safe_dump(document))


def test_dashboards_and_tests_go_up_change_in_place_and_go_down(sandbox: RunningSandbox, tmp_path: Path) -> None:
    engine = Engine(copy_project(tmp_path / "project"), sandbox.env)
    configure(engine, **OPTIONS)
    engine.up("dev")
    seen = outputs_of(engine, "dev").observability
    assert seen.grafana_endpoint
    assert seen.grafana_endpoint.startswith("https://")
    assert set(seen.availability_test_ids) == {"churn"}
    assert len(seen.saved_queries) == 5
    engine.up("dev", "--expect-no-changes")
    engine.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", "dev")

    tuned = {"emails": ["mlops@example.com"], "drift": {"threshold": 0.3}, "latency": {"enabled": False}}
    configure(engine, alerts=tuned, dashboards={**OPTIONS["dashboards"], "slowMs": 900})  # type: ignore[dict-item]
    said = engine.up("dev")
    assert "replaced" not in said
    assert "- 1 deleted" in said, "the latency rule"
    assert "~ 3 updated" in said, "the drift rule, the workbook, the query of slow predictions"
    assert "churn-latency" not in outputs_of(engine, "dev").observability.alert_ids
    go_down(engine, sandbox, "dev")
