"""A server in the foreground: `python -m MODULE --home DIR`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from rollout.errors import RolloutError

Serve = Callable[[Path], Coroutine[Any, Any, None]]
Run = Callable[[Coroutine[Any, Any, None]], None]


def run_in_foreground(serve: Serve, run: Run, *, module: str, about: str | None) -> int:
    """Exit code as in `rollout.errors`. `run`: what runs a coroutine to its end."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("--home", type=Path, required=True, help="the sandbox's folder")
    home = parser.parse_args().home.resolve()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.umask(0o077)
    try:
        run(serve(home))
    except RolloutError as error:
        print(f"{error.message}\n{error.way_out}", file=sys.stderr)
        return error.exit_code
    return 0
