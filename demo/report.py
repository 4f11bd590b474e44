"""out/demo/report.html: one page, nothing fetched, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from demo.charts import Span, timeline
from demo.clients import Request, failures
from demo.summary import Act


@dataclass(frozen=True, slots=True)
class Table:
    """Rows to show under a title; each has one cell per column."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]


def write_report(path: Path, acts: list[Act], requests: list[Request], tables: list[Table]) -> None:
    """Write the page. Everything is escaped but the chart, which is drawn here."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html", "j2"])
    )
    spans = [
        Span(f"act {act.act}", act.started, act.ended) for act in acts if act.ended > (requests[0].t if requests else 0)
    ]
    page = templates.get_template("report.html.j2").render(
        acts=acts,
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        requests=len(requests),
        failed=failures(requests),
        blamed=bool(failures(requests)) and _only_by_bad_releases(acts, requests),
        chart=timeline(requests, spans),
        tables=tables,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)


def _only_by_bad_releases(acts: list[Act], requests: list[Request]) -> bool:
    bad = {act.facts["release"] for act in acts if act.facts.get("rolled_back") and "release" in act.facts}
    return all(request.deployment in bad for request in requests if request.failed)
