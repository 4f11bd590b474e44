"""What people see on a terminal: rich tables of an endpoint, a rollout, a plan, a history and a cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rollout.analysis.verdict import Check, Verdict
from rollout.controller.effects import same_weights, show_weights

if TYPE_CHECKING:
    from contract import StackOutputs
    from rollout.analysis.plan import Plan, StepPlan
    from rollout.controller.ports import LiveEndpoint, MinuteSample
    from rollout.controller.state import Parking
    from rollout.controller.views import RolloutView
    from rollout.reports.audit import AuditRow
    from rollout.reports.history import HistoryRow

_BAR = 10
_VERDICT_STYLE = {
    Verdict.PASS.value: "green",
    Verdict.FAIL.value: "bold red",
    Verdict.PROVIDER_ERROR.value: "magenta",
}
_PHASE_STYLE = {"Promoted": "green", "RolledBack": "bold red", "RollingBack": "bold red", "Failed": "bold red"}
_CONDITION_STYLE = {"Held": "yellow", "Paged": "bold yellow"}


def table(*columns: str, title: str = "") -> Table:
    """A table in the house style. A column named with a leading '>' is aligned to the right."""
    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(
            column.removeprefix(">"), justify="right" if column.startswith(">") else "left", overflow="fold"
        )
    return made


def endpoint_table(
    name: str, live: LiveEndpoint, samples: Sequence[MinuteSample], rollout: RolloutView | None
) -> Table:
    """A line a deployment: what it is, what traffic it takes, and how the last minutes went."""
    made = table("deployment", "model", "state", ">instances", "traffic", ">requests", ">errors", ">P95 ms", title=name)
    for deployment in sorted(live.deployments.values(), key=lambda one: (-live.weights.get(one.name, 0), one.name)):
        weight = live.weights.get(deployment.name, 0)
        own = [sample for sample in samples if sample.deployment == deployment.name]
        requests, errors = sum(one.requests for one in own), sum(one.errors for one in own)
        latencies = [one.p95_ms for one in own if one.p95_ms is not None]
        made.add_row(
            _coloured(deployment.name, rollout),
            deployment.model,
            deployment.provisioning_state,
            str(deployment.instance_count),
            Text(weight_bar(weight)),
            str(requests) if own else "-",
            f"{errors / requests:.2%}" if requests else "-",
            f"{max(latencies):.0f}" if latencies else "-",
        )
    return made


def parked_line(parking: Parking, now: datetime) -> str:
    """'Parked 7 min ago by anna: off hours; unpark gives back churn-v7 100'."""
    back = f"{', '.join(sorted(parking.deployments))}; traffic {show_weights(parking.weights)}"
    return f"{parking.stage.value} {ago(now - parking.since)} ago by {parking.by}: {parking.reason}; unpark: {back}"


def weight_bar(weight: int) -> str:
    """' 50 % ██████████'."""
    return f"{weight:3d} % " + "█" * round(weight * _BAR / 100)


def rollout_view(view: RolloutView, now: datetime) -> RenderableType:
    """Where a rollout stands and why."""
    lines = Table.grid(padding=(0, 2))
    for key, value in rollout_facts(view, now).items():
        style = _style(view) if key == "phase" else ""
        lines.add_row(Text(key, style="dim"), Text(value, style=style))
    return Group(lines, checks_table(view.checks)) if view.checks else lines


def rollout_facts(view: RolloutView, now: datetime) -> dict[str, str]:
    """The same in words, for plain lines too."""
    steps = " ".join(
        f"[{weight}]" if index == view.step and view.active else str(weight) for index, weight in enumerate(view.steps)
    )
    facts = {
        "rollout": f"{view.id} by {view.started_by}, {ago(now - view.started_at)} ago",
        "model": f"{view.model} as {view.green}, from {view.blue or 'nothing'}",
        "phase": view.title,
        "steps": steps,
    }
    if view.approvals_missing:
        facts["approvals"] = f"{len(view.approvals)} given, {view.approvals_missing} missing"
    if view.reason:
        facts["reason"] = first_line(view.reason)
    if view.pending:
        facts["under way"] = view.pending
    if view.next_at is not None:
        when = f"in {ago(view.next_at - now)}" if view.next_at > now else "with the next tick"
        facts["next"] = f"{_next(view)} {when}"
    if view.live_weights is not None and not same_weights(view.live_weights, view.weights):
        facts["warning"] = f"the journal says {show_weights(view.weights)}, live is {show_weights(view.live_weights)}"
    return facts


def _next(view: RolloutView) -> str:
    if not view.active:
        return "the old deployment is deleted"
    return "the longest hold ends" if view.condition.value == "Held" else "the bake ends"


def _style(view: RolloutView) -> str:
    return _CONDITION_STYLE.get(view.condition.value) or _PHASE_STYLE.get(view.phase.value, "cyan")


def checks_table(checks: Iterable[Check]) -> Table:
    """A line a check, its verdict first."""
    made = table("verdict", "check", "detail")
    for check in checks:
        style = _VERDICT_STYLE.get(check.verdict.value, "yellow")
        shared = " (blue too)" if check.shared else ""
        made.add_row(Text(check.verdict.value, style=style), check.name, Text(check.detail + shared))
    return made


def plan_table(plan: Plan) -> RenderableType:
    """What each step can see, and how soon; what it can't see is said."""
    traffic = plan.traffic
    title = (
        f"{traffic.requests_per_minute:.0f} requests/min, {traffic.error_rate:.2%} errors over the last "
        f"{traffic.minutes_seen} min; shortest way: {plan.minutes:.0f} min"
    )
    regressions = [sight.regression for sight in plan.steps[0].sights] if plan.steps else []
    made = table(
        ">step", ">green req/min", ">bake min", ">requests", *(f">+{one:.0%}" for one in regressions), title=title
    )
    for step in plan.steps:
        made.add_row(*_plan_row(step))
    notes = [Text(step.blind, style="bold red") for step in plan.blind_steps]
    caption = Text(
        "+5%: minutes (green requests) until green is caught when it errs on 5 % more than blue; - never", "dim"
    )
    return Group(made, caption, *notes)


