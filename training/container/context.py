"""The build context of a model's image, and the deployment that uses it: `rollout model optimize --container DIR`."""

from __future__ import annotations

import shutil
from pathlib import Path

from training.scoring import package
from training.scoring.schema import ScoringSchema

_HERE = Path(__file__).parent
_MODULES = ("__init__.py", "__main__.py", "app.py")
_FILES = ("Dockerfile", "requirements.txt")
DEPLOYMENT = "deployment.yaml"


class OtherVersions(ValueError):
    """The image's lock has other versions than the model was proven with; the text names them."""


def write_context(model_folder: Path, output: Path) -> Path:
    """Write the folder anew: Dockerfile, locked requirements, the code, and `deployment.yaml` for azure-ai-ml.

    Raises what `package.write_code` raises, and `OtherVersions`.
    """
    name = ScoringSchema.read(model_folder).model
    _check_versions(model_folder)
    package.write_code(model_folder, output)
    for file in (package.SCRIPT, package.CONDA):
        (output / file).unlink()
    target = output / "training" / "container"
    target.mkdir()
    for module in _MODULES:
        shutil.copyfile(_HERE / module, target / module)
    for file in _FILES:
        shutil.copyfile(_HERE / file, output / file)
    text = (_HERE / DEPLOYMENT).read_text("utf-8")
    (output / DEPLOYMENT).write_text(text.replace("MODEL_NAME", name), "utf-8")
    return output


def _check_versions(model_folder: Path) -> None:
    locked = dict(
        line.split(" ")[0].split("==") for line in (_HERE / "requirements.txt").read_text().splitlines() if "==" in line
    )
    wanted = dict(line.split("==") for line in package.requirements(model_folder))
    other = [
        f"{name} {wanted[name]}, not {locked[name]}"
        for name in sorted(wanted.keys() & {"onnxruntime", "xgboost-cpu"})
        if wanted[name] != locked[name]
    ]
    if other:
        raise OtherVersions(f"the model was proven with {', '.join(other)}; optimize it anew")
