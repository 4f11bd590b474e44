"""Imports go one way, as docs/architecture.md's table of rooms says: who may use whom, and where the SDKs stay out."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Room to the rooms and modules that it may import. "rollout" is the package's version, not what lies in it.
ALLOWED: dict[str, set[str]] = {
    "__main__": {"components", "contract"},
    "components": {"contract"},
    "contract": {"rollout.errors"},
    "rollout": set(),
    "rollout.errors": set(),
    "rollout.clock": {"rollout.errors"},
    "rollout.analysis": {"contract", "rollout.controller.ports"},
    "rollout.batch": {"rollout.errors"},
    "rollout.checks": {"contract", "rollout.analysis", "rollout.controller.ports"},
    "rollout.controller": {"contract", "rollout.analysis", "rollout.checks", "rollout.errors"},
    "rollout.azure": {"contract", "rollout", "rollout.clock", "rollout.errors"},
    "rollout.handlers": {"contract", "rollout.azure", "rollout.clock", "rollout.controller", "rollout.errors"},
    "rollout.models": {"contract", "rollout.azure", "rollout.errors", "training"},
    "rollout.reports": {"rollout.models", "contract", "rollout.analysis", "rollout.controller"},
    "rollout.ops": {"rollout.errors"},
    "rollout.cli": {"contract", "rollout", "training", "sandbox"},
    "training": {"contract", "rollout.azure", "rollout.errors"},
    "sandbox": {"rollout.clock", "rollout.errors", "rollout.ops.pulumi_cli"},
    "load": set(),
    "functions": {"rollout.handlers"},
}
ALLOWED["rollout.cli"] |= {room for room in ALLOWED if room.startswith("rollout.")}
#: The adapters implement these protocols of the controller and build its `World`; nothing else of it is theirs.
ALLOWED["rollout.azure"] |= {"rollout.controller.ports", "rollout.controller.world"}
#: `rollout sandbox` starts and stops the sandbox; no other command knows that there is one.
ALONE = {("rollout/cli/sandbox.py", "sandbox")}
#: Rooms that have to stay light, and what they may import from elsewhere at module level.
LIGHT: dict[str, set[str]] = {
    "contract": {"pydantic", "yaml"},
    "rollout.analysis": {"pydantic"},
    "rollout.checks": {"pydantic"},
    "rollout.controller": {"pydantic"},
    "rollout.errors": set(),
    "rollout.clock": set(),
    "functions": {"azure"},
}
OWN = (
    "__main__",
    "components",
    "contract",
    "rollout",
    "training",
    "sandbox",
    "load",
    "functions",
    "demo",
    "bench",
    "tests",
    "tools",
)


def files() -> Iterator[Path]:
    yield ROOT / "__main__.py"
    for folder in ("components", "contract", "rollout", "training", "sandbox", "load", "functions", "demo"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def room_of(module: str) -> str:
    """The longest room that `module` lies in."""
    found = [room for room in ALLOWED if module == room or module.startswith(f"{room}.")]
    return max(found, key=len, default=module.partition(".")[0])


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(file: Path) -> tuple[tuple[str, int, bool], ...]:
    """(module, line, whether it is imported with the file, not later and not for types only)."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    at_once = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in at_once) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: relative import"
            found += [
                (_imported(node.module or "", alias.name), node.lineno, id(node) in at_once) for alias in node.names
            ]
    return tuple(found)


def _imported(module: str, name: str) -> str:
    """`from a import b` imports the module a.b where there is one, else a."""
    place = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if place.with_suffix(".py").exists() or place.is_dir() else module


def may(room: str, module: str) -> bool:
    own = module == room or module.startswith(f"{room}.")
    return own or any(
        module == other or (other != "rollout" and module.startswith(f"{other}.")) for other in ALLOWED[room]
    )


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_the_architecture_lets_it(room: str) -> None:
    strangers = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files()
        if room_of(module_of(file)) == room
        for module, line, _ in imports(file)
        if module.partition(".")[0] in OWN and not may(room, module)
    ]
    assert not strangers


def test_nobody_imports_the_sandbox_but_its_command_and_the_demo() -> None:
    users = {
        (file.relative_to(ROOT).as_posix(), "sandbox")
        for file in files()
        if module_of(file).partition(".")[0] not in ("sandbox", "demo")
        for module, _, _ in imports(file)
        if module.partition(".")[0] == "sandbox"
    }
    assert users == ALONE


@pytest.mark.parametrize("room", LIGHT)
def test_a_light_room_loads_no_sdk(room: str) -> None:
    heavy = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files()
        if room_of(module_of(file)) == room
        for module, line, _ in imports(file)
        if (top := module.partition(".")[0]) not in OWN and top not in LIGHT[room] | sys.stdlib_module_names
    ]
    assert not heavy


def test_the_command_line_loads_no_sdk_before_a_command_needs_it() -> None:
    late = ("azure", "mlflow", "pulumi", "sandbox", "training", "requests")
    early = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files()
        if room_of(module_of(file)) == "rollout.cli" and file.name != "sandbox.py"
        for module, line, at_once in imports(file)
        if at_once and module.partition(".")[0] in late
    ]
    assert not early


def test_what_runs_inside_a_training_job_needs_only_what_is_sent_with_it() -> None:
    """The job's code asset is `training` and `contract`; `rollout` is not there."""
    at_home = {"training/job.py", "training/following.py", "contract/reader.py"}  # who submits, follows, reads a stack
    users = {
        file.relative_to(ROOT).as_posix()
        for file in files()
        if module_of(file).partition(".")[0] in ("training", "contract")
        for module, _, _ in imports(file)
        if module.partition(".")[0] == "rollout"
    }
    assert users == at_home
    inside = {module for file in files() if module_of(file).startswith("training") for module, _, _ in imports(file)}
    assert "contract.reader" not in inside
