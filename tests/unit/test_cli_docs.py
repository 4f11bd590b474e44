"""The command reference is what the commands say of themselves, and their start-up stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rollout.cli.app import COMMANDS
from rollout.cli.lazy import Entry
from tools import commands_doc

HEAVY = ("azure", "pydantic", "mlflow", "pulumi", "sandbox", "rich", "starlette", "numpy", "contract")


def test_the_reference_is_current() -> None:
    assert (
        commands_doc.TARGET.read_text(encoding="utf-8") == commands_doc.render()
    ), "docs/commands.md is not current: python tools/commands_doc.py"


def test_every_command_and_option_is_explained() -> None:
    missing = []
    for name, command in commands_doc.commands():
        if not (command.help or "").strip():
            missing.append(name)
        missing += [
            f"{name} {one.name}" for one in command.params if one.name != "help" and not getattr(one, "help", "")
        ]
    assert not missing


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_list_of_commands_says_what_the_command_says(entry: Entry) -> None:
    own = " ".join(entry.load().help.split())
    assert own.split()[:2] == entry.help.split()[:2], f"{entry.help!r} beside {own!r}"


@pytest.mark.parametrize("arguments", [["--help"], ["status", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys; from rollout.cli.app import run; "
        f"code = run({arguments!r}); print(code, *sorted({{name.split('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert not set(HEAVY).intersection(modules)
