"""`python -m bench [name...]`: run the benches, print one table of goals, write out/bench/<name>.json."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from bench.measure import Result, is_busy, machine, table, write_json

#: The order in which they run; each is a module of this package with a `run() -> Result`.
BENCHES = ("startup", "gateway", "serving", "sandbox_up", "preview")


def main(arguments: list[str] | None = None) -> int:
    """0; with --check 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHES)}; all without")
    parser.add_argument("--check", action="store_true", help="end with 1 when a goal is missed")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in BENCHES]:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    where, began, results = machine(), time.monotonic(), []
    for name in given.names or BENCHES:
        print(f"{name} ...", flush=True)
        result: Result = importlib.import_module(f"bench.{name}").run()
        write_json(result, where)
        results.append(result)
    print("\n" + table(results) + "\n")
    for note in (note for result in results for note in result.notes):
        print(f"note: {note}")
    if is_busy(where):
        print(
            f"note: load was {where['load_1m_at_start']} on {where['cpus']} CPUs at the start; ratios hold, times do not"
        )
    print(f"{time.monotonic() - began:.0f} s; details in out/bench/")
    return int(given.check and any(row.met is False for result in results for row in result.rows))


if __name__ == "__main__":
    sys.exit(main())
