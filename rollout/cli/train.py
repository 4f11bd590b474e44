"""`train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollout.cli.options import DryRun, Json, Outputs, Stack

if TYPE_CHECKING:
    from contract import StackOutputs
    from contract.outputs import Cluster
    from training.following import JobFiles, Step
    from training.job import TrainingRequest
    from training.usecase import UseCase

NO_BASELINE = "none"
#: What is told of a model when it is registered; the name follows the other events of the topic.
REGISTERED = "Rollouts.ModelRegistered"


def train(  # noqa: PLR0913 - a command's options
    use_case: Annotated[str, typer.Argument(help="Name in training/usecases/, or a YAML file.", metavar="USE_CASE")],
    data: Annotated[
        str,
        typer.Option("--data", "-d", help="CSV or Parquet file; default: the use case's own table.", metavar="FILE"),
    ] = "",
    stack: Stack = "",
    outputs: Outputs = "",
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting instead of the use case's, e.g. search.trials=3.", metavar="SETTING=VALUE"
        ),
    ] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Search with trials side by side on the cluster.")] = False,
    cluster: Annotated[str, typer.Option("--cluster", help="Cluster in the outputs; default: the first.")] = "",
    name: Annotated[str, typer.Option("--name", help="Register as; default: the use case's name.")] = "",
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline", help="Model to compare with; default: what serves now.", metavar="NAME:VERSION|none"
        ),
    ] = "",
    save: Annotated[
        str, typer.Option("--save", help="Keep the model card and the deployment's files here.", metavar="DIR")
    ] = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Train, judge and register a model, as a pipeline on the stack's cluster.

    Six steps: validate, features, train, evaluate, register, prepare. A model that misses a gate of the stack is refused with every shortfall and what to try (code 7), a table that no model
    should learn from with every finding (code 2). Nothing is registered then.
    """
    from rollout.cli.output import emit, say
    from rollout.cli.session import load_outputs
    from training.job import specification, workshop
    from training.usecase import write_use_case

    case = _use_case(use_case, changes or [])
    found = load_outputs(stack, outputs)
    with workshop() as folder:
        file = folder / f"{case.name}.yaml"
        write_use_case(case, file)
        request = _request(case, file, _table(case, data, folder), found, sweep=sweep, cluster=cluster, name=name)
        request = _against(request, found, baseline)
        if dry_run:
            document = specification(request)
            emit(document) if json else say(_yaml(document))
            return
        _run(found, request, Path(save) if save else None, json=json)


def _use_case(wanted: str, changes: list[str]) -> UseCase:
    from rollout.errors import BadInput
    from training.usecase import UseCaseError, load_use_case

    try:
        return load_use_case(wanted, changes)
    except UseCaseError as error:
        raise BadInput(str(error)) from error


def _table(case: UseCase, data: str, folder: Path) -> Path:
    from rollout.errors import BadInput
    from training.sources import table_of
    from training.tables import DataError

    try:
        return table_of(case, data, folder / "table").resolve()
    except DataError as error:
        raise BadInput(str(error)) from error


def _request(  # noqa: PLR0913 - the command's
    case: UseCase, file: Path, data: Path, outputs: StackOutputs, *, sweep: bool, cluster: str, name: str
) -> TrainingRequest:
    from rollout.cli.session import who_acts
    from rollout.ops.git import commit
    from training.job import TrainingRequest
    from training.target import Target

    tags = {"use_case": case.name, "trained_by": who_acts(), "git_commit": commit()}
    return TrainingRequest(
        data=data,
        use_case=file.resolve(),
        cluster=_cluster(outputs, cluster).name,
        target=Target.of(outputs, case.name),
        register_as=_model_name(name or case.name),
        sweep=sweep,
        tags={key: value for key, value in tags.items() if value},
    )


def _model_name(name: str) -> str:
    from rollout.azure.specs import check_model_name

    return check_model_name(f"{name}:1")[0]


def _against(request: TrainingRequest, outputs: StackOutputs, wanted: str) -> TrainingRequest:
    """The request with its baseline: the one that is named, else the model that most of the traffic goes to."""
    from dataclasses import replace

    from rollout.azure.specs import check_model_name

    if wanted == NO_BASELINE:
        return request
    if wanted:
        check_model_name(wanted)
    return replace(request, baseline=wanted or _serving(request, outputs))


def _serving(request: TrainingRequest, outputs: StackOutputs) -> str:
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.world import AzureWorld
    from rollout.clock import clock_from_environment

    endpoint = request.target.endpoint
    if endpoint is None:
        return ""
    live = AzureWorld(cloud_from_environment(), outputs, endpoint, clock_from_environment()).endpoints.live()
    busiest = max(live.weights, key=lambda name: live.weights[name], default="")
    model = live.deployments[busiest].model if busiest in live.deployments else ""
    return model if model.startswith(f"{request.register_as}:") else ""


