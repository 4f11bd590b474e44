"""`rollback`, `abort`, `approve`, `resume`: a person's word."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from rollout.cli.options import DryRun, Endpoint, Json, Outputs, Reason, Stack

if TYPE_CHECKING:
    from rollout.cli.session import Session
    from rollout.controller.views import RolloutView

#: How long going back is waited for, and how often it is looked at; real seconds.
BACK_SECONDS, BACK_EVERY = 300.0, 2.0
_PASSING = ("endpoint-busy", "provider-error")

Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Also when blue looks no better than green; without blue: end the rollout, traffic stays."
    ),
]
Actor = Annotated[
    str, typer.Option("--as", envvar="ROLLOUT_ACTOR", help="Who says so; default: you, as this machine knows you.")
]


def rollback(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    reason: Reason,
    stack: Stack = "",
    outputs: Outputs = "",
    force: Force = False,
    actor: Actor = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Send all traffic back to blue, now: during a rollout, or after one while blue is kept."""
    from rollout.cli.session import open_session

    _send_back(open_session(endpoint, stack, outputs, actor=actor), reason, force=force, dry_run=dry_run, json=json)


def abort(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    reason: Reason,
    stack: Stack = "",
    outputs: Outputs = "",
    force: Force = False,
    actor: Actor = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Stop the rollout that is under way and send its traffic back; leaves finished ones alone."""
    from rollout.cli.session import open_session
    from rollout.errors import BadInput

    session = open_session(endpoint, stack, outputs, actor=actor)
    view = session.controller.status()
    if not view.active:
        raise BadInput(
            f"rollout {view.id} is over ({view.phase.value}): there is nothing to abort",
            way_out="`rollout rollback` also takes a promoted model back",
        )
    _send_back(session, reason, force=force, dry_run=dry_run, json=json)


def approve(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    stack: Stack = "",
    outputs: Outputs = "",
    note: Annotated[str, typer.Option("--note", help="Goes into the audit trail.")] = "",
    actor: Actor = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Let a rollout that waits for people go on. Who started it can't approve it."""
    from rollout.cli.session import open_session

    session = open_session(endpoint, stack, outputs, actor=actor)
    view = session.controller.status()
    if dry_run:
        _report(view, f"would approve {view.model} as {session.actor}", json=json)
        return
    view = session.controller.approve(session.actor, note)
    _report(view, f"approved by {session.actor}; {view.approvals_missing} approval(s) missing", json=json)


def resume(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    reason: Reason,
    stack: Stack = "",
    outputs: Outputs = "",
    actor: Actor = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Let a rollout that is held or paged go on, with the evidence counted anew."""
    from rollout.cli.session import open_session

    session = open_session(endpoint, stack, outputs, actor=actor)
    view = session.controller.status()
    if dry_run:
        _report(view, f"would let {view.model} go on from: {view.title}", json=json)
        return
    _report(session.controller.resume(reason), "goes on with the next tick: rollout watch", json=json)


def _send_back(session: Session, reason: str, *, force: bool, dry_run: bool, json: bool) -> None:
    from rollout.controller.state import Phase
    from rollout.controller.views import error_for
    from rollout.errors import BadInput

    if not reason.strip():
        raise BadInput("--reason is empty", way_out="say why, for who reads the audit trail")
    if dry_run:
        view = session.controller.status()
        _report(
            view, f"would send all traffic of {view.endpoint} to {view.blue or 'nothing: there is no blue'}", json=json
        )
        return
    result = session.controller.abort(reason, force=force)
    view = _until_back(session, session.controller.status())
    # Going back is what was asked for: no error here.
    error = None if view.phase is Phase.ROLLED_BACK else error_for(view)
    _report(view, "; ".join(result.effects) or view.reason or result.reason, json=json)
    if error is not None:
        raise error


def _until_back(session: Session, view: RolloutView) -> RolloutView:
    """The order is journaled; an update of the endpoint that is in its way, or a service that is away, is waited for.

    When patience ends the rollout is as it stands: any later tick goes on with the order.
    """
    from rollout.controller.state import Condition
    from rollout.errors import Busy, Unavailable

    end = time.monotonic() + BACK_SECONDS
    while view.active and view.condition is Condition.HELD and view.code in _PASSING and time.monotonic() < end:
        time.sleep(BACK_EVERY)
        # Busy: another controller ticks and finds the order; Unavailable: the next one may get an answer.
        with suppress(Busy, Unavailable):
            session.controller.tick()
        with suppress(Unavailable):
            view = session.controller.status()
    return view


def _report(view: RolloutView, text: str, *, json: bool) -> None:
    from rollout.cli.output import emit, say
    from rollout.reports.documents import view_document

    if json:
        emit({"message": text, "rollout": view_document(view)})
    else:
        say(f"{view.endpoint}: {view.title}: {text}")
