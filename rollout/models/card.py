"""The model card that training puts beside a model's files."""

from __future__ import annotations

import shutil
from pathlib import Path

from rollout.errors import NotFound

FILES = ("model_card.md", "model_card.html")
#: What training writes where nobody filled a field in.
MISSING, NOT_FILLED = "(missing)", "Not filled in:"


def read_card(model: Path, what: str, out: Path | None) -> tuple[str, list[Path]]:
    """The card's Markdown, and the files it was copied to below `out`; `NotFound` for a model without one."""
    if not (model / FILES[0]).is_file():
        raise NotFound(f"{what} has no model card", way_out="train it with `rollout train`, which writes one")
    written = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        written = [Path(shutil.copy2(model / file, out / file)) for file in FILES if (model / file).is_file()]
    return (model / FILES[0]).read_text("utf-8"), written


def problems(model: Path) -> list[str]:
    """What keeps the card from being complete; empty when it is."""
    file = model / FILES[0]
    if not file.is_file():
        return ["there is no model card"]
    text = file.read_text("utf-8")
    named = [line.partition(NOT_FILLED)[2].strip(" .") for line in text.splitlines() if line.startswith(NOT_FILLED)]
    if named:
        return [f"not filled in: {named[0]}"]
    empty = [line.split(":")[0].strip("- ") for line in text.splitlines() if MISSING in line]
    return [f"not filled in: {', '.join(empty)}"] if empty else []
