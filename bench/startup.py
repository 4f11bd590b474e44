"""How long `rollout --help` and `rollout status --help` take, beside `python -c "import typer, rich"`."""

from __future__ import annotations

import sys
from dataclasses import asdict

from bench.measure import ROLLOUT, Result, Row, clean_environment, compare, run_seconds

LIMIT = 2.0
PAIRS = 15
_BASE = (sys.executable, "-c", "import typer, rich")
CASES = {"rollout --help": ("--help",), "rollout status --help": ("status", "--help")}


def run() -> Result:
    environment, rows, details = clean_environment(), [], {}
    for name, arguments in CASES.items():
        command = (*ROLLOUT, *arguments)
        for warm_up in (_BASE, command):  # byte code is written, files are in the cache
            run_seconds(warm_up, environment)
        pairs = [(run_seconds(_BASE, environment), run_seconds(command, environment)) for _ in range(PAIRS)]
        found = compare(pairs)
        print(f"  {name}: {1000 * found.own:.0f} ms, base {1000 * found.base:.0f} ms, {found.pairs} pairs", flush=True)
        rows.append(Row(f"{name} / import typer, rich", found.ratio, "x", LIMIT))
        details[name] = asdict(found)
    return Result("startup", rows, details)
