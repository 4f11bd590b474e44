"""The code folder of a batch deployment: the script, and the model's own pinned environment."""

from __future__ import annotations

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

SCRIPT = "batch_score.py"
#: What the script needs and a model's environment may lack; mlflow brings them, mlflow-skinny does not.
_NEEDED = ("mlflow", "pandas", "pyarrow")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def write_code(model_folder: Path, output: Path) -> Path:
    """`batch_score.py` and `conda.yaml`; ValueError for what is no MLflow model with an environment."""
    root = next(iter(sorted(model_folder.rglob("MLmodel"), key=lambda path: len(path.parts))), None)
    if root is None or not (root.parent / "conda.yaml").is_file():
        raise ValueError("it is no MLflow model with a conda.yaml")
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).with_name(SCRIPT), output / SCRIPT)
    conda = yaml.safe_load((root.parent / "conda.yaml").read_text("utf-8"))
    (output / "conda.yaml").write_text(yaml.safe_dump(complete(conda), sort_keys=True), "utf-8")
    return output


def input_columns(description: Path) -> list[str]:
    """The required columns of the signature in an MLmodel file; none where it names none."""
    document = yaml.safe_load(description.read_text("utf-8")) or {}
    inputs = json.loads((document.get("signature") or {}).get("inputs") or "[]")
    return [str(each["name"]) for each in inputs if each.get("name") and each.get("required", True)]


def complete(conda: dict[str, Any]) -> dict[str, Any]:
    """The environment with what the script needs, at the versions of here, unless it names them itself."""
    dependencies = list(conda.get("dependencies") or [])
    pip: list[Any] = next((each["pip"] for each in dependencies if isinstance(each, dict) and "pip" in each), [])
    others = [each for each in dependencies if not isinstance(each, dict)]
    named = {match[0].lower() for each in (*pip, *others) if (match := _NAME.match(str(each)))}
    if "mlflow-skinny" in named:
        named.add("mlflow")
    missing = [f"{name}=={version(name)}" for name in _NEEDED if name not in named]
    return {**conda, "dependencies": [*others, {"pip": [*pip, *missing]}]}
