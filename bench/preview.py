"""`pulumi preview --stack prod` beside a program that only imports the same provider modules: same engine, same sandbox.

Time is that of the whole command, CPU that of all its processes, memory the peak of the program's own Python process. The
imports of the second program are those that the first one was seen to make. On a busy machine judge by the CPU: there several
processes, as a preview has, get more of the machine than the one that only imports.
"""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.measure import Comparison, Result, Row, clean_environment, compare, run_seconds
from sandbox import environment, lifecycle

LIMIT = 1.5
PAIRS = 5
STACK = "prod"
SECONDS = 280.0
ROOT = Path(__file__).resolve().parents[1]
#: Goes before a program: what it took and imported is written down when it ends.
_WATCH = """
import atexit, json, pathlib, resource, sys
def _write():
    names = [name for name in sys.modules if name.startswith(("pulumi_azure_native", "pulumi_azuread"))]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pathlib.Path({seen!r}).write_text(json.dumps({{"peak": peak, "modules": sorted(names)}}))
atexit.register(_write)
"""
_IMPORTS = "import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n"
_KIB_PER_MIB = 1024


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="bench-preview-") as folder:
        home = Path(folder) / "home"
        lifecycle.up(home, lifecycle.Options(metrics_lag_seconds=0.0))
        try:
            variables = environment.explicit(home, lifecycle.require_running(home).settings)
            found, modules = _measure(Path(folder), clean_environment(**variables))
        finally:
            lifecycle.down(home)
    rows = [
        Row(f"preview --stack {STACK}, {what} / imports alone", each.ratio, "x", LIMIT) for what, each in found.items()
    ]
    return Result("preview", rows, {**{what: asdict(each) for what, each in found.items()}, "modules": modules})


@dataclass(frozen=True, slots=True)
class _Run:
    """One preview: wall and CPU seconds, the program's peak in MiB, and what it imported."""

    seconds: float
    cpu: float
    mib: float
    modules: list[str]


def _measure(folder: Path, variables: Mapping[str, str]) -> tuple[dict[str, Comparison], list[str]]:
    own = _project(folder / "own")
    _watch(own, (ROOT / "__main__.py").read_text("utf-8"))
    modules = _preview(own, variables).modules  # a warm-up too
    base = _project(folder / "base")
    _watch(base, _IMPORTS.format(names=modules))
    _preview(base, variables)
    pairs: list[tuple[_Run, _Run]] = []
    for number in range(PAIRS):
        sides = [_preview(each, variables) for each in ((base, own) if number % 2 == 0 else (own, base))]
        first, second = sides if number % 2 == 0 else reversed(sides)
        pairs.append((first, second))
        print(f"  preview {_said(second)}; imports {_said(first)}", flush=True)
    found = {
        "time": compare([(first.seconds, second.seconds) for first, second in pairs]),
        "CPU": compare([(first.cpu, second.cpu) for first, second in pairs]),
        "memory": compare([(first.mib, second.mib) for first, second in pairs]),
    }
    return found, modules


def _said(run: _Run) -> str:
    return f"{run.seconds:.1f} s, CPU {run.cpu:.1f} s, {run.mib:.0f} MiB"


def _project(folder: Path) -> Path:
    """This repository's program and stack files, in a folder where the program can be another."""
    folder.mkdir()
    for file in ROOT.glob("Pulumi*.yaml"):
        shutil.copy(file, folder)
    for package in ("components", "contract"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _watch(project: Path, program: str) -> None:
    (project / "__main__.py").write_text(_WATCH.format(seen=str(project / "seen.json")) + program, "utf-8")


def _preview(project: Path, variables: Mapping[str, str]) -> _Run:
    command = ["pulumi", "preview", "--stack", STACK, "--non-interactive", "--cwd", str(project)]
    before = _cpu_of_children()
    seconds = run_seconds(command, variables, SECONDS)
    cpu = _cpu_of_children() - before
    seen: dict[str, Any] = json.loads((project / "seen.json").read_text("utf-8"))
    return _Run(seconds, cpu, seen["peak"] / _KIB_PER_MIB, seen["modules"])


def _cpu_of_children() -> float:
    """Of every process that ended and was waited for, by whichever of its parents."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
