"""The command line as the people who use it meet it: ship a model, look, steer, and be told what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rollout.cli import steer
from rollout.cli.app import COMMANDS, EXIT_CODES
from rollout.errors import RolloutError
from tests.unit.cli_rig import *  # noqa: F403 - the fixture
from tests.unit.cli_rig import Cli, outputs_document
from tests.unit.world import BLUE, GREEN, Behaviour

START = ("start", "churn", "--model", "churn:2", "--name", GREEN, "--yes")


class TestShipping:
    def test_start_deploys_green_and_moves_the_first_traffic(self, cli: Cli) -> None:
        code, out, _ = cli.run(*START)
        assert code == 0, out
        assert cli.world.endpoints.weights == {BLUE: 90, GREEN: 10}
        assert f"churn-dev: churn:2 as {GREEN} on 1 x Standard_DS3_v2, from {BLUE}" in out
        assert "600 requests/min" in out
        assert f"done: deploy {GREEN}" in out
        assert "Baking 10 %" in out

    def test_watch_drives_a_healthy_green_to_all_traffic(self, cli: Cli) -> None:
        cli.run(*START)
        code, out, _ = cli.run("watch", "churn")
        assert code == 0
        assert cli.world.endpoints.weights == {GREEN: 100}
        shifts = [line.partition("done: ")[2] for line in out.splitlines() if "done:" in line]
        assert shifts == [f"shift to {BLUE} 50, {GREEN} 50", f"shift to {GREEN} 100"]
        assert "Promoted" in out.splitlines()[-1]

    def test_watch_ends_with_code_3_when_green_errs_and_says_why(self, cli: Cli) -> None:
        cli.run(*START)
        cli.world.behaviours[GREEN] = Behaviour(error_rate=0.4)
        code, out, err = cli.run("watch", "churn")
        assert code == 3
        assert cli.world.endpoints.weights == {BLUE: 100}
        assert "done: roll-back to" in out
        assert err.startswith("error: churn:2 was rolled back:")

    def test_machines_get_one_json_object_a_line(self, cli: Cli) -> None:
        code, lines = cli.documents(*START, "--watch")
        assert code == 0
        assert lines[0]["green"] == GREEN
        assert lines[1]["started"]["phase"] == "Planned"
        assert lines[-1]["rollout"]["phase"] == "Promoted"
        assert lines[-1]["live"]["weights"] == {GREEN: 100}
        weights = [line["live"]["deployments"].get(GREEN, {}).get("weight", 0) for line in lines if "live" in line]
        assert sorted(set(weights)) == [0, 10, 50, 100]

    def test_this_runs_steps_and_bake_replace_the_policys(self, cli: Cli) -> None:
        code, _, _ = cli.run(*START, "--steps", "25,100", "--bake-minutes", "2")
        assert code == 0
        assert cli.world.endpoints.weights == {BLUE: 75, GREEN: 25}
        _, (document,) = cli.documents("status", "churn")
        assert document["rollout"]["steps"] == [25, 100]

    def test_plan_tells_what_each_step_can_see(self, cli: Cli) -> None:
        code, out, _ = cli.run("plan", "churn", "--steps", "1,100")
        assert code == 0
        assert " 1 %" in out
        assert "+95%" in out

    def test_a_plan_of_the_first_deployment_has_nothing_to_compare(self, cli: Cli) -> None:
        cli.world.endpoints.weights.clear()
        code, out, _ = cli.run("plan", "churn")
        assert (code, "first deployment" in out) == (0, True)


class TestDryRuns:
    @pytest.mark.parametrize(
        "arguments",
        [
            (*START, "--dry-run"),
            ("tick", "churn", "--dry-run"),
            ("rollback", "churn", "--reason", "test", "--dry-run"),
            ("abort", "churn", "--reason", "test", "--dry-run"),
            ("approve", "churn", "--dry-run"),
            ("resume", "churn", "--reason", "test", "--dry-run"),
            ("smoke", "churn", GREEN, "--dry-run"),
        ],
        ids=lambda arguments: arguments[0],
    )
    def test_nothing_is_changed_or_written(self, cli: Cli, arguments: tuple[str, ...]) -> None:
        if arguments[0] != "start":
            cli.run(*START)
        before = cli.world.store.data, dict(cli.world.endpoints.weights), dict(cli.world.endpoints.done)
        code, out, err = cli.run(*arguments)
        assert code == 0, err
        assert (cli.world.store.data, cli.world.endpoints.weights, dict(cli.world.endpoints.done)) == before
        assert GREEN in out or "would" in out

    def test_a_dry_tick_says_what_a_tick_would_do(self, cli: Cli) -> None:
        cli.run(*START)
        cli.world.advance(12)
        assert "would advance" in cli.run("tick", "churn", "--dry-run")[1]


class TestLooking:
    def test_status_before_any_rollout_shows_the_traffic(self, cli: Cli) -> None:
        code, out, _ = cli.run("status", "churn")
        assert code == 0
        assert BLUE in out
        assert "100 % " in out
        assert "no rollout was ever started here" in out

    def test_status_shows_both_sides_and_where_it_stands(self, cli: Cli) -> None:
        cli.run(*START)
        cli.world.advance(4)
        code, out, _ = cli.run("status", "churn-dev")
        assert code == 0
        assert f"{GREEN} (green)" in out
        assert f"{BLUE} (blue)" in out
        assert "Baking 10 %" in out
        assert "[10] 50 100" in out

    def test_status_says_when_journal_and_live_traffic_differ(self, cli: Cli) -> None:
        cli.run(*START)
        cli.world.endpoints.weights = {BLUE: 60, GREEN: 40}
        assert f"live is {BLUE} 60, {GREEN} 40" in cli.run("status", "churn")[1]

    def test_status_still_answers_when_metrics_do_not(self, cli: Cli) -> None:
        cli.run(*START)
        cli.world.down = {"metrics"}
        code, out, _ = cli.run("status", "churn")
        assert code == 0
        assert "no metrics: metrics does not answer" in out

    def test_status_can_give_the_state_as_exit_code(self, cli: Cli) -> None:
        cli.run(*START)
        assert cli.run("status", "churn", "--exit-code")[0] == 0
        cli.run("rollback", "churn", "--reason", "test")
        assert cli.run("status", "churn")[0] == 0
        assert cli.run("status", "churn", "--exit-code")[0] == 3

    def test_history_has_the_newest_first(self, cli: Cli) -> None:
        cli.run(*START)
        cli.run("rollback", "churn", "--reason", "looks odd")
        cli.run("start", "churn", "--model", "churn:3", "--yes")
        code, lines = cli.documents("history", "churn")
        assert code == 0
        assert [line["model"] for line in lines] == ["churn:3", "churn:2"]
        assert "looks odd" in cli.run("history", "churn")[1]
        assert len(cli.documents("history", "churn", "--limit", "1")[1]) == 1

    def test_audit_tells_who_did_what_and_that_the_chain_holds(self, cli: Cli) -> None:
        cli.run(*START)
        code, out, _ = cli.run("audit", "churn")
        assert code == 0
        assert "ann #" in out
        assert f"{BLUE} 100 -> {BLUE} 90, {GREEN} 10" in out
        assert "lines verify, head" in out

    def test_a_journal_that_was_tampered_with_ends_with_code_9(self, cli: Cli) -> None:
        cli.run(*START)
        cli.world.store.data = cli.world.store.data.replace(b'"actor":"ann"', b'"actor":"bob"', 1)
        code, out, err = cli.run("audit", "churn")
        assert code == 9
        assert "BROKEN at sequence 1" in out
        assert "hash does not match" in err
        assert cli.run("tick", "churn")[0] == 9

    def test_cost_shows_lines_and_total_against_the_budget(self, cli: Cli) -> None:
        code, out, _ = cli.run("cost")
        assert code == 0
        assert "1 x Standard_DS3_v2, 730 h" in out
        assert "96% of the budget" in out


class TestSteering:
    def test_rollback_sends_everything_back_at_once(self, cli: Cli) -> None:
        cli.run(*START)
        code, out, _ = cli.run("rollback", "churn", "--reason", "3 a.m.")
        assert code == 0
        assert cli.world.endpoints.weights == {BLUE: 100}
        assert "RolledBack" in out

    def test_rollback_waits_for_an_update_that_is_in_its_way(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        cli.run(*START)
        cli.world.endpoints.provisioning_state = "Updating"
        waits: list[float] = []

        def update_ends(seconds: float) -> None:
            waits.append(seconds)
            cli.world.endpoints.provisioning_state = "Succeeded" if len(waits) == 3 else "Updating"

        monkeypatch.setattr(steer.time, "sleep", update_ends)
        code, out, _ = cli.run("rollback", "churn", "--reason", "3 a.m.")
        assert (code, len(waits)) == (0, 3)
        assert cli.world.endpoints.weights == {BLUE: 100}
        assert "RolledBack" in out

    def test_a_rollout_whose_endpoint_was_deleted_is_shown_and_can_be_ended(self, cli: Cli) -> None:
        cli.run(*START)
        cli.world.endpoints.deleted = True
        code, out, _ = cli.run("status", "churn")
        assert code == 0
        assert "warning: there is no endpoint churn" in out
        code, out, err = cli.run("rollback", "churn", "--reason", "deleted")
        assert code == 1
        assert "the endpoint does not exist" in out + err
        assert "start a new rollout" in err

    def test_abort_leaves_a_promoted_model_alone_and_rollback_takes_it_back(self, cli: Cli) -> None:
        cli.run(*START, "--watch")
        code, _, err = cli.run("abort", "churn", "--reason", "too late")
        assert code == 2
        assert "rollout rollback" in err
        assert cli.world.endpoints.weights == {GREEN: 100}
        assert cli.run("rollback", "churn", "--reason", "regret")[0] == 0
        assert cli.world.endpoints.weights == {BLUE: 100}

    def test_a_rollout_that_needs_approval_waits_for_somebody_else(self, cli: Cli) -> None:
        cli.outputs.write_text(json.dumps(outputs_document(approvers_required=1)))
        code, _, err = cli.run(*START)
        assert code == 4
        assert "waits for 1 approval" in err
        assert cli.run("approve", "churn")[0] == 2, "who starts it can't approve it"
        assert cli.run("approve", "churn", "--as", "bob", "--note", "looked at it")[0] == 0
        assert cli.run("tick", "churn")[0] == 0
        assert cli.world.endpoints.weights[GREEN] == 10

    def test_watch_can_end_instead_of_waiting_for_a_person(self, cli: Cli) -> None:
        cli.outputs.write_text(json.dumps(outputs_document(approvers_required=1)))
        cli.run(*START)
        assert cli.run("watch", "churn", "--stop-on-hold")[0] == 4

    def test_smoke_judges_one_deployment_alone(self, cli: Cli) -> None:
        cli.run(*START)
        assert cli.run("smoke", "churn")[0] == 0
        cli.world.behaviours[GREEN] = Behaviour(error_rate=0.5)
        code, out, err = cli.run("smoke", "churn", "--requests", "10")
        assert code == 7
        assert "5 of 10 answered 200" in out
        assert err.startswith(f"error: {GREEN}: answers")


class TestBadInput:
    def test_the_stack_has_to_be_named(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("ROLLOUT_OUTPUTS")
        code, _, err = cli.run("status", "churn")
        assert code == 2
        assert "--stack dev" in err

    def test_an_unknown_stack_is_not_found(self, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("ROLLOUT_OUTPUTS")
        pulumi = tmp_path / "pulumi"
        pulumi.write_text("#!/bin/sh\necho \"error: no stack named 'nope' found\" >&2\nexit 255\n")
        pulumi.chmod(0o755)
        (tmp_path / "Pulumi.yaml").write_text("name: x\n")
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        monkeypatch.chdir(tmp_path)
        code, _, err = cli.run("status", "churn", "--stack", "nope")
        assert code == 6
        assert "there is no stack 'nope'" in err

    def test_a_stack_that_was_never_deployed_has_no_outputs(self, cli: Cli) -> None:
        cli.outputs.write_text("{}")
        code, _, err = cli.run("status", "churn")
        assert code == 6
        assert "pulumi up" in err

    def test_an_unknown_endpoint_lists_the_known(self, cli: Cli) -> None:
        code, _, err = cli.run("status", "fraud")
        assert code == 6
        assert "it has: churn (churn-dev)" in err

    @pytest.mark.parametrize(
        ("extra", "code", "said"),
        [
            (("--model", "churn"), 2, "is not NAME:VERSION"),
            (("--model", "churn:99"), 6, "churn:99 does not exist"),
            (("--model", "churn:2", "--steps", "10,5,100"), 2, "--steps: [10, 5, 100] must rise"),
            (("--model", "churn:2", "--steps", "10,90"), 2, "end at 100"),
            (("--model", "churn:2", "--steps", "ten"), 2, "not a list of percentages"),
            (("--model", "churn:2", "--steps", "10,101"), 2, "--steps: "),
            (("--model", "churn:2", "--code", "no-such-folder"), 2, "no score.py"),
            (("--model", "churn:2", "--name", "-x-"), 2, "3 to 32 letters"),
        ],
    )
    def test_a_wrong_start_changes_nothing(self, cli: Cli, extra: tuple[str, ...], code: int, said: str) -> None:
        found, _, err = cli.run("start", "churn", *extra, "--yes")
        assert found == code, err
        assert said in err
        assert "way out:" in err
        assert cli.world.store.data == b""
        assert cli.world.endpoints.weights == {BLUE: 100}

    def test_a_second_rollout_on_a_busy_endpoint_names_the_first(self, cli: Cli) -> None:
        cli.run(*START)
        code, _, err = cli.run("start", "churn", "--model", "churn:3", "--yes")
        assert code == 5
        assert "started by ann" in err

    def test_without_a_terminal_start_needs_yes(self, cli: Cli) -> None:
        code, _, err = cli.run(*START[:-1])
        assert code == 2
        assert "--yes" in err
        assert cli.world.store.data == b""

    def test_an_empty_reason_is_refused(self, cli: Cli) -> None:
        cli.run(*START)
        assert cli.run("rollback", "churn", "--reason", " ")[0] == 2

    def test_looking_at_a_rollout_that_never_was(self, cli: Cli) -> None:
        for command in ("watch", "smoke"):
            assert cli.run(command, "churn")[0] == 6
        assert cli.run("tick", "churn", "--dry-run")[0] == 6

    def test_a_typo_gets_a_suggestion(self, cli: Cli) -> None:
        code, _, err = cli.run("statu")
        assert code == 2
        assert "status" in err


class TestErrors:
    def test_an_unexpected_error_is_one_line_and_debug_shows_where(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cli.world.endpoints, "live", lambda: 1 / 0)
        code, _, err = cli.run("status", "churn")
        assert code == 1
        assert "unexpected ZeroDivisionError" in err
        assert "Traceback" not in err
        code, _, err = cli.run("--debug", "status", "churn")
        assert code == 1
        assert "Traceback" in err

    def test_every_error_has_its_documented_exit_code(self) -> None:
        def tree(kind: type[RolloutError]) -> set[int]:
            return {kind.exit_code}.union(*(tree(child) for child in kind.__subclasses__()))

        assert {0} | tree(RolloutError) == set(EXIT_CODES)

    def test_help_shows_the_exit_codes_and_every_command(self, cli: Cli) -> None:
        code, out, _ = cli.run("--help")
        assert code == 0
        for number, meaning in EXIT_CODES.items():
            assert f"{number}  {meaning}" in out
        for entry in COMMANDS:
            assert f"  {entry.name} " in out

    def test_version(self, cli: Cli) -> None:
        assert cli.run("--version")[:2] == (0, "rollout 0.1.0\n")
