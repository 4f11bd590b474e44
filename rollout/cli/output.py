"""What is printed, and how: people get tables and colour, machines one JSON object a line on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from rollout.errors import RolloutError

WIDTH_OF_LOGS = 180


@cache
def console() -> Console:
    """Standard output. Colour only on a terminal; NO_COLOR is honoured; wide where nobody's window is the limit."""
    from rich.console import Console

    # The stream of now: while an SDK's stdout is redirected, the live view goes on.
    made = Console(file=sys.stdout, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = WIDTH_OF_LOGS
    return made


@cache
def errors() -> Console:
    """Standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show(what: RenderableType) -> None:
    """Print for a person."""
    console().print(what)


def say(text: str) -> None:
    """Print one line as it is: square brackets are no markup."""
    console().print(text, markup=False, soft_wrap=True)


def emit(document: Mapping[str, Any]) -> None:
    """Print for a machine: one line, at once."""
    sys.stdout.write(json.dumps(document, default=str, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def print_error(error: RolloutError) -> None:
    """One red line (a log may follow it), and the way out."""
    from rich.text import Text

    first, _, rest = error.message.partition("\n")
    errors().print(Text(f"error: {first}", style="bold red"), soft_wrap=True)
    if rest:
        errors().print(Text(rest, style="dim"), soft_wrap=True)
    if error.way_out:
        errors().print(Text(f"way out: {error.way_out}"), soft_wrap=True)
