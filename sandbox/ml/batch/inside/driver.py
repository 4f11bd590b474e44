"""One worker of a batch job: `init()` once, then `run(mini_batch)` for each line that it is sent.

A line of stdin is {"files": [...], "output": path}; each answer is a line of JSON on the stdout that it was started
with. What the script prints goes to stderr, which is the job's log. Runs in the job's own environment.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SEPARATOR = " "  # Azure's, between the columns of a data frame


def main() -> None:
    """`driver.py SCRIPT`: answers until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        run = _load(Path(sys.argv[1]))
    except BaseException:  # noqa: BLE001 - whatever a stranger's script raises is reported
        answers.write(json.dumps({"ready": False, "error": traceback.format_exc()}) + "\n")
        return
    answers.write(json.dumps({"ready": True}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(_answer(run, json.loads(line))) + "\n")


def _load(script: Path) -> Callable[[list[str]], Any]:
    sys.path.insert(0, str(script.parent))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    for name in ("init", "run"):
        if not callable(getattr(module, name, None)):
            raise AttributeError(f"{script.name} has no function {name}()")
    module.init()
    run: Callable[[list[str]], Any] = module.run
    return run


def _answer(run: Callable[[list[str]], Any], order: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"ok": True, "items": _write(run(order["files"]), Path(order["output"]))}
    except Exception:  # noqa: BLE001 - a failed mini batch is tried again, and then counted
        traceback.print_exc()
        return {"ok": False, "error": traceback.format_exc(limit=-1).strip().splitlines()[-1]}


def _write(result: Any, path: Path) -> int:
    """Append-row's text: a data frame's values by column, one line for each item of anything else."""
    if hasattr(result, "to_csv") and hasattr(result, "columns"):
        result.to_csv(path, header=False, index=False, sep=_SEPARATOR)
        return len(result)
    if isinstance(result, str | bytes) or not hasattr(result, "__iter__") or not hasattr(result, "__len__"):
        raise TypeError(f"run() should return an array or a data frame, not {type(result).__name__}")
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{item}\n" for item in result)
    return len(result)


if __name__ == "__main__":
    main()
