"""The KQL texts of `queries/`: one file a query, read once.

A file has no placeholders. What differs from stack to stack is bound by `let` statements that are put in front, each
value written as a KQL literal; so no value can become a part of the query.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "queries"
Value = str | int | float
_TITLE = re.compile(r"^// (.+)$", re.MULTILINE)
#: A file says which names it wants bound: `// needs: endpoint, minRequests`.
_NEEDS = re.compile(r"^// needs: (.+)$", re.MULTILINE)


class QueryError(ValueError):
    """Not the names that the query needs, or a value that KQL has no literal for."""


def names() -> tuple[str, ...]:
    """Every query there is."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.kql")))


@cache
def text(name: str) -> str:
    """The file as it is."""
    return (FOLDER / f"{name}.kql").read_text("utf-8")


def title(name: str) -> str:
    """The first line, which says what the query shows."""
    found = _TITLE.search(text(name))
    return found[1].strip() if found else name


def needs(name: str) -> tuple[str, ...]:
    """The names that `query` has to be given."""
    found = _NEEDS.search(text(name))
    return tuple(each.strip() for each in found[1].split(",")) if found else ()


def query(name: str, **values: Value) -> str:
    """The query `name` with `values` bound; QueryError when they are not exactly what it needs."""
    if set(values) != set(needs(name)):
        raise QueryError(f"{name} needs {', '.join(needs(name)) or 'nothing'}; given: {', '.join(values) or 'nothing'}")
    bound = [f"let {each} = {literal(values[each])};" for each in needs(name)]
    body = [line for line in text(name).splitlines() if not line.startswith("// needs:")]
    # the title stays first: it is what people see in a list of rules
    return "\n".join([body[0], *bound, *body[1:]]).strip()


def literal(value: Value) -> str:
    """The value as KQL writes it."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QueryError(f"{value!r} is no text or number")
    if isinstance(value, str):
        if not value.isprintable():
            raise QueryError(f"{value!r} has characters that can't be printed")
        return json.dumps(value, ensure_ascii=False)  # KQL's escapes of quotes and backslashes are JSON's
    if isinstance(value, float):
        number = repr(value)
        if not re.fullmatch(r"-?\d+\.\d+", number):
            raise QueryError(f"{value!r} has no plain decimal form")
        return number
    return str(value)
