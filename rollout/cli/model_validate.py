"""`rollout model validate|profile`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rollout.cli.model_look import FromRegistry, Model
from rollout.cli.options import Json, Outputs, Stack

if TYPE_CHECKING:
    from contract import StackOutputs
    from rollout.azure.model_refs import ModelRef
    from rollout.azure.models import AzureModels
    from rollout.models.validation import Candidate

Numbers = Annotated[str, typer.Option(help="Several, separated by commas.", metavar="N,N")]


def validate(  # noqa: PLR0913 - a command's options
    model: Model,
    stack: Stack = "",
    outputs: Outputs = "",
    from_registry: FromRegistry = False,
    against: Annotated[
        str,
        typer.Option("--against", help="Model whose clients may not break; default: what serves now.", metavar="MODEL"),
    ] = "",
    benchmark: Annotated[bool, typer.Option(help="Measure it on Azure's inference server, here.")] = True,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.", metavar="DIR")] = Path("out"),
    json: Json = False,
) -> None:
    """Whether the stack may take a version: metrics, signature, inputs, security, packages, card, speed and memory.

    One report with all findings (Markdown and HTML); code 7 when one of them is a failure. What can't be checked here
    is a warning, never a pass. Files with code in them are read, not run.
    """
    from rollout.cli.model_look import open_models, pick
    from rollout.cli.output import emit, say, show
    from rollout.errors import GateFailed
    from rollout.models import validation
    from rollout.models.findings import Verdict
    from rollout.models.keys import trusted_keys
    from rollout.reports.models import findings_table

    models, found = open_models(stack, outputs)
    ref = pick(models, model, from_registry)
    with tempfile.TemporaryDirectory(prefix="rollout-validate-") as folder:
        candidate = _candidate(models, ref, Path(folder, "candidate"))
        serving = _serving(models, found, ref, against, Path(folder, "serving"))
        keys = trusted_keys("", found.model_trust)
        judge = validation.Judge(found.stack, found.gates, found.model_trust, keys, serving)
        report = validation.validate(candidate, judge, benchmark=benchmark)
    files = validation.write(report, out / f"{ref.name}-{ref.version}-{found.stack}")
    if json:
        emit({**report.document(), "files": [str(each) for each in files]})
    else:
        show(findings_table(report))
        say(f"report {files[1]}")
    if report.verdict is Verdict.FAIL:
        failures = [each for each in report.findings if each.verdict is Verdict.FAIL]
        raise GateFailed(
            f"{ref.short} is not for {found.stack}: " + "; ".join(f"{each.check}: {each.said}" for each in failures),
            way_out=f"see {files[0]}",
        )


def profile(  # noqa: PLR0913 - a command's options
    model: Model,
    stack: Stack = "",
    outputs: Outputs = "",
    from_registry: FromRegistry = False,
    rows: Numbers = "1",
    concurrency: Numbers = "1,8",
    requests: Annotated[int, typer.Option(min=20, max=100_000, help="Requests of each load.")] = 200,
    json: Json = False,
) -> None:
    """Latency, throughput and memory of a version on Azure's inference server, started here with one worker."""
    from dataclasses import asdict

    from rollout.cli.model_look import open_models, pick
    from rollout.cli.output import emit, show
    from rollout.models.profiling import profile as run
    from rollout.reports.models import profile_table

    loads = [(many, each) for many in _numbers("--rows", rows) for each in _numbers("--concurrency", concurrency)]
    models, _ = open_models(stack, outputs)
    ref = pick(models, model, from_registry)
    with tempfile.TemporaryDirectory(prefix="rollout-profile-") as folder:
        measured = run(models.download(ref, Path(folder)), loads, requests)
    if json:
        for each in measured:
            emit({"model": str(ref), **asdict(each)})
    else:
        show(profile_table(str(ref), measured))


def _numbers(option: str, text: str) -> list[int]:
    from rollout.errors import BadInput

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and 1 <= int(part) <= 10_000 for part in parts):
        raise BadInput(f"{option} {text!r}: whole numbers from 1 to 10000 are allowed", way_out=f"{option} 1,8")
    return [int(part) for part in parts]


def _candidate(models: AzureModels, ref: ModelRef, folder: Path) -> Candidate:
    from rollout.models.validation import Candidate

    found = models.get(ref)
    return Candidate(ref.short, models.download(ref, folder), found.tags)


def _serving(
    models: AzureModels, outputs: StackOutputs, ref: ModelRef, against: str, folder: Path
) -> Candidate | None:  # fmt: skip
    """`against`, else what has most of the traffic where a model of this name serves."""
    from rollout.azure.model_refs import parse_model
    from rollout.cli.model_look import most_traffic

    wanted = against or most_traffic(outputs, ref.name)
    return _candidate(models, parse_model(wanted), folder) if wanted else None
