"""`watch` and `tick`."""

from __future__ import annotations

from typing import Annotated

import typer

from rollout.cli.options import DryRun, Endpoint, Json, Outputs, Payload, Stack


def watch(
    endpoint: Endpoint,
    stack: Stack = "",
    outputs: Outputs = "",
    payload: Payload = "",
    stop_on_hold: Annotated[
        bool, typer.Option("--stop-on-hold", help="End with code 4 when it waits for a person, as a CI job should.")
    ] = False,
    json: Json = False,
) -> None:
    """Drive the rollout to its end, showing it live. Safe to stop and to run again, here or elsewhere."""
    from rollout.cli.driving import drive
    from rollout.cli.session import open_session

    drive(open_session(endpoint, stack, outputs, payload=payload), json=json, stop_on_hold=stop_on_hold)


def tick(
    endpoint: Endpoint,
    stack: Stack = "",
    outputs: Outputs = "",
    payload: Payload = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Do what is due now, and say what is next; the exit code tells how it stands. For CI jobs and timers."""
    from rollout.cli.driving import decide_only, tick_once
    from rollout.cli.session import open_session

    session = open_session(endpoint, stack, outputs, payload=payload)
    if dry_run:
        decide_only(session, json=json)
    else:
        tick_once(session, json=json)
