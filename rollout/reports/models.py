"""What people see of registered models on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rollout.reports.tables import table

if TYPE_CHECKING:
    from rollout.models.catalogue import Comparison, Difference, Version
    from rollout.models.profiling import Profile
    from rollout.models.validation import Report

_VERDICT_STYLE = {"pass": "green", "warn": "yellow", "fail": "bold red"}  # nosec B105  # a verdict
_GATES_STYLE = {"passed": "green", "missed": "bold red", "unknown": "yellow"}


def versions_table(versions: Sequence[Version], stack: str) -> Table:
    """A line a version."""
    made = table(
        "model", "semantic", "stage", ">F1", ">AUC", f"gates of {stack}", "hash", "signed by", "serves", "created"
    )
    for each in versions:
        made.add_row(
            f"{each.name}:{each.version}",
            each.semantic or "-",
            ", ".join(each.stages) or "-",
            _metric(each, "f1"),
            _metric(each, "auc"),
            Text(each.gates, style=_GATES_STYLE[each.gates]),
            (each.model_hash or each.files_hash)[:12] or "-",
            each.signed_by or "-",
            ", ".join(each.serves) or "-",
            each.created[:16].replace("T", " "),
        )
    return made


def version_table(version: Version, stack: str) -> Table:
    """One version, a line a fact."""
    made = table("", "", title=f"{version.name}:{version.version}")
    facts = {
        "registry": version.registry,
        "semantic version": version.semantic,
        "stage": ", ".join(version.stages),
        "created": version.created,
        **{name: f"{value:.4f}" for name, value in version.metrics.items()},
        f"gates of {stack}": "; ".join(version.shortfalls) or version.gates,
        "model hash": version.model_hash,
        "data hash": version.data_hash,
        "files hash": version.files_hash,
        "signed by": version.signed_by or "not signed",
        "serves": ", ".join(version.serves) or "nowhere",
    }
    known = {*version.metrics, "version", "stage", "model_hash", "data_hash", "files_hash", "signed_by"}
    facts |= {name: value for name, value in sorted(version.tags.items()) if name not in known}
    for name, value in facts.items():
        if value:
            made.add_row(name, value)
    return made


def comparison_table(found: Comparison) -> RenderableType:
    """Metrics, facts and inputs of two versions; what differs is bold."""
    names = [f"{each.name}:{each.version}" for each in (found.first, found.second)]
    metrics = table("metric", f">{names[0]}", f">{names[1]}", ">change")
    for each in found.metrics:
        metrics.add_row(each.what, each.first, each.second, each.change)
    facts = table("", *names)
    for each in found.facts:
        facts.add_row(*_fact(each))
    inputs = [Text(f"inputs  {each}") for each in found.schema] or [Text("inputs  are the same")]
    return Group(metrics, facts, *inputs)


def _fact(fact: Difference) -> tuple[Text, Text, Text]:
    style = "bold" if fact.differs else "dim"
    first, second, what = fact.first or "-", fact.second or "-", fact.what
    return Text(what, style=style), Text(first, style=style), Text(second, style=style)


def _metric(version: Version, name: str) -> str:
    return f"{version.metrics[name]:.3f}" if name in version.metrics else "-"


def findings_table(report: Report) -> Table:
    """A line a finding."""
    made = table("check", "verdict", "seen", title=f"{report.model} for {report.stack}: {report.verdict}")
    for each in report.findings:
        made.add_row(each.check, Text(each.verdict, style=_VERDICT_STYLE[each.verdict]), Text(each.said))
    return made


def profile_table(model: str, measured: Sequence[Profile]) -> Table:
    """A line a load."""
    columns = (
        ">rows",
        ">at a time",
        ">P50 ms",
        ">P95 ms",
        ">P99 ms",
        ">requests/s",
        ">errors",
        ">memory MB",
        ">size MB",
    )
    made = table(*columns, title=f"{model}, one worker of Azure's inference server on this machine")
    for each in measured:
        memory = f"{each.memory_mb:.0f}" if each.memory_mb is not None else "-"
        times = (f"{value:.1f}" for value in (each.p50_ms, each.p95_ms, each.p99_ms, each.per_second))
        made.add_row(str(each.rows), str(each.concurrency), *times, str(each.errors), memory, f"{each.size_mb:.1f}")
    return made
