"""The security scan of a model's files: nothing is loaded, everything is read.

Pickles run code when they are loaded, and MLflow takes them under any name: so every file is looked into, not only *.pkl.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rollout.models.findings import Finding, failed, passed, warned
from rollout.models.schema import MLMODEL
from rollout.models.signing import files_of

CHECK, CODE = "pickles", "code"
_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".dat", ".data", ".pt", ".pth", ".ckpt"})
#: Pickles of protocol 2 and later begin with this; older ones are text.
_MAGIC = b"\x80"
_TEXT = frozenset({".yaml", ".yml", ".txt", ".md", ".html", ".json", ".csv", ""})
_LISTED = 12


def scan(model: Path) -> list[Finding]:
    """The findings on pickles and on code."""
    found = [*_pickles(model), *_code(model)]
    names = [path.relative_to(model).as_posix() for path in files_of(model)]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return [*found, passed("files", f"{len(names)}: {', '.join(names[:_LISTED])}{more}")]


def _pickles(model: Path) -> Iterator[Finding]:
    clean = True
    for path in files_of(model):
        name = path.relative_to(model).as_posix()
        dangerous, others, broken = _globals(path)
        if dangerous:
            clean = False
            yield failed(CHECK, f"{name} is a pickle with code in it: it calls {', '.join(dangerous)}")
        elif _is_pickle(path) and (broken or not _complete(path)):
            clean = False
            yield failed(CHECK, f"{name} is a pickle that can't be read to its end, which is how code is hidden")
        elif _is_pickle(path):
            clean = False
            held = f", of {', '.join(others[:5])}" if others else ""
            yield warned(CHECK, f"{name} is a pickle{held}: whoever can write it can run code; store models with skops")
    if clean:
        yield passed(CHECK, "no file is a pickle")


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() in _PICKLE_SUFFIXES or file.read(1) == _MAGIC


def _complete(path: Path) -> bool:
    """Whether every opcode up to the closing one can be read; archives of pickles are picklescan's to open."""
    import pickletools  # nosec B403  # reads opcodes, loads nothing

    if zipfile.is_zipfile(path):
        return True
    try:
        with path.open("rb") as file:
            return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(file))
    except (ValueError, IndexError, UnicodeDecodeError):
        return False


def _globals(path: Path) -> tuple[list[str], list[str], bool]:
    """What unpickling would call: dangerous, other; and whether picklescan stumbled."""
    from picklescan.scanner import SafetyLevel, scan_file_path  # nosec B403  # reads pickles, loads none

    logging.getLogger("picklescan").setLevel(logging.CRITICAL)
    try:
        result: Any = scan_file_path(str(path))
    except Exception:  # noqa: BLE001 - a file made to break the scanner is one more finding
        return [], [], True
    # text may look like the opcode of a global that nobody knows
    known = [each for each in result.globals if path.suffix not in _TEXT or "unknown" not in each.module]
    dangerous = sorted({f"{each.module}.{each.name}" for each in known if each.safety == SafetyLevel.Dangerous})
    others = sorted({f"{each.module}.{each.name}" for each in known if each.safety == SafetyLevel.Suspicious})
    return dangerous, others, bool(result.scan_err)


def _code(model: Path) -> Iterator[Finding]:
    """Python that comes with the model, or a loader that is not MLflow's own."""
    described = model / MLMODEL
    flavor: dict[str, Any] = {}
    if described.is_file():
        flavor = ((yaml.safe_load(described.read_text("utf-8")) or {}).get("flavors") or {}).get(
            "python_function"
        ) or {}
    loader = str(flavor.get("loader_module", ""))
    scripts = [path.relative_to(model).as_posix() for path in files_of(model) if path.suffix in (".py", ".pyc", ".so")]
    if loader and not loader.startswith("mlflow."):
        yield failed(CODE, f"it is loaded by {loader}, which is not one of MLflow's own loaders")
    if scripts:
        yield warned(CODE, f"brings code that runs where it serves: {', '.join(scripts[:_LISTED])}")
    elif not loader or loader.startswith("mlflow."):
        yield passed(CODE, f"none in it; loaded by {loader or 'its scorer'}")
