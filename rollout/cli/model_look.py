"""`rollout model list|show|compare|card`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollout.cli.options import Json, Outputs, Stack

if TYPE_CHECKING:
    from contract import StackOutputs
    from rollout.azure.model_refs import ModelRef
    from rollout.azure.models import AzureModels
    from rollout.models.catalogue import Version

Model = Annotated[
    str, typer.Argument(help="NAME:VERSION, or azureml://registries/... of an ML registry.", metavar="MODEL")
]
FromRegistry = Annotated[bool, typer.Option("--from-registry", help="NAME:VERSION is of the stack's ML registry.")]


def list_models(
    name: Annotated[str, typer.Argument(help="Model; none: the newest version of each.", metavar="[NAME]")] = "",
    stack: Stack = "",
    outputs: Outputs = "",
    from_registry: FromRegistry = False,
    json: Json = False,
) -> None:
    """Registered models of the stack's workspace: versions, metrics, gates, hash, signature, and where they serve."""
    from rollout.cli.output import emit, show
    from rollout.reports.models import versions_table

    models, found = open_models(stack, outputs)
    registry = models.shared if from_registry else ""
    names = [name] if name else models.names()
    versions = [each for one in names for each in _versions(models, found, one, registry)[: None if name else 1]]
    if json:
        for each in versions:
            emit(each.document())
    else:
        show(versions_table(versions, found.stack))


def show(
    model: Model, stack: Stack = "", outputs: Outputs = "", from_registry: FromRegistry = False, json: Json = False
) -> None:
    """All that is known of one version."""
    from rollout.cli.output import emit
    from rollout.cli.output import show as print_table
    from rollout.reports.models import version_table

    models, found = open_models(stack, outputs)
    version = _version(models, found, pick(models, model, from_registry))
    emit(version.document()) if json else print_table(version_table(version, found.stack))


def compare(
    first: Model,
    second: Annotated[str, typer.Argument(help="The other one.", metavar="MODEL")],
    stack: Stack = "",
    outputs: Outputs = "",
    json: Json = False,
) -> None:
    """Two versions side by side: metrics with differences, parameters, hashes, and what changed in their inputs."""
    from rollout.cli.output import emit
    from rollout.cli.output import show as print_table
    from rollout.models import catalogue
    from rollout.reports.models import comparison_table

    models, found = open_models(stack, outputs)
    refs = [pick(models, each, False) for each in (first, second)]
    one, two = (_version(models, found, each) for each in refs)
    params = (models.params(models.get(refs[0])), models.params(models.get(refs[1])))
    made = catalogue.compare(one, two, params, _schema_changes(models, refs[0], refs[1]))
    emit(made.document()) if json else print_table(comparison_table(made))


def card(
    model: Model,
    stack: Stack = "",
    outputs: Outputs = "",
    out: Annotated[
        str, typer.Option("--out", help="Folder to write model_card.md and .html to, instead.", metavar="DIR")
    ] = "",
    from_registry: FromRegistry = False,
    json: Json = False,
) -> None:
    """The model card, which training put beside the model's files: what a reviewer signs."""
    from rollout.cli.output import console, emit, say
    from rollout.models.card import read_card

    models, _ = open_models(stack, outputs)
    ref = pick(models, model, from_registry)
    with tempfile.TemporaryDirectory(prefix="rollout-card-") as folder:
        text, written = read_card(models.download(ref, Path(folder)), str(ref), Path(out) if out else None)
    if json:
        emit({"model": str(ref), "card": text, "files": [str(each) for each in written]})
    elif written:
        for each in written:
            say(f"wrote {each}")
    else:
        from rich.markdown import Markdown

        console().print(Markdown(text))


# What the commands about models share


def open_models(stack: str, outputs_file: str) -> tuple[AzureModels, StackOutputs]:
    """The stack's models, and its outputs."""
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.models import AzureModels
    from rollout.cli.session import load_outputs

    outputs = load_outputs(stack, outputs_file)
    return AzureModels(cloud_from_environment(), outputs), outputs


def pick(models: AzureModels, model: str, from_registry: bool) -> ModelRef:
    """What `model` names; with `from_registry` in the stack's registry."""
    from rollout.azure.model_refs import ModelRef, parse_model

    ref = parse_model(model)
    return ModelRef(ref.name, ref.version, models.shared) if from_registry and not ref.registry else ref


def _version(models: AzureModels, outputs: StackOutputs, ref: ModelRef) -> Version:
    from rollout.models.catalogue import version_of

    aliases = {} if ref.registry else models.aliases(ref.name)
    serves = _serving(outputs).get(str(ref), ())
    return version_of(models.get(ref), outputs.gates, aliases=aliases.get(ref.version, ()), serves=serves)


def _versions(models: AzureModels, outputs: StackOutputs, name: str, registry: str) -> list[Version]:
    from rollout.models.catalogue import version_of

    aliases = {} if registry else models.aliases(name)
    serving = _serving(outputs)
    return [
        version_of(
            each, outputs.gates, aliases=aliases.get(each.ref.version, ()), serves=serving.get(str(each.ref), ())
        )
        for each in models.versions(name, registry)
    ]


def _serving(outputs: StackOutputs) -> dict[str, tuple[str, ...]]:
    """Model to the deployments that it serves in, with their traffic."""
    from rollout.azure.arm import ArmWriter
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.endpoints import AzureEndpoints
    from rollout.errors import NotFound

    arm = ArmWriter(cloud_from_environment())
    found: dict[str, tuple[str, ...]] = {}
    for endpoint in outputs.endpoints.values():
        try:
            live = AzureEndpoints(endpoint.id, arm, _no_client).live()
        except NotFound:
            continue
        for name, deployment in live.deployments.items():
            place = f"{endpoint.name}/{name} {live.weights.get(name, 0)} %"
            found[deployment.model] = (*found.get(deployment.model, ()), place)
    return found


def most_traffic(outputs: StackOutputs, name: str) -> str:
    """The model that most of the traffic goes to, where models of this name serve; empty when none does."""
    from rollout.azure.arm import ArmWriter
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.endpoints import AzureEndpoints
    from rollout.errors import NotFound

    arm = ArmWriter(cloud_from_environment())
    for endpoint in (each for each in outputs.endpoints.values() if each.model_name == name):
        try:
            live = AzureEndpoints(endpoint.id, arm, _no_client).live()
        except NotFound:
            continue
        taking = {each: share for each, share in live.weights.items() if each in live.deployments}
        if taking:
            return live.deployments[max(taking, key=lambda each: taking[each])].model
    return ""


def _no_client() -> Any:
    raise AssertionError("reading an endpoint needs no azure-ai-ml")


def _schema_changes(models: AzureModels, first: ModelRef, second: ModelRef) -> list[str]:
    from rollout.models.schema import changes, read_inputs

    with tempfile.TemporaryDirectory(prefix="rollout-compare-") as folder:
        before, after = (
            read_inputs(models.download(ref, Path(folder) / str(number))) for number, ref in enumerate((first, second))
        )
    if before is None or after is None:
        unknown = first if before is None else second
        return [f"{unknown} says nothing of its inputs (no signature)"]
    return changes(before, after)
