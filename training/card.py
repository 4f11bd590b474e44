"""The model card: what a reviewer signs. Markdown and HTML of the same facts, all of them from the run's own files.

The sections are those of Mitchell et al., Model Cards for Model Reporting (2019).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from training.footprint import Footprint
from training.gates import Shortfall
from training.render import render
from training.steps.evaluate import Evaluation
from training.steps.features import FeatureMetadata
from training.steps.train import TrainingMetrics
from training.usecase import UseCase

MARKDOWN, HTML = "model_card.md", "model_card.html"


def missing_fields(case: UseCase) -> tuple[str, ...]:
    """Fields of the card that nobody filled in."""
    empty = [name for name, value in case.card.model_dump().items() if not value.strip()]
    return (*(() if case.description.strip() else ("description",)), *(f"card.{name}" for name in empty))


def write_card(
    case: UseCase,
    facts: tuple[FeatureMetadata, TrainingMetrics, Evaluation, Footprint],
    missed: list[Shortfall],
    tags: dict[str, str],
    output: Path,
) -> None:
    """Write both forms of the card into `output`; also for a model that was refused."""
    features, training, evaluation, footprint = facts
    values: dict[str, Any] = {
        "case": case,
        "features": features,
        "training": training,
        "evaluation": evaluation,
        "footprint": footprint,
        "missed": missed,
        "missing": missing_fields(case),
        "tags": tags,
    }
    output.mkdir(parents=True, exist_ok=True)
    text = render("card.md.j2", **values)
    (output / MARKDOWN).write_text(text, "utf-8")
    # markup inside a value stays text
    page = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    (output / HTML).write_text(render("card.html.j2", title=case.name, page=page), "utf-8")
