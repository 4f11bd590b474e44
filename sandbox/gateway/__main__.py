"""`python -m sandbox.gateway --home DIR`: the gateway in the foreground."""

from __future__ import annotations

import sys

import uvloop

from sandbox.gateway.server import serve
from sandbox.kernel.foreground import run_in_foreground

if __name__ == "__main__":
    sys.exit(run_in_foreground(serve, uvloop.run, module="sandbox.gateway", about=__doc__))
