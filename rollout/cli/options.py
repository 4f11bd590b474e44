"""Options that several commands share, spelled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer


def _yields_to(other: str) -> Callable[[typer.Context, typer.CallbackParam, str], str]:
    """Empty when the value is the environment's and the option `other` was spelled out. What is spelled out comes first."""

    def callback(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
        own, others = ctx.get_parameter_source(param.name or ""), ctx.get_parameter_source(other)
        from_environment = own is not None and own.name == "ENVIRONMENT"
        spelled_out = others is not None and others.name == "COMMANDLINE" and bool(ctx.params.get(other))
        return "" if from_environment and spelled_out else value

    return callback


Endpoint = Annotated[
    str, typer.Argument(help="Endpoint, by use case ('churn') or by its Azure name.", metavar="ENDPOINT")
]
Stack = Annotated[
    str,
    typer.Option(
        "--stack", "-s", envvar="ROLLOUT_STACK", help="Pulumi stack whose outputs to use.", metavar="NAME",
        callback=_yields_to("outputs"),
    ),
]  # fmt: skip
Outputs = Annotated[
    str,
    typer.Option(
        "--outputs", envvar="ROLLOUT_OUTPUTS", help="JSON file with the outputs, instead of --stack.", metavar="FILE",
        callback=_yields_to("stack"),
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for machines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; goes into the audit trail.", show_default=False)]
Payload = Annotated[
    str,
    typer.Option("--payload", help="JSON file with one scoring request; default: the model's example.", metavar="FILE"),
]
