"""The rollouts of an endpoint as rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from rollout.controller.effects import show_weights
from rollout.controller.views import RolloutView


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One rollout. `minutes` is policy time from start to end (or to `now`)."""

    rollout: str
    model: str
    outcome: str
    started: str
    started_by: str
    minutes: float
    highest_weight: int
    traffic: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


#: Column titles in the order of the row's fields.
COLUMNS = tuple(field.name.replace("_", " ") for field in fields(HistoryRow))


def history_rows(views: Iterable[RolloutView], now: datetime) -> list[HistoryRow]:
    """A row for each view, newest first."""
    return [_row(view, now) for view in reversed(list(views))]


def _row(view: RolloutView, now: datetime) -> HistoryRow:
    end = view.finished_at or now
    return HistoryRow(
        rollout=view.id,
        model=view.model,
        outcome=f"{view.title} (by somebody else)" if view.external else view.title,
        started=view.started_at.strftime("%Y-%m-%d %H:%M"),
        started_by=view.started_by,
        minutes=round((end - view.started_at).total_seconds() / 60, 1),
        highest_weight=max(view.at_weight, view.weights.get(view.green, 0)),
        traffic=show_weights(view.weights),
        reason=view.reason,
    )
