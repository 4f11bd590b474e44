"""`rollout doctor`: says what is there and what is missing, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollout.cli.app import run
from rollout.ops import doctor, pulumi_cli
from rollout.ops.pulumi_cli import PulumiCli


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with a CLI in the cache, and no sandbox."""
    cli = PulumiCli(Path("/somewhere/pulumi"), "3.250.0", "cache")
    monkeypatch.setattr(pulumi_cli, "find_pulumi", lambda: cli)
    monkeypatch.setenv("ROLLOUT_SANDBOX_HOME", str(tmp_path / "none"))
    for name in ("REQUESTS_CA_BUNDLE", "ROLLOUT_AZURE_RESOURCE_MANAGER", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)


def findings() -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine()}


def test_a_healthy_machine_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor"]) == 0
    assert "3.250.0 at" in capsys.readouterr().out


def test_no_pulumi_cli_is_1_and_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pulumi_cli, "find_pulumi", lambda: None)
    assert run(["doctor", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] is False
    (missing,) = [finding for finding in told["findings"] if finding["state"] == "missing"]
    assert missing["name"] == "Pulumi CLI"
    assert "make setup" in missing["way_out"]


def test_what_is_only_needed_sometimes_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    found = findings()
    for name in ("Go", "Pulumi plugins", "Sandbox", "Credentials"):
        assert found[name].state == "note"
        assert found[name].way_out


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_SUBSCRIPTION_ID"):
        monkeypatch.setenv(name, f"value-of-{name}")
    run(["doctor", "--json"])
    out = capsys.readouterr().out
    assert "value-of-AZURE_CLIENT_ID" in out
    assert "value-of-AZURE_CLIENT_SECRET" not in out


def test_a_ca_bundle_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    assert findings()["CA bundle"].state == "missing"


def test_a_cloud_of_another_program_is_forgotten() -> None:
    code = "from rollout.cli.app import run; run(['doctor', '--json']); import azure.ai.ml"
    environment = {**os.environ, "AZUREML_CURRENT_CLOUD": "somebody-elses"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
