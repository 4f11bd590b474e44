"""`rollout batch ...`: models on batch endpoints. `score` and `result` are in `batch_score`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rollout.cli.batch_score import result, score
from rollout.cli.options import DryRun, Json, Outputs, Stack

if TYPE_CHECKING:
    from rollout.azure.batch import BatchSpec
    from rollout.cli.batch_session import BatchSession

app = typer.Typer(
    name="batch",
    help="Score files on batch endpoints: deploy, score, result, list, show.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(score)
app.command()(result)

Endpoint = Annotated[
    str, typer.Argument(help="Batch endpoint, by use case ('churn') or by its Azure name.", metavar="ENDPOINT")
]


@app.command()
def deploy(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    model: Annotated[str, typer.Option("--model", "-m", help="NAME:VERSION of a registered model.")] = "",
    code: Annotated[
        Path | None,
        typer.Option("--code", help="Folder with batch_score.py and conda.yaml; default: made for the MLflow model."),
    ] = None,
    no_code: Annotated[
        bool, typer.Option("--no-code", help="Azure's own script for MLflow models: one bad row fails its mini batch.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Make the deployment before the default one the default.")
    ] = False,
    stack: Stack = "",
    outputs: Outputs = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Deploy a model to a batch endpoint and make it the default; the earlier deployment stays for --undo."""
    from rollout.cli.batch_session import open_batch
    from rollout.cli.output import emit, say
    from rollout.errors import BadInput

    if undo == bool(model):
        raise BadInput("name a model, or say --undo, not both", way_out="for example --model churn:3")
    if code and no_code:
        raise BadInput("--code and --no-code are both given", way_out="give one of them")
    session = open_batch(endpoint, stack, outputs)
    if undo:
        if not dry_run:
            now, before = session.batch.undo()
        else:
            before = session.batch.default().name
            now = session.batch.default().previous
    else:
        with _spec(session, model, code, no_code=no_code) as spec:
            if dry_run:
                now, before = spec.name(session.batch.mark(spec)), session.default_name()
            else:
                now, before = session.batch.deploy(spec)
    document = {"endpoint": session.endpoint.name, "default": now, "before": before, "dry_run": dry_run}
    if json:
        emit(document)
    else:
        verb = "would be" if dry_run else "is"
        say(f"{now} {verb} the default of {session.endpoint.name}" + (f"; before it: {before}" if before else ""))


@contextmanager
def _spec(session: BatchSession, model: str, code: Path | None, *, no_code: bool) -> Iterator[BatchSpec]:
    from rollout.azure.batch import BatchSpec, check_batch_code
    from rollout.errors import BadInput
    from training.batch.package import write_code

    with tempfile.TemporaryDirectory(prefix="rollout-batch-") as scratch:
        if code is not None:
            check_batch_code(code)
            yield BatchSpec(model, code)
            return
        files = session.batch.model(model, Path(scratch) / "model")
        if no_code:
            yield BatchSpec(model, None)
            return
        try:
            made = write_code(files, Path(scratch) / "code")
        except ValueError as error:
            raise BadInput(
                f"model {model!r}: {error}", way_out="give --code FOLDER with batch_score.py and conda.yaml"
            ) from error
        yield BatchSpec(model, made)


@app.command("list")
def list_endpoints(stack: Stack = "", outputs: Outputs = "", json: Json = False) -> None:
    """The stack's batch endpoints, and the model that each scores with."""
    from rollout.cli.batch_session import open_batch
    from rollout.cli.output import emit, say, show
    from rollout.cli.session import load_outputs
    from rollout.reports.tables import table

    found = load_outputs(stack, outputs)
    made = table("use case", "endpoint", "default", "model", "cluster", ">nodes")
    for name, endpoint in sorted(found.batch_endpoints.items()):
        live = open_batch(name, stack, outputs).batch.live()
        default = next((each for each in live if each.default), None)
        shown = (default.name, default.model) if default else ("", "")
        if json:
            emit({"use_case": name, "endpoint": endpoint.name, "default": shown[0], "model": shown[1]})
        made.add_row(name, endpoint.name, *shown, endpoint.deployment.cluster, str(endpoint.deployment.instances))
    if not json:
        show(made) if found.batch_endpoints else say("this stack has no batch endpoints (batchEndpoints in its file)")


@app.command()
def show(endpoint: Endpoint, stack: Stack = "", outputs: Outputs = "", json: Json = False) -> None:
    """One endpoint: its deployments, its last jobs, and what a thousand predictions cost here and online."""
    from rollout.cli import batch_report
    from rollout.cli.batch_session import open_batch
    from rollout.cli.output import emit
    from rollout.cli.output import show as print_table

    session = open_batch(endpoint, stack, outputs)
    found = batch_report.look(session)
    if json:
        emit(found.document())
    else:
        print_table(found.render())
