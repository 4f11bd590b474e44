"""What `rollout batch show` and `score` say of costs and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from rollout.batch.cost import Measured, batch_per_thousand
from rollout.reports.tables import table

if TYPE_CHECKING:
    from rollout.azure.batch import LiveBatch
    from rollout.cli.batch_session import BatchSession

JOBS = 5


@dataclass(frozen=True, slots=True)
class Costs:
    """USD for a thousand predictions: of a measured job, and online beside it. None where nobody knows."""

    batch: float | None
    batch_basis: str
    online: float | None
    online_basis: str

    @classmethod
    def of(cls, session: BatchSession, job: Measured | None) -> Costs:
        online, online_basis = session.online()
        if job is None or not session.usd_per_hour:
            why = "no job was measured" if job is None else "no price of the cluster in the stack's outputs"
            return cls(None, why, online, online_basis)
        basis = (
            f"{job.rows:,} rows in {job.seconds:.1f} s on {job.nodes} node(s) at {session.usd_per_hour:g} USD an hour"
        )
        return cls(batch_per_thousand(job, session.usd_per_hour), basis, online, online_basis)

    def document(self) -> dict[str, Any]:
        return {
            "usd_per_thousand": {"batch": self.batch, "online": self.online},
            "basis": {"batch": self.batch_basis, "online": self.online_basis},
        }

    def lines(self) -> list[str]:
        """Both figures, under one another."""
        return [
            f"USD per 1,000 predictions, {name:<7} {'-' if value is None else f'{value:.6f}'}  ({basis})"
            for name, value, basis in (
                ("batch:", self.batch, self.batch_basis),
                ("online:", self.online, self.online_basis),
            )
        ]


@dataclass(frozen=True, slots=True)
class Look:
    """One endpoint at one moment."""

    endpoint: str
    live: Sequence[LiveBatch]
    jobs: Sequence[tuple[str, str, Measured | None]]
    costs: Costs

    def document(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "deployments": [asdict(each) for each in self.live],
            "jobs": [
                {"job": name, "status": status, **(asdict(found) if found else {})} for name, status, found in self.jobs
            ],
            **self.costs.document(),
        }

    def render(self) -> RenderableType:
        made = table("deployment", "model", "state", "default", "before it", title=self.endpoint)
        for each in self.live:
            made.add_row(each.name, each.model, each.state, "yes" if each.default else "", each.previous)
        jobs = table("job", "status", ">rows", ">seconds", ">nodes", title="last jobs")
        for name, status, found in self.jobs:
            numbers = (f"{found.rows:,}", f"{found.seconds:.1f}", str(found.nodes)) if found else ("", "", "")
            jobs.add_row(name, status, *numbers)
        return Group(made, jobs, *(Text(line) for line in self.costs.lines()))


def look(session: BatchSession) -> Look:
    """Reads it all."""
    jobs = []
    for each in list(session.runs.jobs_of(session.endpoint.name))[:JOBS]:
        status = str(each["properties"].get("status") or "")
        jobs.append((str(each["name"]), status, session.measured(each["name"]) if status == "Completed" else None))
    last = next((found for _, _, found in jobs if found is not None), None)
    return Look(session.endpoint.name, session.batch.live(), jobs, Costs.of(session, last))
