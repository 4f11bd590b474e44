"""Options that several commands share, spelled once."""

from __future__ import annotations

from typing import Annotated

import typer

Endpoint = Annotated[
    str, typer.Argument(help="Endpoint, by use case ('churn') or by its Azure name.", metavar="ENDPOINT")
]
Stack = Annotated[
    str,
    typer.Option("--stack", "-s", envvar="ROLLOUT_STACK", help="Pulumi stack whose outputs to use.", metavar="NAME"),
]
Outputs = Annotated[
    str,
    typer.Option(
        "--outputs", envvar="ROLLOUT_OUTPUTS", help="JSON file with the outputs, instead of --stack.", metavar="FILE"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; goes into the audit trail.", show_default=False)]
Payload = Annotated[
    str,
    typer.Option("--payload", help="JSON file with one scoring request; default: the model's example.", metavar="FILE"),
]
