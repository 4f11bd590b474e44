"""Finds the Pulumi CLI, or gets one: on PATH, in the user's cache, by Pulumi's installer, or built with Go.

`python -m rollout.ops.pulumi_cli` makes sure that there is one and prints its path.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # nosec B404  # asks `pulumi` for its version
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rollout.errors import RolloutError, Unavailable

#: The version that is installed or built, and the oldest that is accepted.
VERSION = "3.250.0"
MINIMUM = (3, 250, 0)
_ANSWER_SECONDS = 30

Source = Literal["PATH", "cache", "installer", "build"]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PulumiCli:
    """A CLI that answered: where, which version, and how it was found."""

    path: Path
    version: str
    source: Source


def cache_folder() -> Path:
    """Where CLIs are kept for all clones of this user: `$XDG_CACHE_HOME` or `~/.cache`, below `azureml-rollouts/bin`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "azureml-rollouts" / "bin"


def find_pulumi() -> PulumiCli | None:
    """The newest-enough CLI on PATH or in the cache; never downloads or builds."""
    for path in _on_path():
        if (version := _new_enough(path)) is not None:
            return PulumiCli(path, version, "PATH")
    return cached()


def cached() -> PulumiCli | None:
    """The newest CLI of the user-level cache that runs."""
    binaries = sorted(cache_folder().glob("pulumi-[0-9]*"), key=lambda path: _parse(path.name), reverse=True)
    for path in binaries:
        if (version := _new_enough(path)) is not None:
            return PulumiCli(path, version, "cache")
    return None


def ensure_pulumi(report: Report | None = None) -> PulumiCli:
    """A CLI, got in the first way that works; `report` hears what takes time. Unavailable says what to do."""
    from rollout.ops import pulumi_cli_build, pulumi_cli_installer

    say = report or _to_stderr
    if (cli := find_pulumi()) is not None:
        return cli
    target = cache_folder() / f"pulumi-{VERSION}"
    with pulumi_cli_build.exclusive(target, say):
        if (cli := cached()) is not None:  # another process got it while this one waited
            return cli
        source: Source = "installer"
        if not pulumi_cli_installer.install(target, VERSION, say):
            pulumi_cli_build.build(target, VERSION, say)
            source = "build"
    version = _new_enough(target)
    if version is None:
        raise Unavailable(
            f"{target} was made, and does not run",
            way_out=f"remove it and try again, or put pulumi >= {VERSION} on PATH",
        )
    return PulumiCli(target, version, source)


def version_of(path: Path) -> str | None:
    """What `pulumi version` says, without the 'v'; None if it does not run."""
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(  # nosec B603  # the path comes from PATH or the user's cache
            [str(path), "version"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_SECONDS,
            env=environment,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip().removeprefix("v") or None


def _on_path() -> Iterator[Path]:
    """Every `pulumi` of PATH, in order, links followed."""
    seen: set[Path] = set()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which("pulumi", path=folder) if folder else None
        if found is not None and (path := Path(found).resolve()) not in seen:
            seen.add(path)
            yield path


def _new_enough(path: Path) -> str | None:
    version = version_of(path)
    return version if version is not None and _parse(version) >= MINIMUM else None


def _parse(text: str) -> tuple[int, ...]:
    """The first x.y.z of the text; zeros when there is none."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else (0, 0, 0)


def _to_stderr(line: str) -> None:
    end = "" if line.startswith("\r") else "\n"
    sys.stderr.write(line + end)
    sys.stderr.flush()


def main() -> int:
    try:
        cli = ensure_pulumi()
    except RolloutError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"way out: {error.way_out}\n" if error.way_out else ""))
        return error.exit_code
    sys.stdout.write(f"{cli.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
