"""`python -m demo`: plays the story, writes out/demo/summary.json and out/demo/report.html.

Exit code 0 when every act was as promised, else 1. The sandbox is taken down at the end, unless --keep.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from demo.acts import Story
from demo.data import write_tables
from demo.report import Table, write_report
from demo.stage import ENDPOINT, ROOT, Stage, StageError
from demo.summary import Act, write_summary


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "demo")
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up, to look around")
    args = parser.parse_args()
    stage = Stage(args.out.resolve())
    began = time.monotonic()
    stage.tell("A model's life on Azure ML, on a sandbox on this machine. A policy minute passes in a second.")
    try:
        stage.raise_curtain()
    except StageError as error:
        stage.tell(str(error))
        return 1
    story = Story(stage, *write_tables(stage.out / "data"))
    acts: list[Act] = []
    try:
        for number, (name, play) in enumerate(story.acts(), 1):
            acts.append(_play(stage, Act(number, name), play))
            write_summary(stage.out / "summary.json", acts)
            if not acts[-1].ok and number < 3:
                break
        write_report(stage.out / "report.html", acts, story.clients.seen(), _tables(stage))
    finally:
        story.clients.stop()
        if not args.keep:
            stage.drop_curtain()
    return _close(stage, acts, time.monotonic() - began, len(story.acts()))


def _play(stage: Stage, act: Act, play: Callable[[Act], bool]) -> Act:
    stage.act(act.act, act.name)
    act.started = time.time()
    try:
        act.ok = play(act)
    except StageError as error:
        act.problem = str(error).splitlines()[0]
        stage.console.print(str(error), style="red", markup=False)
    act.ended = time.time()
    verdict = "[green]as promised[/green]" if act.ok else "[red]NOT as promised[/red]"
    stage.tell(f"{verdict} in {act.ended - act.started:.0f} s: {act.facts}")
    return act


def _tables(stage: Stage) -> list[Table]:
    """History, audit trail and cost, for the report."""
    try:
        history = stage.documents("rollout", "history", ENDPOINT)
        audit = [line for line in stage.documents("rollout", "audit", ENDPOINT) if "kind" in line]
        cost = stage.document("rollout", "cost")
    except StageError as error:
        return [Table("The journal could not be read", ("why",), [(str(error),)])]
    return [
        Table(
            "Rollouts",
            ("Model", "Green", "From", "Phase", "Reason"),
            [(r["model"], r["green"], r["blue"] or "-", r["phase"], r["reason"]) for r in history],
        ),
        Table(
            "Audit trail",
            ("#", "Policy time (UTC)", "Who", "What", "Why or evidence", "Weights before", "Weights after"),
            [_audit_row(line) for line in audit if line["kind"] != "told"],
        ),
        Table(
            f"Cost: {cost['monthly_usd']:.2f} USD a month of a budget of {cost['budget_usd']:.0f}",
            ("Component", "USD a month", "Basis"),
            [(line["component"], f"{line['monthly_usd']:.2f}", line["basis"]) for line in cost["lines"]],
        ),
    ]


def _audit_row(line: dict[str, object]) -> tuple[object, ...]:
    evidence = line["evidence"] if isinstance(line["evidence"], dict) else {}
    effect = evidence.get("effect") or {}
    checks = "; ".join(
        f"{check['name']} {check['verdict']}: {check['detail']}" for check in evidence.get("checks") or []
    )
    what = " ".join(str(part) for part in (line["kind"], effect.get("kind", "")) if part)
    why = checks or evidence.get("reason") or evidence.get("detail") or ""
    return (
        line["sequence"], str(line["time"])[:19], line["actor"], what, why,
        _weights(line["weights_before"]), _weights(line["weights_after"]),
    )  # fmt: skip


def _weights(weights: object) -> str:
    return ", ".join(f"{name} {share}" for name, share in weights.items()) if isinstance(weights, dict) else ""


def _close(stage: Stage, acts: list[Act], seconds: float, promised: int) -> int:
    kept = sum(act.ok for act in acts)
    stage.console.rule(f"{kept} of {promised} acts as promised, {seconds:.0f} s")
    stage.tell(f"report  {stage.out / 'report.html'}\nsummary {stage.out / 'summary.json'}")
    return 0 if kept == promised else 1


if __name__ == "__main__":
    sys.exit(main())
