"""`status`, `history`, `audit`, `cost`: reads only."""

from __future__ import annotations

from typing import Annotated

import typer

from rollout.cli.options import Endpoint, Json, Outputs, Stack


def status(
    endpoint: Endpoint,
    stack: Stack = "",
    outputs: Outputs = "",
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with the code that the rollout's state means.")
    ] = False,
    json: Json = False,
) -> None:
    """Where traffic goes, and where the rollout stands."""
    from rollout.cli.output import emit, show
    from rollout.cli.session import open_session
    from rollout.cli.snapshot import take_snapshot
    from rollout.controller.views import error_for

    session = open_session(endpoint, stack, outputs)
    snapshot = take_snapshot(session)
    if json:
        emit(snapshot.document())
    else:
        show(snapshot.render())
    error = error_for(snapshot.view) if exit_code and snapshot.view else None
    if error is not None:
        raise error


def history(
    endpoint: Endpoint,
    stack: Stack = "",
    outputs: Outputs = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 20,
    json: Json = False,
) -> None:
    """Past rollouts of an endpoint."""
    from rollout.cli.output import emit, say, show
    from rollout.cli.session import open_session
    from rollout.reports.documents import view_document
    from rollout.reports.history import history_rows
    from rollout.reports.tables import history_table

    session = open_session(endpoint, stack, outputs)
    rollouts = session.controller.history()[-limit:]
    if json:
        for view in reversed(rollouts):
            emit(view_document(view))
    elif rollouts:
        show(history_table(session.endpoint.name, history_rows(rollouts, session.clock.now())))
    else:
        say(f"no rollout was ever started on {session.endpoint.name}")


def audit(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    stack: Stack = "",
    outputs: Outputs = "",
    rollout: Annotated[str, typer.Option("--rollout", help="Only the lines of this rollout.", metavar="ID")] = "",
    expected_head: Annotated[
        str, typer.Option("--expected-head", help="A hash kept elsewhere; finds lines cut off the end.", metavar="HASH")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Bookkeeping lines too.")] = False,
    json: Json = False,
) -> None:
    """Every journaled step, with its evidence; checks the hash chain."""
    from dataclasses import asdict

    from rollout.cli.output import emit, say, show
    from rollout.cli.session import open_session
    from rollout.reports.audit import audit_rows, audit_summary
    from rollout.reports.documents import record_document
    from rollout.reports.tables import audit_table

    session = open_session(endpoint, stack, outputs)
    report = session.controller.audit(expected_head)
    records = session.controller.records()
    if json:
        for record in records:
            if rollout in ("", record.rollout):
                emit(record_document(record))
        emit({"report": asdict(report)})
    else:
        show(audit_table(audit_rows(records, rollout=rollout, everything=everything)))
        say(audit_summary(report))
    report.raise_if_broken()


def cost(stack: Stack = "", outputs: Outputs = "", json: Json = False) -> None:
    """What the stack costs a month, and on which assumptions."""
    from rollout.cli.output import emit, show
    from rollout.cli.session import load_outputs
    from rollout.reports.tables import cost_table

    found = load_outputs(stack, outputs)
    if json:
        emit({"stack": found.stack, **found.cost.model_dump(mode="json")})
    else:
        show(cost_table(found))
