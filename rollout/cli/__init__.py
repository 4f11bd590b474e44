"""The command line. One module a command group; SDKs are imported inside commands only."""

from __future__ import annotations


def main() -> None:
    """The console script `rollout`."""
    from rollout.cli.app import main as run_main

    run_main()