def _plan_row(step: StepPlan) -> list[str]:
    sights = [
        "-" if sight.minutes is None else f"{sight.minutes:.0f} ({sight.green_requests})" for sight in step.sights
    ]
    rate = f"{step.green_requests_per_minute:.1f}"
    return [f"{step.weight} %", rate, f"{step.bake_minutes:g}", str(step.expected_requests), *sights]


def history_table(endpoint: str, rows: Sequence[HistoryRow]) -> Table:
    """A line a rollout."""
    made = table(
        "started (UTC)", "rollout", "model", "by", "outcome", ">reached", ">min", "traffic", "why", title=endpoint
    )
    for row in rows:
        style = _PHASE_STYLE.get(row.outcome.partition(" ")[0], "yellow")
        made.add_row(
            row.started,
            row.rollout,
            row.model,
            row.started_by,
            Text(row.outcome, style=style),
            f"{row.highest_weight} %",
            f"{row.minutes:g}",
            row.traffic,
            Text(first_line(row.reason)),
        )
    return made


def audit_table(rows: Sequence[AuditRow]) -> Table:
    """A line a journal line. Who wrote it under which fencing number: 'anna@host #3'."""
    made = table(">#", "time (UTC)", "who", "what happened", "traffic")
    for row in rows:
        what = Text.assemble((f"{row.kind} ", "bold"), first_line(row.what))
        made.add_row(str(row.sequence), row.time, f"{row.actor} #{row.fencing}", what, row.traffic)
    return made


def cost_table(outputs: StackOutputs) -> RenderableType:
    """A line a component, the plan's figure beside the estimate; the total against the budget."""
    cost = outputs.cost
    title = f"stack {outputs.stack} ({outputs.environment})"
    made = table("component", ">plan", ">USD a month", ">parking saves", "basis", title=title)
    for line in cost.lines:
        plan = "" if line.plan_usd is None else f"{line.plan_usd:,.2f}"
        saves = f"{line.parking_saves_usd:,.2f}" if line.parking_saves_usd else ""
        made.add_row(line.component, plan, f"{line.monthly_usd:,.2f}", saves, Text(line.basis))
    share, left = cost.monthly_usd / cost.budget_usd, cost.budget_usd - cost.monthly_usd
    style = "bold red" if share > 1 else "yellow" if share > 0.8 else "bold"
    saved = sum(line.parking_saves_usd for line in cost.lines)
    made.add_section()
    made.add_row(
        Text("total", style=style),
        "",
        Text(f"{cost.monthly_usd:,.2f}", style=style),
        f"{saved:,.2f}",
        f"{share:.0%} of the budget of {cost.budget_usd:,.2f}; {abs(left):,.2f} {'left' if left >= 0 else 'over'}",
    )
    notes = [
        "plan: endpoints outside prod at the low-priority price; Azure has no such tier for them, nor scale to zero"
    ]
    if saved:
        notes.append(f"parking saves: `rollout park` in the off hours, {cost.parked_hours:g} h a month")
    return Group(made, *(Text(note, style="dim") for note in notes))


def first_line(text: str) -> str:
    """A failure's reason may carry the tail of a log."""
    return text.partition("\n")[0]


def ago(span: timedelta) -> str:
    """'42 s', '7 min', '3.5 h', '12 d'."""
    seconds = max(0.0, span.total_seconds())
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            amount = seconds / size
            return f"{amount:.1f} {unit}" if unit == "h" else f"{amount:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _coloured(name: str, rollout: RolloutView | None) -> Text:
    if rollout is not None and name == rollout.green:
        return Text(f"{name} (green)", style="green")
    if rollout is not None and name == rollout.blue:
        return Text(f"{name} (blue)", style="blue")
    return Text(name)
