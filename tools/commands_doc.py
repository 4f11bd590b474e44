"""Writes docs/commands.md from `--help` of every command. `--check`: only say whether it is current.

Run from the repository: python tools/commands_doc.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
WIDTH = 100
_HEAD = """# Commands

Generated from `--help` by `python tools/commands_doc.py`; a test holds it to the commands.

Errors are one line on stderr and a way out; `--json` gives one JSON object a line on stdout.
"""


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, depth first, in the order of `--help`."""
    from typer.main import get_command

    from rollout.cli.app import COMMANDS, app

    yield "rollout", get_command(app)
    for entry in COMMANDS:
        yield from _below(f"rollout {entry.name}", entry.load())


def render() -> str:
    """The whole page."""
    os.environ["TERM"] = "dumb"
    return _HEAD + "".join(f"\n## {name}\n\n```\n{help_of(name, command)}\n```\n" for name, command in commands())


def help_of(name: str, command: Any) -> str:
    """The command's help as the terminal shows it, `WIDTH` wide."""
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH)
    lines = command.get_help(context).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for child, found in getattr(command, "commands", {}).items():
        yield from _below(f"{name} {child}", found)


def main() -> int:
    page = render()
    if "--check" in sys.argv[1:]:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == page:
            return 0
        print("docs/commands.md is not current; way out: python tools/commands_doc.py", file=sys.stderr)
        return 1
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
