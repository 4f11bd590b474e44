"""`model optimize`."""

from __future__ import annotations

import tempfile
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
    stack: Stack = "",
    outputs: Outputs = "",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Convert a model to ONNX, prove that it predicts the same, and register it as the next version.

    Predictions on every test row must be within 1e-5 of the model's, and no label may change; otherwise it is refused
    (code 7) and nothing is registered. The next version has the tags of the one that it was made from.
    """
    if Path(model).is_dir():
        _folder(Path(model), rows, output, dry_run=dry_run, json=json)
    else:
        _registered(model, rows, (stack, outputs), dry_run=dry_run, json=json)


def _folder(model: Path, rows: str, output: str, *, dry_run: bool, json: bool) -> None:
    from rollout.errors import BadInput

    file = Path(rows) if rows else model.resolve().parent / _BESIDE
    _check_rows(file)
    target = Path(output) if output else model.resolve().with_name(f"{model.resolve().name}-onnx")
    if target.resolve() == model.resolve() or (target.exists() and not (target / "MLmodel").is_file()):
        raise BadInput(f"--output {target}: it would be overwritten", way_out="name a folder that is not there yet")
    with tempfile.TemporaryDirectory() as scratch:
        found = _optimise(model, file, Path(scratch, "model") if dry_run else target, json=json)
    _tell(found, "nothing was written" if dry_run else f"written to {target}", json=json, output=str(target))


def _registered(model: str, rows: str, stack: tuple[str, str], *, dry_run: bool, json: bool) -> None:
    from rollout.azure.cloud import cloud_from_environment
    from rollout.azure.errors import azure_errors
    from rollout.azure.specs import check_model_name
    from rollout.cli.session import load_outputs
    from rollout.errors import BadInput

    name, version = check_model_name(model)
    if not rows:
        raise BadInput(
            "--rows is missing: the predictions are compared on all test rows",
            way_out=f"--rows FOLDER/{_BESIDE.as_posix()}, where FOLDER is the training's output",
        )
    _check_rows(Path(rows))
    client = cloud_from_environment().ml_client(load_outputs(*stack))
    with azure_errors(f"optimise {model}"), tempfile.TemporaryDirectory() as scratch:
        source = client.models.get(name, version)
        made = _made_before(client, name, version)
        if made:
            _say(f"{name}:{made} is {name}:{version} optimised already", json=json)
            _emit({"model": f"{name}:{made}", "from": f"{name}:{version}", "already": True}, json=json)
            return
        _say(f"fetching {name}:{version}", json=json)
        client.models.download(name, version, download_path=scratch)
        folder = _model_folder(Path(scratch), model)
        found = _optimise(folder, Path(rows), Path(scratch, "optimised"), json=json)
        if dry_run:
            _tell(found, "nothing was registered", json=json, **{"from": f"{name}:{version}"})
            return
        _say("registering", json=json)
        made = _register(client, source, found, Path(scratch, "optimised"))
    _tell(found, f"registered {name}:{made}", json=json, model=f"{name}:{made}", **{"from": f"{name}:{version}"})


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
