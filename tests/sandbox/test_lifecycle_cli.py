"""`rollout sandbox ...` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from rollout.cli.sandbox import app
from rollout.errors import BadInput, Unavailable
from tests.sandbox.conftest import RunningSandbox

runner = CliRunner()


def run(sandbox: RunningSandbox, *arguments: str) -> str:
    result = runner.invoke(app, list(arguments), env={"ROLLOUT_SANDBOX_HOME": str(sandbox.home)})
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def test_up_on_a_running_sandbox_only_says_where_it_is(sandbox: RunningSandbox) -> None:
    before = json.loads(run(sandbox, "status", "--json"))
    after = json.loads(run(sandbox, "up", "--json"))
    assert after["running"]
    assert after["processes"] == before["processes"]
    table = run(sandbox, "status")
    assert sandbox.settings.url("arm") in table
    assert str(sandbox.home) in table


def test_env_prints_what_a_program_needs(sandbox: RunningSandbox) -> None:
    assert json.loads(run(sandbox, "env", "--json"))["ROLLOUT_AZURE_RESOURCE_MANAGER"] == sandbox.settings.url("arm")
    proxied = json.loads(run(sandbox, "env", "--proxy", "--json"))
    assert proxied["HTTPS_PROXY"] == sandbox.settings.url("proxy")
    assert not any(name.startswith(("ROLLOUT_", "PULUMI_")) for name in proxied)
    assert f"export AZURE_TENANT_ID={sandbox.settings.tenant_id}" in run(sandbox, "env").splitlines()


def test_faults_by_command(sandbox: RunningSandbox) -> None:
    added = run(sandbox, "fault", "add", "scorer-errors", "--target", "churn/green", "--share", "0.3")
    fault = added.split()[0]
    assert "0.3" in run(sandbox, "fault", "list")
    run(sandbox, "fault", "clear", fault)
    assert run(sandbox, "fault", "list").strip() == "No faults."


def test_a_token_for_a_job(sandbox: RunningSandbox) -> None:
    assert run(sandbox, "token", "repo:me/app", "--issuer", "https://i.example").count(".") == 2


def test_what_is_wrong_is_said_with_its_exit_code(sandbox: RunningSandbox, tmp_path: Path) -> None:
    nowhere = {"ROLLOUT_SANDBOX_HOME": str(tmp_path)}
    refused = runner.invoke(app, ["env"], env=nowhere)
    assert isinstance(refused.exception, Unavailable)
    assert "rollout sandbox up" in refused.exception.way_out
    refused = runner.invoke(app, ["up", "--time-scale", "0"], env=nowhere)
    assert isinstance(refused.exception, BadInput)
    assert "--time-scale is 0; allowed: over 0 to 3600" in refused.exception.message
    assert not (tmp_path / "settings.json").exists()


def test_the_group_starts_without_the_sandbox_or_an_sdk() -> None:
    code = (
        "import sys, rollout.cli.sandbox;"
        "print([m for m in sys.modules if m.split('.')[0] in ('sandbox', 'azure', 'starlette', 'pydantic')])"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert shown.stdout.strip() == "[]"
