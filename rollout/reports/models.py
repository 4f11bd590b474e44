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
