"""The CLI over an endpoint in memory: real commands, real controller, no Azure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from contract.outputs import StackOutputs
from rollout.cli import app, driving, session
from tests.conftest import forget_consoles
from tests.unit.world import FakeWorld

__all__ = ["cli"]

ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"


def outputs_document(**policy: Any) -> dict[str, Any]:
    """What `pulumi stack output --json` gives, of a stack with one endpoint."""
    endpoint = {
        "name": "churn-dev",
        "id": f"{ID}/onlineEndpoints/churn-dev",
        "scoring_uri": "https://127.0.0.1:1/ws/churn-dev/score",
        "auth_mode": "Key",
        "model_name": "churn",
        "deployment": {"instance_type": "Standard_DS3_v2", "instance_count": 1},
        "policy": policy,
    }
    document = {
        "project": "azureml-rollouts",
        "stack": "dev",
        "environment": "dev",
        "tenant_id": "t",
        "subscription_id": "s",
        "resource_group": "rg",
        "location": "eastus",
        "workspace": {"name": "ws", "id": ID, "principal_id": "p", "mlflow_tracking_uri": "http://127.0.0.1:1"},
        "storage": {
            "account_name": "st",
            "account_id": "/x",
            "blob_endpoint": "https://127.0.0.1:1/st",
            "journal_container": "rollouts",
        },
        "observability": {
            "log_analytics_id": "/l",
            "log_analytics_customer_id": "l",
            "app_insights_id": "/a",
            "action_group_id": "/g",
        },
        "events": {"topic_name": "topic", "topic_endpoint": "https://127.0.0.1:1/topic"},
        "clusters": {},
        "endpoints": {"churn": endpoint},
        "gates": {},
        "cost": {
            "monthly_usd": 96.5,
            "budget_usd": 100.0,
            "lines": [{"component": "endpoint churn", "monthly_usd": 96.5, "basis": "1 x Standard_DS3_v2, 730 h"}],
        },
    }
    return json.loads(StackOutputs.model_validate(document).model_dump_json())  # type: ignore[no-any-return]


@dataclass
class _World:
    """In the place of `AzureWorld`."""

    fake: FakeWorld

    @property
    def endpoints(self) -> Any:
        return self.fake.endpoints

    @property
    def metrics(self) -> Any:
        return self.fake.metrics

    @property
    def prober(self) -> Any:
        return self.fake.prober

    @property
    def journal(self) -> Any:
        return self.fake.store

    def world(self) -> Any:
        return self.fake.ports()


@dataclass
class _Clock:
    fake: FakeWorld

    def now(self) -> datetime:
        return self.fake.time

    def real_seconds(self, policy_seconds: float) -> float:
        return policy_seconds / 60


@dataclass
class Cli:
    """`run` gives exit code, stdout, stderr of one command line. Waiting makes the world's minutes pass."""

    world: FakeWorld
    capsys: pytest.CaptureFixture[str]
    outputs: Path

    def run(self, *arguments: str) -> tuple[int, str, str]:
        forget_consoles()
        self.capsys.readouterr()
        code = app.run(list(arguments))
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def documents(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """The JSON lines of a command run with --json."""
        code, out, _ = self.run(*arguments, "--json")
        return code, [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """A stack in a file, named by ROLLOUT_OUTPUTS; its endpoint is a FakeWorld with a healthy blue."""
    fake = FakeWorld()
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"rollout": outputs_document()}))
    monkeypatch.setenv("ROLLOUT_OUTPUTS", str(outputs))
    monkeypatch.delenv("ROLLOUT_STACK", raising=False)
    # set first, so that what `--debug` leaves in the environment is taken back as well
    monkeypatch.setenv("ROLLOUT_DEBUG", "0")
    monkeypatch.delenv("ROLLOUT_DEBUG")
    monkeypatch.setenv("ROLLOUT_ACTOR", "ann")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(session, "AzureWorld", lambda *_args, **_options: _World(fake))
    monkeypatch.setattr(session, "clock_from_environment", lambda: _Clock(fake))
    monkeypatch.setattr(driving, "_LONGEST", 0.0)
    monkeypatch.setattr(driving.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(driving._Screen, "wait", lambda *_: fake.advance())
    return Cli(fake, capsys, outputs)
