"""The golden file is read by both sides: the program still makes it, `rollout` still reads it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from contract import SCHEMA_VERSION, StackOutputs
from contract.reader import find_project, parse_outputs, read_outputs
from rollout.controller import messages
from rollout.errors import BadInput, NotFound, Unavailable
from tests.components.mocks import settings_of
from tests.components.test_platform import deploy

GOLDEN = Path(__file__).parent / "outputs.prod.json"


@pytest.fixture
def golden() -> dict[str, Any]:
    return dict(json.loads(GOLDEN.read_text("utf-8")))


def test_the_program_makes_the_golden_file(golden: dict[str, Any]) -> None:
    made = json.loads(json.dumps(deploy("prod").outputs))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(json.dumps(made, indent=2, sort_keys=True) + "\n", "utf-8")
    assert made == golden, "the outputs changed: raise SCHEMA_VERSION if readers break, then run with UPDATE_GOLDEN=1"


def test_rollout_reads_the_golden_file() -> None:
    read = read_outputs(GOLDEN)
    assert read.schema_version == SCHEMA_VERSION
    assert read.environment == "prod"
    assert read.endpoints["churn"].policy.steps == (10, 50, 100)
    assert read.gates.auc == 0.88


def test_both_forms_of_file_are_read(golden: dict[str, Any], tmp_path: Path) -> None:
    alone = tmp_path / "rollout.json"
    alone.write_text(json.dumps(golden["rollout"]))
    assert read_outputs(str(alone)) == read_outputs(GOLDEN)


def test_what_is_written_is_read_back(golden: dict[str, Any]) -> None:
    read = StackOutputs.model_validate_json(json.dumps(golden["rollout"]))
    assert json.loads(read.model_dump_json()) == golden["rollout"]


def test_another_version_says_which_side_to_update(golden: dict[str, Any]) -> None:
    newer = {"rollout": {**golden["rollout"], "schema_version": SCHEMA_VERSION + 1}}
    with pytest.raises(
        BadInput, match=f"version {SCHEMA_VERSION + 1}, this rollout reads version {SCHEMA_VERSION}"
    ) as caught:
        parse_outputs(newer, "stack 'prod'")
    assert "update this checkout" in caught.value.way_out
    older = {"rollout": {**golden["rollout"], "schema_version": 0}}
    with pytest.raises(BadInput) as caught:
        parse_outputs(older, "stack 'prod'")
    assert "pulumi up" in caught.value.way_out


@pytest.mark.parametrize("outputs", [{}, {"rollout": "[secret]"}, {"rollout": {}}, [], None])
def test_missing_outputs_say_what_to_run(outputs: object) -> None:
    with pytest.raises(NotFound, match="stack 'dev' has no output 'rollout'") as caught:
        parse_outputs(outputs, "stack 'dev'")
    assert "pulumi up" in caught.value.way_out


def test_outputs_that_do_not_fit_name_the_field(golden: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(golden["rollout"]))
    del broken["workspace"]["name"]
    broken["endpoints"]["churn"]["deployment"]["instance_count"] = 0
    broken["surprise"] = 1
    with pytest.raises(BadInput) as caught:
        parse_outputs(broken, "stack 'prod'")
    for name in ("workspace.name", "endpoints.churn.deployment.instance_count", "surprise"):
        assert name in caught.value.message


def test_a_file_that_is_not_there_or_not_json(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        read_outputs(tmp_path / "outputs.json")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(BadInput, match="can't be read as JSON"):
        read_outputs(broken)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_stacks_subscribe_to_events_that_rollouts_really_send(stack: str) -> None:
    sent = {value for value in vars(messages).values() if isinstance(value, str) and value.startswith("Rollouts.")}
    for name, each in settings_of(stack).events.subscriptions.items():
        if each.source == "topic":
            assert set(each.event_types) <= sent, name


def stand_in(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `pulumi` on PATH that does this."""
    cli = folder / "pulumi"
    cli.write_text(f"#!/bin/sh\n{script}\n")
    cli.chmod(cli.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_cli_is_asked_for_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, f'echo "$@" > {tmp_path}/asked; cat {GOLDEN}', monkeypatch)
    assert read_outputs("prod", project=tmp_path) == read_outputs(GOLDEN)
    asked = (tmp_path / "asked").read_text()
    assert f"stack output --json --stack prod --cwd {tmp_path} --non-interactive" in asked


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("echo \"error: no stack named 'nope' found\" >&2; exit 255", NotFound, "there is no stack 'nope'"),
        ("echo 'error: passphrase must be set' >&2; exit 255", BadInput, "passphrase must be set"),
        ("echo 'error: could not reach the backend' >&2; exit 255", Unavailable, "could not reach the backend"),
        ("echo hello", Unavailable, "answered no JSON"),
        ("sleep 5", Unavailable, "did not answer in 0.2 s"),
    ],
)
def test_what_the_cli_says_is_passed_on_with_a_way_out(
    script: str, error: type[Exception], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, f"exec {script}" if script.startswith("sleep") else script, monkeypatch)
    with pytest.raises(error, match=said):
        read_outputs("nope", project=tmp_path, timeout=0.2 if script.startswith("sleep") else 10)


def test_no_cli_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="not on PATH") as caught:
        read_outputs("dev", project=tmp_path)
    assert "rollout doctor" in caught.value.way_out


def test_the_project_is_found_from_a_folder_below(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "Pulumi.yaml").write_text("name: x\nruntime: python\n")
    assert find_project(below) == tmp_path
    with pytest.raises(NotFound, match=r"no Pulumi\.yaml"):
        find_project(Path("/"))
