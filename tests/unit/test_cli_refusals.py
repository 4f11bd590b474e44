"""What happens on a role that lacks an action, and which of two sources of outputs is taken."""

from __future__ import annotations

import pytest

from tests.unit.cli_rig import *  # noqa: F403 - the fixture
from tests.unit.cli_rig import Cli
from tests.unit.world import BLUE, GREEN

START = ("start", "churn", "--model", "churn:2", "--name", GREEN, "--yes")


def test_refused_events_do_not_stop_a_rollout_but_are_told(cli: Cli) -> None:
    cli.world.refused.add("announce")
    code, _, err = cli.run(*START)
    assert code == 1
    assert "error: the rollout goes its way, but nobody is told: cannot announce: not allowed (403)" in err
    assert "grant the role" in err
    assert cli.world.endpoints.weights[GREEN] == 10
    cli.world.refused.clear()
    assert cli.run("tick", "churn")[0] == 0
    assert cli.world.announcer.events[0] == "Rollouts.Started"


def test_a_refused_deployment_says_who_may(cli: Cli) -> None:
    cli.world.refused.add("deploy")
    code, _, err = cli.run(*START)
    assert code != 0
    assert "cannot deploy: not allowed (403) (grant the role)" in err
    assert cli.world.endpoints.weights == {BLUE: 100}


def test_a_refused_clean_up_is_not_said_to_be_done_and_is_done_later(cli: Cli) -> None:
    cli.run(*START)
    assert cli.run("rollback", "churn", "--reason", "tested", "--force")[0] == 0
    cli.world.advance(60 * 48)
    cli.world.refused.add("delete")
    for _ in range(3):
        lines = len(cli.world.store.data.splitlines())
        _, out, _ = cli.run("tick", "churn")
        assert "done: retire" not in out
        assert len(cli.world.store.data.splitlines()) - lines <= 3, "the journal is not filled with tries"
    assert f"retire {GREEN}: refused" in cli.run("status", "churn")[1]
    cli.world.refused.clear()
    assert f"done: retire {GREEN}" in cli.run("tick", "churn")[1]


def test_a_rollback_does_not_wait_for_a_refused_clean_up(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.run(*START)
    cli.run("rollback", "churn", "--reason", "tested", "--force")
    cli.run("start", "churn", "--model", "churn:3", "--name", "later", "--yes")
    cli.world.advance(60 * 48)
    cli.world.refused.add("delete")
    monkeypatch.setattr("rollout.cli.steer.time.sleep", lambda _: pytest.fail("waits"))
    assert cli.run("rollback", "churn", "--reason", "tested", "--force")[0] == 0


@pytest.mark.parametrize(
    ("variables", "options", "code"),
    [
        ({"ROLLOUT_STACK": "dev"}, ("--outputs", "{outputs}"), 0),
        ({"ROLLOUT_STACK": "dev"}, (), 2),
        ({}, ("--stack", "dev", "--outputs", "{outputs}"), 2),
    ],
    ids=["spelled out beats the variable", "two variables", "both spelled out"],
)
def test_one_source_of_outputs(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: tuple[str, ...], code: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    cli.run(*START)
    ended, _, err = cli.run("status", "churn", *(each.format(outputs=cli.outputs) for each in options))
    assert ended == code, err


def test_a_spelled_out_stack_beats_the_file_of_the_environment(cli: Cli, tmp_path: object) -> None:
    code, _, err = cli.run("status", "churn", "--stack", "nope")
    assert code != 0
    assert "both named" not in err
