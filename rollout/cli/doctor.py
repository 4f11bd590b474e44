"""`rollout doctor`: what this machine has, and what is missing."""

from __future__ import annotations

from typing import Annotated

import typer

_MARKS = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "missing": "[bold red]missing[/]"}


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """What this machine has, and what is missing. Exit code 1 when something is missing that all else needs."""
    from dataclasses import asdict

    from rollout.cli.output import emit, show
    from rollout.ops.doctor import examine

    findings = examine()
    healthy = all(finding.state != "missing" for finding in findings)
    if json:
        emit({"healthy": healthy, "findings": [asdict(finding) for finding in findings]})
    else:
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, pad_edge=False)
        for title in ("", "looked for", "found", "way out"):
            table.add_column(title, overflow="fold")
        for finding in findings:
            table.add_row(_MARKS[finding.state], finding.name, escape(finding.found), escape(finding.way_out))
        show(table)
    if not healthy:
        raise typer.Exit(1)


app = typer.Typer(add_completion=False, rich_markup_mode=None)
app.command("doctor", context_settings={"help_option_names": ["-h", "--help"]})(doctor)
