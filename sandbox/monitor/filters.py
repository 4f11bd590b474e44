"""The metrics API's `$filter`: `deployment eq 'green' and (statusCode eq '500' or statusCode eq '503')`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate

from sandbox.kernel.errors import AzureError

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<sign>[()])|(?P<word>[A-Za-z_][\w.-]*))")
_OPERATORS = ("eq", "ne", "sw")


@dataclass(slots=True)
class Filter:
    """Wanted values by dimension name; every dimension named splits the answer. Values are matched without case."""

    terms: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def dimensions(self) -> tuple[str, ...]:
        return tuple(self.terms)

    def matches(self, values: dict[str, str]) -> bool:
        return all(_any(values.get(name, ""), terms) for name, terms in self.terms.items())


def parse(text: str | None, known: Sequence[str]) -> Filter:
    """AzureError 400 for what is not understood, and for a dimension that the metric lacks."""
    result = Filter()
    if not text:
        return result
    tokens = list(_tokens(text))
    at, depth, joined_by_or = 0, 0, ""
    while at < len(tokens):
        if tokens[at] == "(":
            depth, at = depth + 1, at + 1
            continue
        name, operator, value = _term(tokens[at : at + 3], text, known)
        if joined_by_or and joined_by_or != name:
            raise _bad(text, f"'or' can't join the dimensions {joined_by_or} and {name}")
        result.terms.setdefault(name, []).append((operator, value))
        at += 3
        while at < len(tokens) and tokens[at] == ")":
            depth, at = depth - 1, at + 1
        joined_by_or = ""
        if at < len(tokens):
            if tokens[at].lower() not in ("and", "or") or at + 1 == len(tokens):
                raise _bad(text, f"unexpected {tokens[at]}")
            joined_by_or = name if tokens[at].lower() == "or" else ""
            at += 1
    if depth:
        raise _bad(text, "unbalanced parentheses")
    return result


def _term(tokens: list[str], text: str, known: Sequence[str]) -> tuple[str, str, str]:
    if len(tokens) < 3 or tokens[1].lower() not in _OPERATORS or not tokens[2].startswith("'"):
        raise _bad(text, "expected: dimension eq 'value'")
    names = {name.lower(): name for name in known}
    name = names.get(tokens[0].lower())
    if name is None:
        raise _bad(text, f"there is no dimension {tokens[0]}; the metric has {', '.join(known) or 'none'}")
    return name, tokens[1].lower(), tokens[2][1:-1].replace("''", "'")


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _bad(text, f"unexpected {text[at:].strip()[:20]}")
        yield match.group().strip()
        at = match.end()


def _any(value: str, terms: list[tuple[str, str]]) -> bool:
    excluded = [wanted for operator, wanted in terms if operator == "ne"]
    included = [(operator, wanted) for operator, wanted in terms if operator != "ne"]
    if any(value.lower() == wanted.lower() for wanted in excluded):
        return False
    return not included or any(_one(value.lower(), operator, wanted.lower()) for operator, wanted in included)


def _one(value: str, operator: str, wanted: str) -> bool:
    if operator == "sw":
        return value.startswith(wanted)
    return re.match(translate(wanted.replace("[", "[[]").replace("?", "[?]")), value) is not None


def _bad(text: str, detail: str) -> AzureError:
    return AzureError(400, "BadRequest", f"Invalid filter {text!r}: {detail}.")
