"""`rollout model promote`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rollout.cli.model_look import Model
from rollout.cli.model_trust import PublicKey
from rollout.cli.options import DryRun, Json, Outputs, Stack, Yes

if TYPE_CHECKING:
    from rollout.models.promotion import Promotion


def promote(  # noqa: PLR0913 - a command's options
    model: Model,
    to: Annotated[str, typer.Option("--to", help="Stack that comes next, or a file of its outputs.", metavar="STACK")],
    stack: Stack = "",
    outputs: Outputs = "",
    public_key: PublicKey = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Move a version to the next stack (dev, staging, prod) through the ML registry that both use. Nothing is rebuilt.

    The target's gates judge its recorded metrics first, and its signature is verified. Code 7 when it is refused.
    Doing it twice changes nothing; after an interruption, do it again.
    """
    from rollout.azure.model_refs import parse_model
    from rollout.cli.model_look import open_models
    from rollout.cli.output import emit
    from rollout.cli.session import confirm, load_outputs, who_acts
    from rollout.clock import clock_from_environment
    from rollout.models.keys import trusted_keys
    from rollout.models.promotion import Way
    from rollout.models.promotion import promote as run

    models, source = open_models(stack, outputs)
    target = load_outputs("", to) if to.endswith(".json") else load_outputs(to, "")
    keys = trusted_keys(public_key, target.model_trust)
    way = Way(source, target, keys, who_acts(), clock_from_environment().now())
    ref = parse_model(model)
    if not dry_run:
        confirm(f"Promote {ref.short} from {source.stack} to {target.stack}?", yes=yes)
    done = run(models, ref.name, ref.version, way, dry_run=dry_run)
    emit(_document(done, dry_run)) if json else _tell(done, dry_run)


def _tell(done: Promotion, dry_run: bool) -> None:
    from rollout.cli.output import say

    for step in done.steps:
        say(f"{'would ' if dry_run else ''}{step}")
    signed = f"signed by {done.signed_by}" if done.signed_by else "not signed"
    state = "is there already" if done.already else "would be promoted" if dry_run else "promoted"
    say(f"{done.shared.short} {state}: {done.target}, hash {done.files_hash[:16]}, {signed}")
    say(f"next: rollout start ENDPOINT --stack {done.target} --model {done.shared.short} --from-registry")


def _document(done: Promotion, dry_run: bool) -> dict[str, object]:
    return {
        "model": str(done.source),
        "target": done.target,
        "shared": str(done.shared),
        "files_hash": done.files_hash,
        "signed_by": done.signed_by,
        "steps": list(done.steps),
        "already": done.already,
        "dry_run": dry_run,
    }
