"""What the six steps' commands share: logging, how they end, and the options that several take.

Exit codes: 0 done, 2 the table, the use case or an argument is wrong, 7 a gate refused the model. Anything else is a defect.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from training.tables import DataError
from training.target import TargetError
from training.usecase import UseCaseError

WRONG, REFUSED = 2, 7
log = logging.getLogger("training")


class Misused(ValueError):
    """An input of a step is not what the step before leaves; the message names it."""


def run(name: str, work: Callable[[], int | None]) -> int:
    """Do a step's work and give its exit code; what is wrong with the input is told line by line."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    began = time.monotonic()
    try:
        code = _done(work)
        log.info("%s: %s after %.1f s", name, "done" if code == 0 else f"ended with {code}", time.monotonic() - began)
    finally:
        log.removeHandler(handler)
    return code


def _done(work: Callable[[], int | None]) -> int:
    try:
        return work() or 0
    except DataError as error:
        for finding in error.findings:
            log.error("refused: %s", finding)
    except (UseCaseError, TargetError, Misused, ValidationError) as error:
        log.error("refused: %s", error)
    return WRONG


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """A step's parser with the options that all take."""
    made = argparse.ArgumentParser(
        prog=f"python -m training.steps.{module}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--use-case", required=True, help="name in training/usecases/, or a YAML file")
    made.add_argument("--output", type=Path, default=Path("outputs"), help="folder for what the step makes")
    return made


def folder(made: argparse.ArgumentParser, step: str, holds: str) -> None:
    """An option that names what a step before has left."""
    made.add_argument(f"--{step}", type=Path, required=True, help=f"what the step {step} wrote: {holds}")


def needed(place: Path, *names: str) -> None:
    """`Misused` names what is not there."""
    if missing := [name for name in names if not (place / name).exists()]:
        raise Misused(f"{place} has no {', '.join(missing)}: it is not the output of the step before")


def tags(text: str) -> dict[str, str]:
    """A JSON object of texts; nothing is none."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Misused(f"--tags {text!r} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise Misused(f"--tags {text!r} is not a JSON object")
    return {str(name): str(value) for name, value in found.items()}


def given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}
