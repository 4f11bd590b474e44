"""The part of OData that callers of Graph use here: eq and startswith, joined by `and`, and $top, $select."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.graph.errors import bad_request
from sandbox.kernel.errors import AzureError

_EQUALS = re.compile(r"^(\w+)\s+eq\s+'((?:[^']|'')*)'$", re.IGNORECASE)
_STARTS = re.compile(r"^startswith\((\w+),\s*'((?:[^']|'')*)'\)$", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", re.IGNORECASE)
_KNOWN = {"$filter", "$top", "$select", "$count", "$orderby"}


def select(documents: list[dict[str, Any]], query: Mapping[str, str], fields: frozenset[str]) -> list[dict[str, Any]]:
    """The documents that the query asks for. AzureError 501 for an option that is not imitated."""
    for option in query:
        if option.startswith("$") and option not in _KNOWN:
            raise AzureError(501, "NotImitatedBySandbox", f"The sandbox does not imitate the query option {option}.")
    for clause in filter(None, _AND.split(query.get("$filter", ""))):
        documents = [each for each in documents if _fits(each, clause.strip(), fields)]
    if "$top" in query:
        documents = documents[: _top(query["$top"])]
    return [project(each, query) for each in documents]


def project(document: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    """Only the properties named by `$select`, and always the id."""
    if not query.get("$select"):
        return document
    wanted = {"id", *query["$select"].split(",")}
    return {key: value for key, value in document.items() if key in wanted}


def _fits(document: dict[str, Any], clause: str, fields: frozenset[str]) -> bool:
    if (match := _EQUALS.match(clause)) is not None:
        name, value = _field(match, fields)
        return str(document.get(name) or "").lower() == value.lower()
    if (match := _STARTS.match(clause)) is not None:
        name, value = _field(match, fields)
        return str(document.get(name) or "").lower().startswith(value.lower())
    raise AzureError(501, "NotImitatedBySandbox", f"The sandbox does not imitate $filter={clause}.")


def _field(match: re.Match[str], fields: frozenset[str]) -> tuple[str, str]:
    if match[1] not in fields:
        raise bad_request(f"Invalid filter clause: Could not find a property named '{match[1]}'.")
    return match[1], match[2].replace("''", "'")


def _top(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 999:
        raise bad_request(f"Invalid page size specified: '{text}'. Must be between 1 and 999 inclusive.")
    return int(text)
