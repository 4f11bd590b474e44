"""What the benches share: timing, the statistics of pairs, goals, JSON and the table.

Machines are noisy and differ. So both sides of a comparison run in turns, each pair gives a ratio, and the median of the
ratios is judged: what else the machine does in a pair hits both of its sides.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OUT = Path("out/bench")
#: Runs the `rollout` of this interpreter.
ROLLOUT = (sys.executable, "-c", "from rollout.cli import main; main()")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of times in seconds, taken in pairs. `ratio`: the median over the pairs of own/base."""

    base: float
    own: float
    ratio: float
    lowest: float
    highest: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `goal`: the limit that `value` has to keep; None for what is measured for orientation."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "MISSED"}[self.met]


@dataclass(frozen=True, slots=True)
class Result:
    """What one bench found. `details` goes into the JSON, `notes` under the table too."""

    name: str
    rows: Sequence[Row]
    details: Mapping[str, Any]
    notes: Sequence[str] = field(default=())


def compare(pairs: Sequence[tuple[float, float]]) -> Comparison:
    """`pairs`: (base, own) of runs that were made one after the other; ValueError without any."""
    if not pairs:
        raise ValueError("nothing was measured: a comparison needs one pair or more")
    ratios = [own / base for base, own in pairs]
    return Comparison(
        base=statistics.median(base for base, _ in pairs),
        own=statistics.median(own for _, own in pairs),
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        pairs=len(pairs),
    )


def run_seconds(command: Sequence[str], environment: Mapping[str, str], limit: float = 60.0) -> float:
    """Wall time of a command that has to succeed in `limit` seconds; its output is dropped."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=dict(environment), timeout=limit)
    return time.perf_counter() - start


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment, without what would send either side to some other sandbox or keep byte code unwritten."""
    dropped = ("ROLLOUT_", "AZURE_", "ARM_", "PULUMI_", "MLFLOW_", "_MLFLOW_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | extra


def machine() -> dict[str, Any]:
    """Where and beside how much other work the numbers were taken."""
    load = os.getloadavg()[0]
    return {"cpus": os.cpu_count(), "load_1m_at_start": round(load, 2), "python": platform.python_version()}


def is_busy(found: Mapping[str, Any]) -> bool:
    """Whether half the machine or more was at work for others when the benches began."""
    return float(found["load_1m_at_start"]) >= float(found["cpus"] or 1) / 2


def write_json(result: Result, where: Mapping[str, Any], folder: Path = OUT) -> Path:
    """`<folder>/<name>.json`: rows with goals and verdicts, notes, the machine, and the bench's own details."""
    rows = [
        {"what": row.what, "value": round(row.value, 4), "unit": row.unit, "goal": row.goal, "met": row.met}
        for row in result.rows
    ]
    document = {"bench": result.name, "machine": dict(where), "rows": rows, "notes": list(result.notes)}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.json"
    path.write_text(json.dumps(document | {"details": result.details}, indent=2) + "\n", encoding="utf-8")
    return path


def table(results: Sequence[Result]) -> str:
    """All rows of all benches, one line each."""
    lines = [("bench", "what", "measured", "goal", "")]
    for result in results:
        for row in result.rows:
            sign = ">=" if row.at_least else "<="
            goal = "" if row.goal is None else f"{sign} {_number(row.goal)} {row.unit}"
            lines.append((result.name, row.what, f"{_number(row.value)} {row.unit}", goal, row.verdict))
    widths = [max(len(line[at]) for line in lines) for at in range(5)]
    return "\n".join(
        "  ".join(cell.rjust(width) if at in (2, 3) else cell.ljust(width) for at, (cell, width) in columns).rstrip()
        for columns in (list(enumerate(zip(line, widths, strict=True))) for line in lines)
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
