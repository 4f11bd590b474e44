"""`model optimize`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollout.cli.options import DryRun, Json, Outputs, Stack

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from training.onnx.optimize import Optimization

#: Where a training leaves its test rows, seen from the model's folder.
_BESIDE = Path("engineered_features", "test.parquet")


def optimize(  # noqa: PLR0913 - a command's options
    model: Annotated[str, typer.Argument(help="NAME:VERSION of the registry, or a model's folder.", metavar="MODEL")],
    rows: Annotated[
        str,
        typer.Option(
            "--rows",
            help="Parquet or CSV file with all test rows; default for a folder: ../engineered_features/test.parquet.",
            metavar="FILE",
        ),
    ] = "",
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder to write, for a folder; default: FOLDER-onnx.", metavar="DIR")
    ] = "",
    container: Annotated[
        str,
        typer.Option("--container", help="Also write the build context of its image to this folder.", metavar="DIR"),
    ] = "",
    stack: Stack = "",
    outputs: Outputs = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Convert a model to ONNX, prove that it predicts the same, and register it as the next version.

    Predictions on every test row must be within 1e-5 of the model's, and no label may change; otherwise it is refused
    (code 7) and nothing is registered. The next version has the tags of the one that it was made from.

    With --container: Dockerfile, locked requirements, the code, and deployment.yaml for azure-ai-ml.
    """
    if container:
        _check_free("--container", Path(container), "Dockerfile")
    options = _Options(rows, output, container, dry_run, json)
    if Path(model).is_dir():
        _folder(Path(model), options)
    else:
        _registered(model, (stack, outputs), options)


@dataclass(frozen=True, slots=True)
class _Options:
    rows: str
    output: str
    container: str
    dry_run: bool
    json: bool


def _folder(model: Path, options: _Options) -> None:
    file = Path(options.rows) if options.rows else model.resolve().parent / _BESIDE
    _check_rows(file)
    target = Path(options.output) if options.output else model.resolve().with_name(f"{model.resolve().name}-onnx")
    _check_free("--output", target, "model.onnx")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch, "model") if options.dry_run else target
        found = _optimise(model, file, made, json=options.json)
        _image(made, options)
    done = "nothing was written" if options.dry_run else f"written to {target}"
    _tell(found, done, json=options.json, output=str(target))


def _registered(model: str, stack: tuple[str, str], options: _Options) -> None:
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.errors import azure_errors
    from rollout.azure.specs import check_model_name
    from rollout.cli.session import load_outputs
    from rollout.errors import BadInput

    name, version = check_model_name(model)
    if not options.rows:
        raise BadInput(
            "--rows is missing: the predictions are compared on all test rows",
            way_out=f"--rows FOLDER/{_BESIDE.as_posix()}, where FOLDER is the training's output",
        )
    _check_rows(Path(options.rows))
    client = cloud_from_environment().ml_client(load_outputs(*stack))
    with azure_errors(f"optimise {model}"), tempfile.TemporaryDirectory() as scratch:
        source = client.models.get(name, version)
        if made := _made_before(client, name, version):
            _say(f"{name}:{made} is {name}:{version} optimised already", json=options.json)
            _emit({"model": f"{name}:{made}", "from": f"{name}:{version}", "already": True}, json=options.json)
            return
        _say(f"fetching {name}:{version}", json=options.json)
        client.models.download(name, version, download_path=scratch)
        folder, target = _model_folder(Path(scratch), model), Path(scratch, "optimised")
        found = _optimise(folder, Path(options.rows), target, json=options.json)
        _image(target, options)
        lineage = {"from": f"{name}:{version}"}
        if not options.dry_run:
            _say("registering", json=options.json)
            lineage["model"] = f"{name}:{_register(client, source, found, target)}"
    done = "nothing was registered" if options.dry_run else f"registered {lineage['model']}"
    _tell(found, done, json=options.json, **lineage)


def _image(model: Path, options: _Options) -> None:
    """The image's build context, where it is asked for."""
    from rollout.errors import BadInput
    from training.container.context import OtherVersions, write_context
    from training.scoring.package import NotPinned

    if not options.container or options.dry_run:
        return
    target = Path(options.container)
    try:
        write_context(model, target)
    except (OtherVersions, NotPinned, OSError) as error:
        raise BadInput(f"--container: {error}") from error
    _say(f"build context of the image: {target}", json=options.json)


def _made_before(client: MLClient, name: str, version: str) -> str | None:
    wanted = f"{name}:{version}"
    found = [each for each in client.models.list(name) if (each.tags or {}).get("optimized_from") == wanted]
    return str(found[0].version) if found else None


def _register(client: MLClient, source: Any, found: Optimization, folder: Path) -> str:
    """The next version of the same model, with the tags that its gates and lineage left, and where it comes from."""
    from azure.ai.ml.entities import Model

    made = client.models.create_or_update(
        Model(
            name=source.name,
            path=str(folder),
            type="mlflow_model",
            description=source.description,
            tags={**_lasting(source.tags or {}), **found.tags, "optimized_from": f"{source.name}:{source.version}"},
        )
    )
    return str(made.version)


def _lasting(tags: dict[str, str]) -> dict[str, str]:
    """What a signature said of the files it covered is not true of others."""
    return {name: value for name, value in tags.items() if name not in ("signed_by", "files_hash", "stage")}


def _model_folder(scratch: Path, model: str) -> Path:
    from rollout.errors import BadInput

    found = sorted(scratch.rglob("MLmodel"), key=lambda path: len(path.parts))
    if not found:
        raise BadInput(f"{model} is no MLflow model", way_out="register the model that `rollout train` made")
    return found[0].parent


def _check_rows(file: Path) -> None:
    from rollout.errors import BadInput

    if not file.is_file():
        raise BadInput(f"--rows {file}: no such file", way_out="give the test rows of the training")


def _check_free(option: str, target: Path, mark: str) -> None:
    """Nothing is overwritten but what an earlier run has made, which has the file `mark`."""
    from rollout.errors import BadInput

    if target.exists() and not (target / mark).is_file():
        raise BadInput(f"{option} {target}: it would be overwritten", way_out="name a folder that is not there yet")


def _optimise(model: Path, rows: Path, output: Path, *, json: bool) -> Optimization:
    from rollout.errors import BadInput, GateFailed
    from training.onnx.graph import NotConvertible
    from training.onnx.optimize import RowsError, optimise
    from training.onnx.parity import NotEqual

    try:
        return optimise(model, rows, output, tell=lambda text: _say(text, json=json))
    except NotEqual as error:
        raise GateFailed(str(error), way_out="deploy the model as it is; it was not changed") from error
    except (NotConvertible, RowsError, OSError, ValueError) as error:
        raise BadInput(f"{model}: {error}") from error


def _tell(found: Optimization, what: str, *, json: bool, **more: str) -> None:
    _say(f"equal: {found.parity.said}", json=json)
    _say(f"faster: {found.speed.said}", json=json)
    _say(what, json=json)
    document = {**found.model_dump(), "row_speedup": found.speed.row, "batch_speedup": found.speed.batch}
    _emit({**more, "done": what, **document}, json=json)


def _say(text: str, *, json: bool) -> None:
    from rollout.cli.output import say

    if not json:
        say(text)


def _emit(document: dict[str, Any], *, json: bool) -> None:
    from rollout.cli.output import emit

    if json:
        emit(document)
