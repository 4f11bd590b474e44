"""Where the story plays: a sandbox of its own, the commands as a user types them, and a narrator."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess  # nosec B404  # runs this project's own commands
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STACK, ENDPOINT = "dev", "churn"
TIME_SCALE = 60
#: No command of the story takes longer; one that does hangs.
LONGEST_COMMAND_SECONDS = 600


class StageError(Exception):
    """A command did not do what the story needs; the message holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished command: its exit code and output, stdout and stderr together."""

    code: int
    output: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The JSON objects among the lines of output."""
        return [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]


class Stage:
    """Runs commands in the sandbox's environment, and shows what they print."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.console = Console(highlight=False)
        self.home = out / "sandbox"
        #: A copy: changing a tag must not change the repository's stack file.
        self.stack_file = out / f"Pulumi.{STACK}.yaml"
        self._environment: dict[str, str] = {}

    # The sandbox

    def raise_curtain(self) -> None:
        """A fresh sandbox, and the environment that `rollout sandbox env` gives."""
        self.out.mkdir(parents=True, exist_ok=True)
        self._environment = {**os.environ, "ROLLOUT_SANDBOX_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
        self._environment["PATH"] = os.pathsep.join([str(BIN), self._environment.get("PATH", "")])
        if self.home.exists():
            self.run("rollout", "sandbox", "down", quiet=True, ok=(0, 8))
            shutil.rmtree(self.home)
        self.run("rollout", "sandbox", "up", "--time-scale", str(TIME_SCALE), quiet=True)
        ran = self.run("rollout", "sandbox", "env", "--json", quiet=True, show=False)
        variables = json.loads(ran.output)
        self._environment |= {name: str(value) for name, value in variables.items()}
        self._environment["PATH"] = os.pathsep.join([str(variables["PATH"]), str(BIN)])
        self._environment["ROLLOUT_STACK"] = STACK
        shutil.copy(ROOT / self.stack_file.name, self.stack_file)

    def drop_curtain(self) -> None:
        self.run("rollout", "sandbox", "down", quiet=True, ok=(0, 8))

    @property
    def environment(self) -> dict[str, str]:
        return dict(self._environment)

    # Commands

    def run(self, *command: str, ok: Iterable[int] = (0,), quiet: bool = False, show: bool = True) -> Ran:
        """Run to the end, echoing each line; StageError when the exit code is not among `ok`."""
        if show and not quiet:
            self.console.print(f"[bold]$ {' '.join(_for_people(command))}[/bold]")
        process = self.begin(*command)
        lines = []
        assert process.stdout is not None  # nosec B101  # opened with a pipe
        for line in process.stdout:
            lines.append(line)
            if show and not quiet:
                self.console.print(f"  {line.rstrip()}", markup=False, soft_wrap=True, style="dim")
        ran = Ran(process.wait(timeout=LONGEST_COMMAND_SECONDS), "".join(lines))
        if ran.code not in set(ok):
            tail = "".join(lines[-25:])
            raise StageError(f"{' '.join(_for_people(command))} ended with {ran.code}\n{tail}")
        return ran

    def begin(self, *command: str) -> subprocess.Popen[str]:
        """Start without waiting, in a process group of its own."""
        return subprocess.Popen(  # nosec B603  # fixed commands, no shell
            command, cwd=ROOT, env=self._environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def pulumi(self, verb: str, *options: str, quiet: bool = False) -> Ran:
        return self.run(
            "pulumi", verb, "--stack", STACK, "--config-file", str(self.stack_file), "--non-interactive", *options,
            quiet=quiet,
        )  # fmt: skip

    def document(self, *command: str) -> dict[str, Any]:
        """The JSON object that a quiet command prints."""
        documents = self.run(*command, "--json", quiet=True).documents
        if not documents:
            raise StageError(f"{' '.join(command)} printed no JSON")
        return documents[0]

    def documents(self, *command: str) -> list[dict[str, Any]]:
        return self.run(*command, "--json", quiet=True).documents

    def status(self) -> dict[str, Any]:
        return self.document("rollout", "status", ENDPOINT)

    def live_weights(self) -> dict[str, int]:
        weights: dict[str, int] = self.status()["live"]["weights"]
        return weights

    def wait_for_green(self, weight: int, limit_seconds: float = 120) -> dict[str, Any]:
        """The status once the rollout's green has at least `weight` percent of live traffic."""
        deadline = time.monotonic() + limit_seconds
        while time.monotonic() < deadline:
            status = self.status()
            rollout = status["rollout"] or {}
            if rollout.get("active") and status["live"]["weights"].get(rollout["green"], 0) >= weight:
                return status
            time.sleep(0.2)
        raise StageError(f"green did not get {weight} % of traffic within {limit_seconds:.0f} s")

    # The narrator

    def tell(self, text: str) -> None:
        self.console.print(text)

    def act(self, number: int, name: str) -> None:
        self.console.rule(f"[bold]Act {number}: {name}")


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process and what it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _for_people(command: Sequence[str]) -> list[str]:
    """The command with paths of this checkout shortened."""
    return [word.replace(f"{ROOT}/", "") for word in command]
