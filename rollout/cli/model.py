"""`rollout model ...`: registered models. The commands are in files by concern; this one joins them."""

from __future__ import annotations

import typer

from rollout.cli import model_look, model_promote, model_trust, model_validate
from rollout.cli.model_optimize import optimize

app = typer.Typer(
    name="model",
    help="Registered models: list, compare, validate, sign, verify, promote, optimize.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(model_look.list_models)
app.command()(model_look.show)
app.command()(model_look.compare)
app.command()(model_look.card)
app.command()(model_trust.sign)
app.command()(model_trust.verify)
app.command()(model_validate.validate)
app.command()(model_validate.profile)
app.command()(model_promote.promote)
app.command("optimize")(optimize)
