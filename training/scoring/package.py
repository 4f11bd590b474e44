"""The code folder of a deployment: score.py, the modules that it needs and nothing else, and a pinned conda.yaml."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml

from training.scoring.predictor import runtime_of
from training.scoring.schema import ScoringSchema

SCRIPT, CONDA, REQUIREMENTS = "score.py", "conda.yaml", "requirements.txt"
#: The server that Azure runs; it takes pydantic 2.12 and brings flask.
SERVER = ("azureml-inference-server-http==1.5.1", "azureml-ai-monitoring==1.0.0", "pydantic==2.12.5")
PYTHON = "3.11"
_PACKAGE = Path(__file__).parents[1]
_MODULES = (
    "__init__", "cache", "checking", "collect", "findings", "handler", "predictor", "reading", "schema", "service",
)  # fmt: skip
#: A model's requirements that scoring has no use for: MLflow's loader, and with a graph scikit-learn too.
_UNUSED = {"scikit-learn": ("mlflow", "mlflow-skinny"), "onnx": ("mlflow", "mlflow-skinny", "scikit-learn", "skops")}
_EXACT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[\w,-]+\])?==[^*\s;]+(\s*;.*)?")


class NotPinned(ValueError):
    """A model's requirements say no exact version; the text names the lines."""


def write_code(model_folder: Path, output: Path) -> Path:
    """Write the folder anew and give it back: `rollout start NAME --code FOLDER`.

    Raises `FileNotFoundError` for a model without a scoring schema, `NotPinned` for one with loose requirements.
    """
    name = ScoringSchema.read(model_folder).model
    conda = _conda(name, model_folder)
    made = output.with_name(output.name + ".partial")
    shutil.rmtree(made, ignore_errors=True)
    (made / "training" / "scoring").mkdir(parents=True)
    shutil.copyfile(_PACKAGE / "__init__.py", made / "training" / "__init__.py")
    for module in _MODULES:
        shutil.copyfile(_PACKAGE / "scoring" / f"{module}.py", made / "training" / "scoring" / f"{module}.py")
    if runtime_of(model_folder) == "onnx":
        (made / "training" / "onnx").mkdir()
        for file in ("__init__.py", "predictor.py"):
            shutil.copyfile(_PACKAGE / "onnx" / file, made / "training" / "onnx" / file)
    shutil.copyfile(_PACKAGE / "scoring" / SCRIPT, made / SCRIPT)
    (made / CONDA).write_text(conda, "utf-8")
    shutil.rmtree(output, ignore_errors=True)
    made.rename(output)
    return output


def requirements(model_folder: Path) -> list[str]:
    """What the model needs to be scored here, pinned as where it was trained."""
    lines = [line.split(" #")[0].strip() for line in (model_folder / REQUIREMENTS).read_text("utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if loose := [line for line in lines if _EXACT.fullmatch(line) is None]:
        raise NotPinned(f"{model_folder / REQUIREMENTS}: no exact version: {', '.join(loose)}")
    unused = _UNUSED[runtime_of(model_folder)]
    return [line for line in lines if re.split(r"[=\[;\s]", line)[0].lower() not in unused]


def _conda(name: str, model_folder: Path) -> str:
    pip = sorted({*requirements(model_folder), *SERVER})
    document = {
        "name": f"{name}-scoring",
        "channels": ["conda-forge"],
        "dependencies": [f"python={PYTHON}", "pip", {"pip": pip}],
    }
    return yaml.safe_dump(document, sort_keys=False)
