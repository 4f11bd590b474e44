"""KQL made safe for the database: read into tokens, checked against what is understood, written out anew.

The database's Kusto dialect passes words that it doesn't know through to SQL, where some read files; so nothing gets
there that isn't listed here. What is listed was compared with Kusto's documented results; functions whose results differ
(tolong of a fraction, arg_max, trim ...) are left out and refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPERATORS = _words(
    "where filter extend project project-away project-rename project-keep summarize count top sort order take limit"
    " distinct join union mv-expand as render"
)
FUNCTIONS = _words(
    # aggregates
    "count countif sum sumif avg avgif min minif max maxif dcount dcountif percentile stdev stdevif variance make_list"
    " make_set take_any any"
    # scalars
    " bin floor iff iif case isnull isnotnull isempty isnotempty isnan coalesce tostring todouble toreal tobool strcat"
    " strcat_delim strlen tolower toupper substring split extract replace_string indexof countof reverse abs round"
    " ceiling sqrt pow log log10 log2 exp min_of max_of sign not array_length base64_encode_tostring"
    # times
    " now ago datetime_diff datetime_add startofday endofday startofmonth dayofweek hourofday getyear monthofyear"
    " dayofmonth datetime_part todatetime totimespan make_datetime"
    # literals
    " datetime date timespan time guid int long real double bool dynamic"
)
#: Words that may stand before a parenthesis without being functions.
_KEYWORDS = _words(
    "and or by in in~ has has_any has_all between where filter on join union from to step of with project extend summarize"
    " print distinct top sort order datatable"
    # kinds of joins, before the table in brackets
    " inner innerunique leftouter rightouter fullouter leftanti leftsemi rightanti rightsemi"
)
_RAW_LITERALS = frozenset(("datetime", "date", "timespan", "time", "guid"))
_TEXTUAL = frozenset(("tostring", "strcat", "strcat_delim"))
_OF_PROPERTIES = frozenset(("tostring", "todouble", "toreal"))
_TIMES = _words("TimeGenerated datetime date now ago startofday endofday startofmonth todatetime make_datetime bin")
_SOURCES = frozenset(("print", "range", "union", "datatable"))
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
      |(?P<verbatim>[hH]?@(?:"(?:[^"]|"")*"|'(?:[^']|'')*'))
      |(?P<text>[hH]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
      |(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+|ms|microseconds?|ticks?|[dhms])?(?![\w]))
      |(?P<word>!?in~|!?\$?[A-Za-z_]\w*(?:-(?:away|rename|keep|expand|reorder|series|distinct|where)\b)?)
      |(?P<sign>\.\.|==|!=|=~|!~|<=|>=|<>|[|(),\[\]<>=+\-*/%;:.])""",
    re.VERBOSE,
)
_RAW = re.compile(r"\(\s*([0-9A-Za-z:.+\- ]*?)\s*\)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


class KqlError(Exception):
    """The query is not understood. `code` is Azure's: SyntaxError or SemanticError, or NotImitatedBySandbox."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: word, text, number, sign, literal (a time) or property (of an object); `text` is what is written out, `at` where it stood."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Query:
    """What may be run: `text` in the database's dialect, the known tables that it names, whether it is a bare `print`."""

    text: str
    tables: tuple[str, ...]
    prints: bool


def prepare(text: str, tables: Sequence[str], now: datetime, objects: Collection[str] = ()) -> Query:
    """Check `text`; `now()` and `ago()` are taken from `now`, `objects` are columns that hold one.

    KqlError names what isn't understood.
    """
    tokens = list(_properties(list(_tokens(text)), objects))
    statements = _statements(tokens, text)
    names = {statement[1].text for statement in statements[:-1]}
    _check_start(statements[-1], names | set(tables), text)
    for statement in statements:
        _check(statement, text)
    used = tuple(name for name in tables if any(token.kind == "word" and token.text == name for token in tokens))
    written = "; ".join(" ".join(_written(statement, now)) for statement in statements)
    return Query(written, used, statements[-1][0].text == "print" and all(t.text != "|" for t in statements[-1]))


def _tokens(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _syntax(text, at, f"unexpected {text[at]!r}")
        kind, found = str(match.lastgroup), match.group()
        if kind == "word" and found in _RAW_LITERALS and (raw := _RAW.match(text, match.end())):
            yield Token("literal", f"{found}({raw[1]})", at)
            at = raw.end()
            continue
        if kind in ("text", "verbatim"):
            yield Token("text", _quoted(_decoded(found)), at)
        elif kind != "space":
            yield Token(kind, found, at)
        at = match.end()


def _properties(tokens: list[Token], objects: Collection[str]) -> Iterator[Token]:
    """`Column["key"]` as one token, where its text or number is asked for; elsewhere it stays and is refused."""
    at = 0
    while at < len(tokens):
        here = tokens[at : at + 4]
        asked = at > 1 and tokens[at - 1].text == "(" and tokens[at - 2].text in _OF_PROPERTIES
        shape = [token.kind for token in here] == ["word", "sign", "text", "sign"]
        if asked and shape and here[0].text in objects and (here[1].text, here[3].text) == ("[", "]"):
            yield Token("property", f"JSONExtract({here[0].text}, {here[2].text}, 'String')", here[0].at)
            at += 4
        else:
            yield tokens[at]
            at += 1


def _decoded(literal: str) -> str:
    """What a string literal means: '..', "..", @'..', each with an h before it or not."""
    body = literal.lstrip("hH")
    if body.startswith("@"):
        quote = body[1]
        return body[2:-1].replace(quote * 2, quote)
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), body[1:-1])