def _run(outputs: StackOutputs, request: TrainingRequest, save: Path | None, *, json: bool) -> None:
    """Submit, follow, and tell."""
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.errors import azure_errors
    from rollout.cli.output import emit, say
    from rollout.errors import RolloutError
    from training.following import JobFiles, follow
    from training.job import submit

    cloud = cloud_from_environment()
    client = cloud.ml_client(outputs)
    with azure_errors(f"submit the training of {request.register_as}"):
        job = submit(client, request)
    against = f", compared with {request.baseline}" if request.baseline else ""
    if json:
        emit({"job": job, "baseline": request.baseline or None})
    else:
        say(f"pipeline {job} on {request.cluster}{against}")
    files = JobFiles(client, cloud.blob_service(outputs), job)
    seen: dict[str, Step] = {}

    def heard(step: Step) -> None:
        seen[step.name] = step
        _tell(step, json=json)

    try:
        follow(client, files, job, heard)
        _registered(outputs, files, seen["register"], json=json)
    except RolloutError:
        _keep(files, seen, save, json=json)
        raise
    _keep(files, seen, save, json=json)


def _tell(step: Step, *, json: bool) -> None:
    from rollout.cli.output import emit, say

    if json:
        values = {"status": step.status, "seconds": round(step.seconds, 1), "figures": dict(step.figures)}
        emit({"step": step.name, "job": step.job, **values})
        return
    shown = "  ".join(f"{name} {value}" for name, value in step.figures.items())
    say(f"  {step.name:<9} {step.status:<10} {step.seconds:5.0f} s  {shown}".rstrip())


def _registered(outputs: StackOutputs, files: JobFiles, step: Step, *, json: bool) -> None:
    """Announce the model, and show what it is."""
    import json as json_module

    from rollout.cli.model_trust import sign_registered
    from rollout.cli.output import emit, say, show
    from rollout.errors import RolloutError
    from training.reading import INFO_FILE, VERDICT_FILE

    told, judged = files.read(step, INFO_FILE), files.read(step, VERDICT_FILE)
    if told is None or judged is None:
        raise RolloutError(f"step register of {step.job} left no {INFO_FILE}", way_out="run it again")
    info, verdict = json_module.loads(told), json_module.loads(judged)
    model = f"{info['name']}:{info['version']}"
    announced = _announce(outputs, info, verdict["metrics"])
    signed = sign_registered(outputs, model)
    if signed and not json:
        say(f"signed {model} with key {signed}")
    if json:
        keys = ("semantic_version", "model_hash", "data_hash", "run_id", "tags")
        emit(
            {
                "model": model,
                **{key: info[key] for key in keys},
                "metrics": verdict["metrics"],
                "announced": announced,
                "signed_by": signed,
            }
        )
        return
    show(_table_of(verdict["metrics"], verdict["gates"]))
    say(f"registered {model}")
    say(f"version {info['semantic_version']}, model hash {info['model_hash'][:16]}, data hash {info['data_hash'][:16]}")
    if not announced:
        say("the stack's topic could not be told; Azure ML's own event of the registration is not affected")


def _announce(outputs: StackOutputs, info: dict[str, Any], metrics: dict[str, float]) -> bool:
    """Tell the stack's topic. The model is registered whether or not that works."""
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.events import EventGridAnnouncer
    from rollout.errors import RolloutError

    topic, cloud = outputs.events.topic_endpoint, cloud_from_environment()
    if not topic:
        return False
    model = f"{info['name']}:{info['version']}"
    data = {"id": f"{model}-{info['run_id']}", "model": model, "stack": outputs.stack, "metrics": metrics}
    data |= {key: info[key] for key in ("semantic_version", "model_hash", "data_hash", "run_id")}
    try:
        EventGridAnnouncer(lambda: cloud.event_publisher(topic)).announce(REGISTERED, f"models/{model}", data)
    except RolloutError:
        return False
    return True


def _table_of(metrics: dict[str, float], gates: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("metric", "unseen rows", "gate", box=None, pad_edge=False)
    for name, value in metrics.items():
        lowest = gates.get(name)
        table.add_row(name, f"{value:.3f}", f"{lowest:.3f}" if lowest is not None else "-")
    return table


def _keep(files: JobFiles, seen: dict[str, Step], save: Path | None, *, json: bool) -> None:
    from rollout.cli.output import say

    if save is None:
        return
    kept = [path for name in ("register", "prepare") if name in seen for path in files.save(seen[name], save)]
    if kept and not json:
        say(f"kept in {save}: {', '.join(sorted({str(path.relative_to(save).parts[0]) for path in kept}))}")


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, width=140).rstrip()


def _cluster(outputs: StackOutputs, wanted: str) -> Cluster:
    from rollout.errors import NotFound

    if not outputs.clusters or (wanted and wanted not in outputs.clusters):
        known = ", ".join(sorted(outputs.clusters)) or "none"
        raise NotFound(
            f"stack {outputs.stack!r} has no cluster {wanted!r}".replace(" ''", ""), way_out=f"it has: {known}"
        )
    return outputs.clusters[wanted or min(outputs.clusters)]
