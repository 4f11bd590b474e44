"""Microsoft's KQL parser: installed once into the user's cache, asked by the tests.

`python tools/kql_check.py` installs it (`make test` does) and prints where it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess  # nosec B404  # npm and node
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollout.ops.pulumi_cli import cache_folder

TOOL = Path(__file__).parent / "kql-check"


def install() -> Path:
    """The folder with the parser; made by `npm ci` from the lock file, whichever registry npm is set to."""
    mark = hashlib.sha256((TOOL / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = cache_folder().parent / f"kql-check-{mark}"
    if (folder / "node_modules").exists():
        return folder
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(TOOL / file, fresh)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=fresh, capture_output=True, text=True, timeout=300, check=False
        )  # nosec B603
    except FileNotFoundError:
        raise SystemExit("npm is missing; install Node.js 20 or newer") from None
    if done.returncode:
        raise SystemExit(f"npm ci in {fresh} ended with {done.returncode}:\n{done.stderr}")
    try:
        fresh.rename(folder)
    except OSError:  # another process was first
        shutil.rmtree(fresh)
    return folder


def check(tables: Mapping[str, Mapping[str, str]], queries: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The parser's findings for each query. `tables`: columns to Kusto's types, by table."""
    schemas = {
        name: "(" + ", ".join(f"{column}: {kind}" for column, kind in columns.items()) + ")"
        for name, columns in tables.items()
    }
    done = subprocess.run(  # nosec B603 B607
        ["node", str(TOOL / "check.mjs")],
        cwd=install(),
        input=json.dumps({"tables": schemas, "queries": queries}),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    sys.stdout.write(f"kql parser: {install()}\n")
