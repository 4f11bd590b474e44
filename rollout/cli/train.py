"""`train`."""

from __future__ import annotations

import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollout.cli.options import DryRun, Json, Outputs, Stack

if TYPE_CHECKING:
    from contract import StackOutputs
    from contract.outputs import Cluster
    from training.job import TrainingRequest


class Kind(StrEnum):
    XGBOOST = "xgboost"
    LOGISTIC = "logistic"


class Unknown(StrEnum):
    IGNORE = "ignore"
    ERROR = "error"


def train(  # noqa: PLR0913 - a command's options
    use_case: Annotated[str, typer.Argument(help="Name in training/usecases/, or a YAML file.", metavar="USE_CASE")],
    data: Annotated[Path, typer.Option("--data", "-d", help="CSV or Parquet file to learn from.", show_default=False)],
    stack: Stack = "",
    outputs: Outputs = "",
    kind: Annotated[Kind, typer.Option("--kind", help="Estimator.")] = Kind.XGBOOST,
    params: Annotated[
        str, typer.Option("--params", help="Hyperparameters as JSON, over the defaults.", metavar="JSON")
    ] = "{}",
    unknown_categories: Annotated[
        Unknown, typer.Option("--unknown-categories", help="What scoring does with a category never seen.")
    ] = Unknown.IGNORE,
    cluster: Annotated[str, typer.Option("--cluster", help="Cluster in the outputs; default: the first.")] = "",
    name: Annotated[str, typer.Option("--name", help="Register as; default: the use case's name.")] = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train, gate and register a model, as an Azure ML job on the stack's cluster.

    A model under any gate of the stack is refused with every shortfall named (code 7), and nothing is registered.
    """
    from rollout.cli.output import emit, say
    from rollout.cli.session import load_outputs
    from training.job import TrainingRequest, command_line
    from training.usecase import load_use_case

    _check_file(data)
    case = _bad_input(load_use_case, use_case)
    found = load_outputs(stack, outputs)
    request = TrainingRequest(
        data=data.resolve(),
        use_case=use_case,
        cluster=_cluster(found, cluster).name,
        gates=found.gates,
        register_as=name or case.name,
        kind=kind.value,
        params=_bad_input(_parse_params, params),
        unknown_categories=unknown_categories.value,
        tags={"stack": found.stack},
    )
    if dry_run:
        emit({"cluster": request.cluster, "command": command_line(request)}) if json else say(command_line(request))
        return
    _submit(found, request, json=json)


def _submit(outputs: StackOutputs, request: TrainingRequest, *, json: bool) -> None:
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.errors import azure_errors
    from rollout.cli.output import emit, say
    from training.job import train as run

    def tell(job: str, status: str) -> None:
        emit({"job": job, "status": status}) if json else say(f"job {job}: {status}")

    with azure_errors(f"training {request.use_case}"):
        result = run(cloud_from_environment().ml_client(outputs), request, tell)
    if json:
        emit(result.model_dump())
        return
    say("  ".join(f"{metric} {value:.3f}" for metric, value in result.metrics.items()))
    say(f"registered {result.model}")


def _cluster(outputs: StackOutputs, wanted: str) -> Cluster:
    from rollout.errors import NotFound

    if not outputs.clusters or (wanted and wanted not in outputs.clusters):
        known = ", ".join(sorted(outputs.clusters)) or "none"
        raise NotFound(
            f"stack {outputs.stack!r} has no cluster {wanted!r}".replace(" ''", ""), way_out=f"it has: {known}"
        )
    return outputs.clusters[wanted or min(outputs.clusters)]


def _check_file(data: Path) -> None:
    from rollout.errors import BadInput

    if not data.is_file():
        raise BadInput(f"--data {data}: no such file")


def _parse_params(text: str) -> dict[str, Any]:
    value = json_module.loads(text)
    if not isinstance(value, dict):
        raise ValueError("it must be a JSON object")
    return value


def _bad_input(parse: Any, text: str) -> Any:
    """What the parser gives; its ValueError as an error of the command line."""
    from rollout.errors import BadInput

    try:
        return parse(text)
    except ValueError as error:
        raise BadInput(f"{text}: {error}") from error
