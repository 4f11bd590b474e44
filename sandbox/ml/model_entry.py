"""MLflow's model versions and MLmodel files, read as Azure shows them. Pure but for the file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from sandbox.ml.http import user_error

Entry = dict[str, Any]
#: MLflow tag of a version that azure-ai-ml created: its modelUri.
MIRROR_TAG = "azureml.modelUri"
ARCHIVED_TAG = "azureml.archived"


def tags_of(entry: Entry) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in entry.get("tags", [])}


def mirror_of(entry: Entry) -> str | None:
    """The modelUri of the azure-ai-ml model that this entry stands for; None for MLflow's own."""
    return tags_of(entry).get(MIRROR_TAG)


def shared(entry: Entry) -> dict[str, Any]:
    """The properties that both sides may change; MLflow has the last word."""
    tags = tags_of(entry)
    archived = tags.pop(ARCHIVED_TAG, "false") == "true"
    tags.pop(MIRROR_TAG, None)
    return {"tags": tags, "description": entry.get("description") or None, "isArchived": archived}


def published_path(entry: Entry) -> str:
    """Where the files of a version go in the artifact store."""
    run = entry.get("run_id") or "registry"
    return f"ExperimentRun/dcid.{run}/{entry['name']}/{entry['version']}/model"


def system_data(entry: Entry) -> dict[str, Any]:
    return {
        "createdAt": _moment(entry["creation_timestamp"]),
        "createdBy": "mlflow",
        "createdByType": "Application",
        "lastModifiedAt": _moment(entry.get("last_updated_timestamp") or entry["creation_timestamp"]),
    }


def _moment(milliseconds: int | str) -> str:
    at = datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_flavors(folder: Path) -> dict[str, Any]:
    """The flavors of the MLmodel file in `folder` as Azure shows them; empty when there is none."""
    file = folder / "MLmodel"
    if not file.is_file():
        return {}
    try:
        flavors = (yaml.safe_load(file.read_text()) or {}).get("flavors") or {}
    except (yaml.YAMLError, AttributeError) as error:
        raise user_error(f"The MLmodel file of the model can't be read: {error}.") from error
    return {name: {"data": {key: str(value) for key, value in (data or {}).items()}} for name, data in flavors.items()}
