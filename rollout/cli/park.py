"""`park` and `unpark`: what an endpoint costs while nobody asks it, taken away and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollout.cli.options import DryRun, Json, Outputs, Stack

if TYPE_CHECKING:
    from rollout.cli.session import Session
    from rollout.controller.parking import ParkResult

Name = Annotated[
    str, typer.Argument(help="Endpoint, by use case ('churn') or by its Azure name.", metavar="[ENDPOINT]")
]
All = Annotated[bool, typer.Option("--all", help="Every endpoint of the stack.")]
Why = Annotated[str, typer.Option("--reason", "-r", help="Goes into the audit trail.")]
Prod = Annotated[bool, typer.Option("--prod", help="Needed in prod: callers get 404 while it is parked.")]
Idle = Annotated[
    int,
    typer.Option("--idle-minutes", min=0, help="Only where nobody asked for so long; what can't be known stays.", metavar="MINUTES"),
]  # fmt: skip


def park(  # noqa: PLR0913 - a command's options
    endpoint: Name = "",
    stack: Stack = "",
    outputs: Outputs = "",
    everything: All = False,
    idle_minutes: Idle = 0,
    reason: Why = "off hours",
    prod: Prod = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Delete an endpoint's deployments for a while: it costs nothing then, and its callers get 404."""
    from rollout.controller.idle import why_not_idle
    from rollout.errors import BadInput

    sessions = _sessions(endpoint, everything, stack, outputs)
    if sessions[0].outputs.environment == "prod" and not prod:
        raise BadInput("this is a prod stack: its callers would get 404", way_out="say --prod if that is what you want")

    def one(session: Session) -> dict[str, Any]:
        if idle_minutes and (asked := why_not_idle(session.azure.world(), idle_minutes)):
            return {"endpoint": session.endpoint.name, "stage": "Live", "reason": asked, "effects": []}
        if dry_run:
            return _document(session.controller.examine_park(reason), done=False)
        return _document(session.controller.park(reason))

    _each(sessions, one, json=json)


def unpark(  # noqa: PLR0913 - a command's options
    endpoint: Name = "",
    stack: Stack = "",
    outputs: Outputs = "",
    everything: All = False,
    reason: Why = "working hours",
    payload: Annotated[
        str, typer.Option("--payload", help="JSON file with one scoring request for the test.", metavar="FILE")
    ] = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make parked deployments again, test them, and give them their traffic."""

    def one(session: Session) -> dict[str, Any]:
        if dry_run:
            return _document(session.controller.examine_unpark(reason), done=False)
        return _document(session.controller.unpark(reason, session.endpoint.policy.smoke))

    _each(_sessions(endpoint, everything, stack, outputs, payload), one, json=json)


def _sessions(endpoint: str, everything: bool, stack: str, outputs: str, payload: str = "") -> list[Session]:
    from rollout.cli.session import load_outputs, open_session
    from rollout.errors import BadInput

    if bool(endpoint) == everything:
        raise BadInput("name one endpoint, or say --all", way_out="rollout park churn, or rollout park --all")
    names = sorted(load_outputs(stack, outputs).endpoints) if everything else [endpoint]
    return [open_session(name, stack, outputs, payload=payload) for name in names]


def _document(result: ParkResult, *, done: bool = True) -> dict[str, Any]:
    return {
        "endpoint": result.endpoint,
        "stage": result.parking.stage.value if result.parking else "Live",
        "reason": result.reason,
        "effects" if done else "would": list(result.effects),
    }


def _each(sessions: list[Session], one: Any, *, json: bool) -> None:
    """One that fails leaves the others their turn; the first error is what the command ends with."""
    from rollout.cli.output import emit, say
    from rollout.errors import RolloutError

    failed: list[RolloutError] = []
    for session in sessions:
        try:
            document = one(session)
        except RolloutError as error:
            failed.append(error)
            document = {"endpoint": session.endpoint.name, "error": error.message}
        if json:
            emit(document)
        elif "error" not in document or len(sessions) > 1:
            say(_line(document))
    if failed:
        raise failed[0]


def _line(document: dict[str, Any]) -> str:
    if "error" in document:
        return f"{document['endpoint']}: failed: {document['error'].partition(chr(10))[0]}"
    would = document.get("would")
    done = would if would is not None else document["effects"]
    said = "; ".join(done) or document["reason"]
    return f"{document['endpoint']}: {'would ' if would else ''}{said} ({document['stage']})"
