"""A command group that imports a command's module only when that command is called.

`rollout --help` needs names and one line each; the table has those. A test holds the table to the real commands.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is: `module:attribute`, a function or a Typer app, and its line in `rollout --help`."""

    name: str
    target: str
    help: str
    panel: str

    def load(self) -> Any:
        """The real command."""
        module, _, attribute = self.target.partition(":")
        found = getattr(importlib.import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            # Plain help: typer's rich one costs more than the rest of the start-up (docs/adr/0006-cli.md).
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(self.name, context_settings={"help_option_names": ["-h", "--help"]})(found)
            found = app
        command = get_command(found)
        command.name = self.name
        return command

    def stub(self) -> TyperCommand:
        """Enough of the command for the list of commands."""
        return TyperCommand(self.name, help=self.help, short_help=self.help, rich_help_panel=self.panel)


class LazyGroup(TyperGroup):
    """Subclasses set `table`."""

    table: tuple[Entry, ...] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {entry.name: entry.stub() for entry in self.table}  # also what typos are compared with
        self._called = ""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The stub for lists and completion; the real one when it is being called."""
        if cmd_name == self._called:
            return next((entry.load() for entry in self.table if entry.name == cmd_name), None)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self._called = args[0]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands under the headings of the table."""
        for panel in dict.fromkeys(entry.panel for entry in self.table):
            with formatter.section(panel):
                formatter.write_dl([(entry.name, entry.help) for entry in self.table if entry.panel == panel])
