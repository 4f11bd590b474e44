"""`rollout batch score` and `result`: a table up, its predictions down, joined row by row."""

from __future__ import annotations

import tempfile
import time
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rollout.cli.options import DryRun, Json, Outputs, Stack

if TYPE_CHECKING:
    from rollout.batch.tables import Table
    from rollout.batch.upload import Sent
    from rollout.cli.batch_session import BatchSession

ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
POLL_SECONDS = 1.0
#: Names that predictions get; a table that has them already is refused.
_RESERVED = ("prediction", "error", "probability_")

Endpoint = Annotated[
    str, typer.Argument(help="Batch endpoint, by use case ('churn') or by its Azure name.", metavar="ENDPOINT")
]
Data = Annotated[Path, typer.Option("--data", "-d", help="Parquet or CSV file of rows.", show_default=False)]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", show_default=False,
        help="Parquet or CSV file for rows and predictions; refused rows go to NAME.rejects.csv beside it.",
    ),
]  # fmt: skip


def score(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    data: Data,
    output: Output,
    rows_per_file: Annotated[
        int, typer.Option("--rows-per-file", min=1, help="Rows of one uploaded file; a mini batch has several.")
    ] = 10_000,
    stack: Stack = "",
    outputs: Outputs = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Score a Parquet or CSV file on a batch endpoint. The job goes on when this command is interrupted: see `result`."""
    from rollout.batch.tables import Table, check_columns, check_suffix
    from rollout.batch.upload import Sent
    from rollout.cli.batch_session import open_batch
    from rollout.cli.output import emit, say

    table = Table(data)
    check_suffix(output, "--output")
    session = open_batch(endpoint, stack, outputs)
    deployment = session.batch.default()
    taken = [name for name in table.columns if name.startswith(_RESERVED[2]) or name in _RESERVED]
    check_columns(table, session.model_columns(deployment.model), taken)
    if dry_run:
        _show_estimate(session, table.rows, rows_per_file, json=json)
        return
    job = _send(session, table, Sent(table.rows, rows_per_file, table.fingerprint))
    if json:
        emit({"job": job, "endpoint": session.endpoint.name, "deployment": deployment.name})
    else:
        say(f"job {job}: {table.rows:,} rows to {deployment.name} ({deployment.model})")
        say(f"interrupted? rollout batch result {session.name} {job} --data {data} --output {output}")
    _finish(session, job, table, output, json=json)


def result(  # noqa: PLR0913 - a command's options
    endpoint: Endpoint,
    job: Annotated[str, typer.Argument(help="The job that `score` named.", metavar="JOB")],
    data: Data,
    output: Output,
    stack: Stack = "",
    outputs: Outputs = "",
    json: Json = False,
) -> None:
    """Wait for a job of `score` and fetch its predictions, from any machine that has the table."""
    from rollout.batch.tables import Table, check_suffix
    from rollout.cli.batch_session import open_batch

    table = Table(data)
    check_suffix(output, "--output")
    _finish(open_batch(endpoint, stack, outputs), job, table, output, json=json)


def _send(session: BatchSession, table: Table, sent: Sent) -> str:
    with tempfile.TemporaryDirectory(prefix="rollout-batch-") as scratch:
        folder = Path(scratch) / sent.folder
        folder.mkdir()
        table.split(folder, sent.rows_per_file)
        return session.batch.invoke(folder)


def _show_estimate(session: BatchSession, rows: int, rows_per_file: int, *, json: bool) -> None:
    from rollout.batch.cost import estimate
    from rollout.cli.output import emit, say

    made = session.endpoint.deployment
    files = ceil(rows / rows_per_file)
    batches = ceil(files / made.mini_batch_size)
    found = estimate(rows, made.instances, session.usd_per_hour, session.last_measured())
    if json:
        emit(
            {"rows": rows, "files": files, "mini_batches": batches, "nodes": made.instances, "minutes": found.seconds / 60,
             "usd": found.usd, "usd_per_thousand": found.usd_per_thousand, "basis": found.basis}
        )  # fmt: skip
        return
    say(f"{rows:,} rows in {files} file(s), {batches} mini batch(es) on {made.instances} node(s) of {made.cluster}")
    say(f"about {found.seconds / 60:.1f} min and {found.usd:.4f} USD ({found.basis})")


def _finish(session: BatchSession, job: str, table: Table, output: Path, *, json: bool) -> None:
    from rollout.batch.results import join
    from rollout.batch.upload import Sent
    from rollout.cli.batch_report import Costs
    from rollout.cli.output import emit, say
    from rollout.errors import BadInput, NotFound, RolloutError

    status, address = session.batch.status(job)
    sent = Sent.read(address)
    if sent is None or sent.fingerprint != table.fingerprint:
        raise BadInput(
            f"job {job!r} did not score {table.path}",
            way_out="name the very file that was sent; predictions are joined to its rows by their order",
        )
    status = _follow(session, job, status, json=json)
    if status != "Completed":
        errors = [run.error for run in session.runs.steps(job) if run.error]
        said = f": {errors[0]}" if errors else ""
        raise RolloutError(f"job {job} ended {status}{said}", way_out=f"read its log: az ml job stream --name {job}")
    with tempfile.TemporaryDirectory(prefix="rollout-batch-") as scratch:
        try:
            predictions = session.batch.download(job, Path(scratch) / "score")
        except NotFound as error:
            why = "; ".join(session.failures(job)[:3])
            raise RolloutError(f"{error.message}: {why}" if why else error.message, way_out=error.way_out) from error
        outcome = join(table, predictions, output, Path(scratch), sent.rows_per_file)
    costs = Costs.of(session, session.measured(job))
    if json:
        emit({"job": job, "status": status, "rows": outcome.rows, "scored": outcome.scored,
              "rejected": outcome.rejected, "output": str(outcome.output),
              "rejects": str(outcome.rejects) if outcome.rejects else None, **costs.document()})  # fmt: skip
        return
    say(f"{outcome.scored:,} of {outcome.rows:,} rows are scored: {outcome.output}")
    if outcome.rejects:
        say(f"{outcome.rejected:,} rows are refused, and why: {outcome.rejects}")
    for line in costs.lines():
        say(line)


def _follow(session: BatchSession, job: str, status: str, *, json: bool) -> str:
    """Until the job is over; each change is told."""
    from rollout.cli.output import emit, say

    last = ""
    while True:
        progress = session.progress(job)
        line = f"{status}  {progress}".rstrip()
        if line != last:
            last = line
            emit({"job": job, "status": status, "progress": progress}) if json else say(f"job {job}: {line}")
        if status in ENDED:
            return status
        time.sleep(POLL_SECONDS)
        status, _ = session.batch.status(job)
