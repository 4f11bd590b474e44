"""The real Pulumi CLI on a project of its own, for tests of the plugins and of the stacks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.plugins.install import install_shims

ROOT = Path(__file__).resolve().parents[2]


class Engine:
    """One project folder and one state backend; every call is a real `pulumi`."""

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        self.project = project
        self.environment = {**os.environ, **environment}

    def run(self, *arguments: str, ok: bool = True, **environment: str) -> str:
        """Run `pulumi ...`, check whether it succeeded as expected, and give what it printed."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.project,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
        )
        assert (
            done.returncode == 0
        ) == ok, f"pulumi {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def program(self, text: str) -> None:
        """Replace the project's program."""
        (self.project / "__main__.py").write_text(text)

    def up(self, stack: str = "dev", *options: str, ok: bool = True) -> str:
        return self.run("up", "--yes", "--skip-preview", "--stack", stack, *options, ok=ok)

    def outputs(self, stack: str = "dev") -> dict[str, Any]:
        """The stack's outputs, secrets shown."""
        return dict(json.loads(self.run("stack", "output", "--json", "--show-secrets", "--stack", stack)))

    def resources(self, stack: str = "dev") -> dict[str, dict[str, Any]]:
        """The state's resources by logical name."""
        state = json.loads(self.run("stack", "export", "--stack", stack))
        found = state["deployment"].get("resources", [])
        return {resource["urn"].rsplit("::", 1)[1]: resource for resource in found}


def own_environment(home: Path) -> dict[str, str]:
    """Shims and an empty state in `home`, for an engine that no sandbox is behind."""
    state, bin_dir = home / "state", home / "bin"
    state.mkdir(parents=True, exist_ok=True)
    if not bin_dir.exists():
        install_shims(bin_dir)
    return {
        "PATH": f"{bin_dir}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_HOME": str(home / "pulumi"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def copy_project(folder: Path) -> Path:
    """This repository's program and stack files, to change at will."""
    folder.mkdir(parents=True)
    for file in (*ROOT.glob("Pulumi*.yaml"), ROOT / "__main__.py"):
        shutil.copy(file, folder)
    for package in ("components", "contract"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def write_program(folder: Path, text: str, name: str = "plugins") -> Path:
    """A project with this program."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
    (folder / "__main__.py").write_text(text)
    return folder
