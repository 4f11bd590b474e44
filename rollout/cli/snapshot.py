"""Everything that `status` and `watch` show of an endpoint at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from rollout.controller.effects import show_weights
from rollout.errors import NotFound, RolloutError, Unavailable
from rollout.reports.documents import live_document, parking_document, view_document
from rollout.reports.tables import endpoint_table, first_line, parked_line, rollout_view

if TYPE_CHECKING:
    from rollout.cli.session import Session
    from rollout.controller.ports import LiveEndpoint, MinuteSample
    from rollout.controller.state import Parking
    from rollout.controller.views import RolloutView

RECENT = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`view` is None when no rollout was ever started; `problems` says what could not be read."""

    endpoint: str
    now: datetime
    live: LiveEndpoint | None
    view: RolloutView | None
    samples: Sequence[MinuteSample]
    problems: tuple[str, ...] = ()
    parking: Parking | None = None

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "endpoint": self.endpoint,
            "time": self.now.isoformat(),
            "live": live_document(self.live, self.samples) if self.live else None,
            "rollout": view_document(self.view) if self.view else None,
            "parking": parking_document(self.parking) if self.parking else None,
            "problems": list(self.problems),
        }

    def render(self) -> RenderableType:
        """For a terminal."""
        parts: list[RenderableType] = []
        if self.live is not None:
            parts.append(
                endpoint_table(f"{self.endpoint} ({self.live.provisioning_state})", self.live, self.samples, self.view)
            )
            parts.append(Text("requests, errors and P95: the last 5 min that are in", style="dim"))
        if self.parking is not None:
            parts.append(Text(parked_line(self.parking, self.now), style="bold yellow"))
        parts.append(rollout_view(self.view, self.now) if self.view else Text("no rollout was ever started here"))
        parts += [Text(f"warning: {problem}", style="yellow") for problem in self.problems]
        return Group(*parts)

    def line(self) -> str:
        """For logs: one line."""
        if self.view is None:
            return f"{self.now:%H:%M:%S} no rollout"
        weights = self.live.weights if self.live else self.view.weights
        parts = [f"{self.now:%H:%M:%S}", self.view.title, f"| {show_weights(weights)}"]
        green = [sample for sample in self.samples if sample.deployment == self.view.green]
        if requests := sum(sample.requests for sample in green):
            errors = sum(sample.errors for sample in green)
            latencies = [sample.p95_ms for sample in green if sample.p95_ms is not None]
            worst = f", P95 {max(latencies):.0f} ms" if latencies else ""
            parts.append(f"| green: {requests} requests, {errors / requests:.2%} errors{worst}")
        if self.view.checks:
            parts.append(f"| {self.view.verdict.value}")
        if self.view.reason:
            parts.append(f"| {first_line(self.view.reason)}")
        return " ".join(parts)


def take_snapshot(session: Session) -> Snapshot:
    """Reads journal, endpoint and metrics. What does not answer becomes a problem, unless nothing answers."""
    now, problems = session.clock.now(), []
    try:
        view = session.controller.status()
    except NotFound as error:
        if error.way_out != "rollout start":
            raise
        view = None
    live: LiveEndpoint | None = None
    samples: Sequence[MinuteSample] = ()
    try:
        live = session.azure.endpoints.live()
    except (Unavailable, NotFound) as error:
        if view is None:
            raise
        problems.append(error.message)
    if live is not None and live.deployments:
        try:
            samples = session.azure.metrics.minutes(sorted(live.deployments), now - RECENT - timedelta(minutes=1), now)
        except RolloutError as error:
            problems.append(f"no metrics: {error.message}")
    parking = session.controller.parking()
    return Snapshot(session.endpoint.name, now, live, view, samples, tuple(problems), parking)
