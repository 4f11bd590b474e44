"""`pulumi preview --stack prod` beside a program that only imports the same provider modules: same engine, same sandbox.

Time is that of the whole command, memory the peak of the program's own Python process. The imports of the second program
are those that the first one was seen to make.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
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
            times, peaks, modules = _measure(Path(folder), clean_environment(**variables))
        finally:
            lifecycle.down(home)
    rows = [
        Row(f"preview --stack {STACK}, time / imports alone", times.ratio, "x", LIMIT),
        Row(f"preview --stack {STACK}, memory / imports alone", peaks.ratio, "x", LIMIT),
    ]
    return Result("preview", rows, {"seconds": asdict(times), "mib": asdict(peaks), "modules": modules})


def _measure(folder: Path, variables: Mapping[str, str]) -> tuple[Comparison, Comparison, list[str]]:
    own = _project(folder / "own")
    _watch(own, (ROOT / "__main__.py").read_text("utf-8"))
    modules = _preview(own, variables)[2]  # a warm-up too
    base = _project(folder / "base")
    _watch(base, _IMPORTS.format(names=modules))
    _preview(base, variables)
    times, peaks = [], []
    for number in range(PAIRS):
        sides = [_preview(each, variables) for each in ((base, own) if number % 2 == 0 else (own, base))]
        first, second = sides if number % 2 == 0 else reversed(sides)
        times.append((first[0], second[0]))
        peaks.append((first[1], second[1]))
        print(
            f"  preview {second[0]:.1f} s, {second[1]:.0f} MiB; imports {first[0]:.1f} s, {first[1]:.0f} MiB",
            flush=True,
        )
    return compare(times), compare(peaks), modules


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


def _preview(project: Path, variables: Mapping[str, str]) -> tuple[float, float, list[str]]:
    """Seconds, the program's peak in MiB, and what it imported."""
    command = ["pulumi", "preview", "--stack", STACK, "--non-interactive", "--cwd", str(project)]
    seconds = run_seconds(command, variables, SECONDS)
    seen: dict[str, Any] = json.loads((project / "seen.json").read_text("utf-8"))
    return seconds, seen["peak"] / _KIB_PER_MIB, seen["modules"]
