"""`python -m sandbox.gateway --home DIR`: the gateway in the foreground."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

import uvloop

from rollout.errors import RolloutError
from sandbox.gateway.server import serve


def main() -> int:
    """Exit code as in `rollout.errors`."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.gateway", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the sandbox's folder")
    home = parser.parse_args().home.resolve()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.umask(0o077)
    try:
        uvloop.run(serve(home))
    except RolloutError as error:
        print(f"{error.message}\n{error.way_out}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
