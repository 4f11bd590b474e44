"""What people see on a terminal: rich tables of an endpoint, a rollout, a plan, a history and a cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from contract import StackOutputs
    from rollout.analysis.plan import Plan, StepPlan
    from rollout.analysis.verdict import Check
    from rollout.controller.ports import LiveEndpoint, MinuteSample
    from rollout.controller.records import Record
    from rollout.controller.state import RolloutState

_BAR = 20
_VERDICT_STYLE = {"pass": "green", "fail": "bold red", "provider-error": "magenta"}
_PHASE_STYLE = {"Promoted": "green", "RolledBack": "bold red", "RollingBack": "bold red", "Failed": "bold red"}
_CONDITION_STYLE = {"Held": "yellow", "Paged": "bold yellow"}


def table(*columns: str, title: str = "") -> Table:
    """A table in the house style. A column named with a leading '>' is aligned to the right."""
    made = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return made


def endpoint_table(
    name: str, live: LiveEndpoint, samples: Sequence[MinuteSample], rollout: RolloutState | None
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


def weight_bar(weight: int) -> str:
    """' 50 % ██████████'."""
    return f"{weight:3d} % " + "█" * round(weight * _BAR / 100)


def rollout_view(state: RolloutState, now: datetime) -> RenderableType:
    """Where a rollout stands and why."""
    lines = Table.grid(padding=(0, 2))
    for key, value in rollout_facts(state, now).items():
        style = _PHASE_STYLE.get(state.phase.value, "") if key == "phase" else ""
        style = _CONDITION_STYLE.get(state.condition.value, style) if key == "condition" else style
        lines.add_row(Text(key, style="dim"), Text(value, style=style))
    checks = state.checks or state.smoke
    return Group(lines, checks_table(checks)) if checks else lines


def rollout_facts(state: RolloutState, now: datetime) -> dict[str, str]:
    """The same in words, for plain lines too."""
    steps = " ".join(
        f"[{weight}]" if index == state.step and state.active else str(weight)
        for index, weight in enumerate(state.policy.steps)
    )
    facts = {
        "rollout": f"{state.id} by {state.started_by}, {ago(now - state.started_at)} ago",
        "model": f"{state.spec.model} as {state.green}, from {state.blue or 'nothing'}",
        "phase": f"{state.phase.value} for {ago(now - state.phase_since)}",
        "steps": steps,
    }
    if state.condition.value != "Going":
        facts["condition"] = state.condition.value
    if state.approvals_missing and state.phase.value == "AwaitingApproval":
        facts["approvals"] = f"{len(state.approvals)} of {state.policy.approvers_required}"
    if state.reason:
        facts["reason"] = state.reason
    return facts


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


def history_table(endpoint: str, rollouts: Sequence[RolloutState]) -> Table:
    """A line a rollout, the newest first."""
    made = table("started (UTC)", "rollout", "model", "by", "outcome", ">reached", ">took", "reason", title=endpoint)
    for state in rollouts:
        took = ago(state.finished_at - state.started_at) if state.finished_at else "-"
        made.add_row(
            f"{state.started_at:%Y-%m-%d %H:%M}",
            state.id,
            state.spec.model,
            state.started_by,
            Text(state.phase.value, style=_PHASE_STYLE.get(state.phase.value, "yellow")),
            f"{state.at_weight} %",
            took,
            Text(state.failure or state.reason),
        )
    return made


def audit_table(records: Sequence[Record]) -> Table:
    """A line a journal line."""
    made = table(">#", "time (UTC)", "rollout", "who", ">fence", "what", "weights", "hash")
    for record in records:
        before, after = _weights(record.weights_before), _weights(record.weights_after)
        made.add_row(
            str(record.sequence),
            record.time[:19].replace("T", " "),
            record.rollout,
            record.actor,
            str(record.fencing),
            record.kind.value,
            Text(after if before == after else f"{before} -> {after}"),
            Text(record.hash[:12], style="dim"),
        )
    return made


def cost_table(outputs: StackOutputs) -> Table:
    """A line a component; the total against the budget."""
    made = table("component", ">USD a month", "basis", title=f"stack {outputs.stack} ({outputs.environment})")
    for line in outputs.cost.lines:
        made.add_row(line.component, f"{line.monthly_usd:,.2f}", Text(line.basis))
    share = outputs.cost.monthly_usd / outputs.cost.budget_usd
    style = "bold red" if share > 1 else "yellow" if share > 0.8 else "bold"
    made.add_section()
    made.add_row(
        Text("total", style=style),
        Text(f"{outputs.cost.monthly_usd:,.2f}", style=style),
        f"{share:.0%} of the budget of {outputs.cost.budget_usd:,.2f}",
    )
    return made


def ago(span: timedelta) -> str:
    """'42 s', '7 min', '3.5 h', '12 d'."""
    seconds = max(0.0, span.total_seconds())
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172_800, "h", 3600)):
        if seconds < limit:
            amount = seconds / size
            return f"{amount:.1f} {unit}" if unit == "h" else f"{amount:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _weights(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in sorted(weights.items()) if weight) or "-"


def _coloured(name: str, rollout: RolloutState | None) -> Text:
    if rollout is not None and name == rollout.green:
        return Text(f"{name} (green)", style="green")
    if rollout is not None and name == rollout.blue:
        return Text(f"{name} (blue)", style="blue")
    return Text(name)