def _quoted(value: str) -> str:
    if "\0" in value:
        raise KqlError("SyntaxError", "A string literal can't hold the character 0.")
    escaped = (
        value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    )
    return f"'{escaped}'"


def _statements(tokens: list[Token], text: str) -> list[list[Token]]:
    statements: list[list[Token]] = [[]]
    for token in tokens:
        if token.text == ";" and token.kind == "sign":
            statements.append([])
        else:
            statements[-1].append(token)
    statements = [statement for statement in statements if statement]
    if not statements:
        raise KqlError("SyntaxError", "The query is empty.")
    for statement in statements[:-1]:
        words = [token.text for token in statement[:3]]
        if words[0] != "let" or len(statement) < 4 or words[2] != "=" or statement[1].kind != "word":
            raise _syntax(text, statement[0].at, "only 'let name = ...' may come before the one query")
        if statement[1].text in FUNCTIONS | OPERATORS | _KEYWORDS | _SOURCES:
            raise _syntax(text, statement[1].at, f"'{statement[1].text}' can't be a name")
    return statements


def _check_start(statement: list[Token], names: set[str], text: str) -> None:
    first = statement[0]
    if first.text == "(" or (first.kind == "word" and first.text in names | _SOURCES):
        return
    if first.kind == "word" and len(statement) > 1 and statement[1].text not in ("|", ".", "("):
        raise KqlError("NotImitatedBySandbox", f"A query that starts with '{first.text}' is not understood here.")
    raise KqlError(
        "SemanticError", f"'where' operator: Failed to resolve table or column expression named '{first.text}'"
    )


def _check(statement: list[Token], text: str) -> None:
    depth = 0
    for token, after, before in _around(statement):
        if token.kind == "sign":
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
            if token.text == "." and not before.text.startswith("$"):
                raise _not_imitated(
                    text, token, "a name with a dot (another database, workspace or a field of an object)"
                )
        if token.text == "|" and token.kind == "sign" and after.text not in OPERATORS:
            raise _not_imitated(text, after, f"the operator '{after.text}'")
        if token.kind == "word" and after.text == "(" and token.text.lstrip("!") not in FUNCTIONS | _KEYWORDS:
            raise _not_imitated(text, token, f"the function '{token.text}'")
        if depth < 0:
            raise _syntax(text, token.at, "unbalanced brackets")
    if depth:
        raise _syntax(text, statement[-1].at, "a bracket is not closed")
    _check_texts_of_times(statement, text)


def _check_texts_of_times(statement: list[Token], text: str) -> None:
    """The database writes times and durations as text in another form than Kusto."""
    for at, token in enumerate(statement):
        if token.kind != "word" or token.text not in _TEXTUAL or statement[at + 1 : at + 2] == []:
            continue
        depth = 0
        for inner in statement[at + 1 :]:
            depth += {"(": 1, ")": -1}.get(inner.text, 0) if inner.kind == "sign" else 0
            literal = inner.kind == "literal" or (inner.kind == "number" and inner.text[-1].isalpha())
            if literal or (inner.kind == "word" and inner.text in _TIMES):
                raise _not_imitated(text, inner, f"{token.text} of a time or duration")
            if depth == 0:
                break


def _written(statement: list[Token], now: datetime) -> Iterator[str]:
    """The tokens with Kusto's clock replaced by the policy clock, and todouble made fit for numbers."""
    moment = f"datetime({now.strftime('%Y-%m-%dT%H:%M:%S.%f')}Z)"
    closing: list[str] = []
    for token, after, before in _around(statement):
        if token.kind == "word" and token.text in ("now", "ago") and after.text == "(":
            yield f"({moment} {'-' if token.text == 'ago' else '+'}"
        elif token.kind == "word" and token.text in ("todouble", "toreal") and after.text == "(":
            yield f"{token.text}(tostring"
        elif token.kind == "sign" and token.text == "(":
            opened = before.kind == "word" and before.text in ("now", "ago", "todouble", "toreal")
            closing.append("))" if opened else ")")
            # now() has no argument: nothing is added.
            yield "(0s" if before.text == "now" and after.text == ")" else "("
        elif token.kind == "sign" and token.text == ")":
            yield closing.pop() if closing else ")"
        else:
            yield token.text


def _around(statement: list[Token]) -> Iterator[tuple[Token, Token, Token]]:
    """Each token with the one after and the one before it."""
    none = Token("end", "", len(statement))
    return zip(statement, [*statement[1:], none], [none, *statement[:-1]], strict=True)


def _not_imitated(text: str, token: Token, what: str) -> KqlError:
    return KqlError(
        "NotImitatedBySandbox", f"The sandbox's Log Analytics does not understand {what} at {_place(text, token.at)}."
    )


def _syntax(text: str, at: int, detail: str) -> KqlError:
    return KqlError("SyntaxError", f"Query could not be parsed at {_place(text, at)}: {detail}.")


def _place(text: str, at: int) -> str:
    before = text[:at]
    return f"line [{before.count(chr(10)) + 1},{at - before.rfind(chr(10))}]"
