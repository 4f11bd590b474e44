"""`model ...`: what is done with models before they are deployed."""

from __future__ import annotations

import typer

from rollout.cli.model_optimize import optimize

app = typer.Typer(
    name="model",
    help="What is done with models before they are deployed: optimize.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("optimize")(optimize)
app.callback()(lambda: None)
