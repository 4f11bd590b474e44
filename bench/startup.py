"""How long `rollout --help` and `rollout status --help` take, beside `python -c "import typer, rich"`.

Runs them in turns and compares pair by pair, so that what else the machine does hits both; the ratio is the median
over the pairs. Writes out/bench/startup.json; ends with 1 when a ratio is over the limit.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

LIMIT = 2.0
PAIRS = 15
OUT = Path("out/bench/startup.json")
_BASE = ["-c", "import typer, rich"]
_CLI = "import sys; from rollout.cli import main; sys.argv = ['rollout', *{arguments!r}]; main()"
CASES = {"rollout --help": ["--help"], "rollout status --help": ["status", "--help"]}


def measure(pairs: int = PAIRS) -> dict[str, dict[str, float]]:
    """Median milliseconds of both sides and the median ratio, by case."""
    found = {}
    for name, arguments in CASES.items():
        command = ["-c", _CLI.format(arguments=arguments)]
        _seconds(_BASE), _seconds(command)  # byte code is written, files are in the cache
        times = [(_seconds(_BASE), _seconds(command)) for _ in range(pairs)]
        found[name] = {
            "base_ms": round(1000 * statistics.median(base for base, _ in times), 1),
            "ms": round(1000 * statistics.median(own for _, own in times), 1),
            "ratio": round(statistics.median(own / base for base, own in times), 3),
        }
    return found


def _seconds(arguments: list[str]) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main() -> int:
    found = measure()
    for name, one in found.items():
        print(f"{name:24} {one['ms']:6.1f} ms, {one['ratio']:.2f} x `import typer, rich` ({one['base_ms']:.1f} ms)")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"limit": LIMIT, "pairs": PAIRS, "cases": found}, indent=2) + "\n", encoding="utf-8")
    return 0 if all(one["ratio"] <= LIMIT for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
