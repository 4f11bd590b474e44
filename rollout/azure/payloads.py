"""What to send to a deployment to see whether it answers: a file, or the model's own input example."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rollout.azure.errors import azure_errors
from rollout.azure.model_refs import parse_model
from rollout.azure.quiet import quiet_sdk
from rollout.errors import BadInput, NotFound, RolloutError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

EXAMPLE_FILES = ("serving_input_example.json", "input_example.json")
_MLFLOW_KEYS = ("dataframe_split", "dataframe_records", "inputs", "instances")


def payload_from_file(path: str) -> bytes:
    """The JSON in `path`; `BadInput` when it isn't."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--payload {path}: {error}", way_out="name a JSON file with one scoring request") from error
    try:
        return json.dumps(json.loads(text)).encode()
    except json.JSONDecodeError as error:
        raise BadInput(f"--payload {path} is not JSON: {error}", way_out="fix the file") from error


def example_of_model(client: MLClient, tracking_uri: str, model: str) -> bytes:
    """A request made of the model's logged input example; `NotFound` with the way out when it has none.

    `client`: of the workspace, or of the registry that `model` names.
    """
    with tempfile.TemporaryDirectory(prefix="rollout-example-") as folder:
        found = fetch_of_model(client, tracking_uri, model, EXAMPLE_FILES, Path(folder))
        if found is None:
            raise NotFound(
                f"model {model!r} was logged without an input example",
                way_out="log it with input_example=..., or give --payload request.json",
            )
        return json.dumps(as_request(json.loads(found.read_text(encoding="utf-8")))).encode()


def fetch_of_model(client: MLClient, tracking_uri: str, model: str, files: Sequence[str], folder: Path) -> Path | None:
    """The first of `files` that the model has, downloaded into `folder`; None when it has none of them."""
    ref = parse_model(model)
    plain = urlsplit(tracking_uri).scheme in ("http", "https") and not ref.registry
    fetch = _fetch_from_mlflow if plain else _fetch_from_workspace
    with quiet_sdk():
        return fetch(client, tracking_uri, (ref.name, ref.version), files, folder)


def as_request(example: Any) -> dict[str, Any]:
    """The `input_data` request that Azure's MLflow scorer takes, out of any of MLflow's forms."""
    if isinstance(example, dict):
        if "input_data" in example:
            return example
        for key in _MLFLOW_KEYS:
            if key in example:
                return {"input_data": example[key]}
        if {"columns", "data"} <= example.keys():
            return {"input_data": example}
    return {"input_data": example if isinstance(example, list) else [example]}


def rows_of(payload: bytes) -> int | None:
    """How many predictions a request asks for; None when its form does not say."""
    body = json.loads(payload)
    data = body.get("input_data", body.get("data")) if isinstance(body, dict) else body
    if isinstance(data, dict):
        data = data.get("data")
    return len(data) if isinstance(data, list) else None


def _fetch_from_mlflow(
    client: MLClient, tracking_uri: str, model: tuple[str, str], files: Sequence[str], folder: Path
) -> Path | None:
    """From a plain MLflow server: one small file instead of the whole model."""
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts, list_artifacts
    from mlflow.exceptions import MlflowException

    name, version = model

    try:
        uri = MlflowClient(tracking_uri).get_model_version_download_uri(name, version)
        there = {Path(one.path).name for one in list_artifacts(uri, tracking_uri=tracking_uri)}
        for file in files:
            if file in there:
                return Path(download_artifacts(f"{uri}/{file}", dst_path=str(folder), tracking_uri=tracking_uri))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return _fetch_from_workspace(client, tracking_uri, model, files, folder)
        raise RolloutError(f"cannot read the files of {name}:{version}: {error.message}") from error
    return None


def _fetch_from_workspace(
    client: MLClient, _: str, model: tuple[str, str], files: Sequence[str], folder: Path
) -> Path | None:
    """Through the workspace's datastore, which takes the whole model."""
    name, version = model
    with azure_errors(f"download model {name}:{version}"):
        client.models.download(name, version, str(folder))
    for file in files:
        if found := sorted(folder.rglob(file)):
            return found[0]
    return None
