"""The policy documents of API Management, checked as the service checks them before it keeps one.

Well-formed, sections in their places, statements that are known and allowed there, their attributes and children in the
service's order, and what they refer to. Expressions (`@(...)`) are C#, which nobody compiles here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError, fromstring, indent, tostring  # nosec B405 - no DTDs, see below

from sandbox.kernel.errors import AzureError

SECTIONS = ("inbound", "backend", "outbound", "on-error")
_IN, _OUT, _ANY = ("inbound",), ("outbound",), SECTIONS
_AROUND = ("inbound", "outbound", "on-error")
#: Elements that hold statements of the section that they are in.
_BRANCHES = {"choose": ("when", "otherwise"), "when": (), "otherwise": ()}
_ACTIONS, _BOOLEANS = ("ignore", "prevent", "detect"), ("true", "false")
_NAMED_VALUE = re.compile(r"\{\{([^{}]+)\}\}")


@dataclass(frozen=True, slots=True)
class Statement:
    """Where it may stand, its attributes (required ones first), the values of some, and its children in order."""

    sections: tuple[str, ...] = _ANY
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


_TOKEN = (
    "header-name",
    "query-parameter-name",
    "token-value",
    "failed-validation-httpcode",
    "failed-validation-error-message",
    "output-token-variable-name",
)
STATEMENTS: dict[str, Statement] = {
    "base": Statement(),
    "choose": Statement(children=("when", "otherwise")),
    "when": Statement(required=("condition",)),
    "otherwise": Statement(),
    "check-header": Statement(_IN, ("name", "failed-check-httpcode", "failed-check-error-message", "ignore-case"), (), ("value",)),
    "ip-filter": Statement(_IN, ("action",), (), ("address", "address-range")),
    "validate-azure-ad-token": Statement(_IN, ("tenant-id",), _TOKEN, ("client-application-ids", "backend-application-ids", "audiences", "required-claims", "decryption-keys")),
    "validate-jwt": Statement(_IN, (), (*_TOKEN, "require-expiration-time", "require-scheme", "require-signed-tokens", "clock-skew"), ("openid-config", "issuer-signing-keys", "decryption-keys", "audiences", "issuers", "required-claims")),
    "rate-limit-by-key": Statement(_IN, ("calls", "renewal-period", "counter-key"), ("increment-condition", "increment-count", "retry-after-header-name", "remaining-calls-header-name", "total-calls-header-name", "retry-after-variable-name", "remaining-calls-variable-name")),
    "quota-by-key": Statement(_IN, ("counter-key", "renewal-period"), ("calls", "bandwidth", "increment-condition", "first-period-start")),
    "validate-content": Statement(_AROUND, ("unspecified-content-type-action", "max-size", "size-exceeded-action"), ("errors-variable-name",), ("content-type-map", "content")),
    "cache-lookup": Statement(_IN, ("vary-by-developer", "vary-by-developer-groups"), ("allow-private-response-caching", "downstream-caching-type", "must-revalidate", "caching-type"), ("vary-by-header", "vary-by-query-parameter")),
    "cache-store": Statement(_OUT, ("duration",), ("cache-response",)),
    "cache-lookup-value": Statement(_ANY, ("key", "variable-name"), ("default-value", "caching-type")),
    "cache-store-value": Statement(_ANY, ("key", "value", "duration"), ("caching-type",)),
    "set-backend-service": Statement(("inbound", "backend"), (), ("base-url", "backend-id")),
    "authentication-managed-identity": Statement(_IN, ("resource",), ("client-id", "output-token-variable-name", "ignore-error")),
    "set-header": Statement(_ANY, ("name",), ("exists-action",), ("value",)),
    "set-query-parameter": Statement(("inbound", "backend"), ("name",), ("exists-action",), ("value",)),
    "set-variable": Statement(_ANY, ("name", "value")),
    "set-body": Statement(_ANY, (), ("template",)),
    "set-status": Statement(_ANY, ("code",), ("reason",)),
    "return-response": Statement(_ANY, (), ("response-variable-name",), ("set-status", "set-header", "set-body")),
    "forward-request": Statement(("backend",), (), ("timeout", "timeout-ms", "http-version", "follow-redirects", "buffer-request-body", "buffer-response", "fail-on-error-status-code")),
    "retry": Statement(_ANY, ("condition", "count", "interval"), ("max-interval", "delta", "first-fast-retry"), ("forward-request",)),
    "rewrite-uri": Statement(_IN, ("template",), ("copy-unmatched-params",)),
    "trace": Statement(_ANY, ("source",), ("severity",), ("message", "metadata")),
}  # fmt: skip
#: Attributes with few values, and numbers with their limits; an expression is left alone.
_VALUES = {
    "exists-action": ("override", "skip", "append", "delete"),
    "size-exceeded-action": _ACTIONS,
    "unspecified-content-type-action": _ACTIONS,
    "downstream-caching-type": ("none", "private", "public"),
    **{name: _BOOLEANS for name in ("ignore-case", "vary-by-developer", "vary-by-developer-groups", "allow-private-response-caching")},
}  # fmt: skip
_NUMBERS = {
    "max-size": (1, 4 * 1024 * 1024),
    "calls": (1, 2**31 - 1),
    "renewal-period": (1, 300),
    "duration": (1, 2**31 - 1),
    "failed-check-httpcode": (100, 999),
    "failed-validation-httpcode": (100, 999),
}


def invalid(message: str) -> AzureError:
    """The service's refusal."""
    return AzureError(400, "ValidationError", f"One or more fields contain incorrect values: {message}")


def parsed(text: str) -> Element:
    """The document; AzureError 400 when it is not a policy document that the service would keep."""
    if "<!" in text.replace("<!--", ""):
        raise invalid("a policy document has no DTD and no CDATA here.")
    try:
        root = fromstring(text)  # nosec B314 - a DTD was refused above
    except ParseError as error:
        raise invalid(f"the document is not well-formed: {error}.") from error
    if root.tag != "policies":
        raise invalid(f"the root element is '{root.tag}'; it has to be 'policies'.")
    found = [section.tag for section in root]
    if len(set(found)) != len(found) or not set(found) <= set(SECTIONS):
        raise invalid(f"the sections are {', '.join(found)}; allowed, each once: {', '.join(SECTIONS)}.")
    for section in root:
        for statement in section:
            _check(statement, section.tag)
    return root


def shown(text: str) -> str:
    """The document as a GET shows it: in the service's own layout."""
    root = fromstring(text)  # nosec B314 - `parsed` saw it
    indent(root, "  ")
    return tostring(root, encoding="unicode").replace("\n", "\r\n")


def named_values(root: Element) -> set[str]:
    """The names in double braces."""
    return {name.strip() for text in _texts(root) for name in _NAMED_VALUE.findall(text)}


def backends(root: Element) -> set[str]:
    """The backends that it leads to by a plain id."""
    ids = {each.get("backend-id", "") for each in root.iter("set-backend-service")}
    return {each for each in ids if each and not each.startswith("@")}


def _texts(root: Element) -> Iterator[str]:
    for element in root.iter():
        yield from element.attrib.values()
        yield element.text or ""


def _check(element: Element, section: str) -> None:
    known = STATEMENTS.get(element.tag)
    if known is None:
        raise invalid(f"'{element.tag}' is not a policy that the sandbox knows, in section '{section}'.")
    if section not in known.sections:
        raise invalid(
            f"policy '{element.tag}' is not allowed in section '{section}', only in {', '.join(known.sections)}."
        )
    _check_attributes(element, known)
    if element.tag in _BRANCHES:
        inner = _BRANCHES[element.tag]
        for each in element:
            if inner and each.tag not in inner:
                raise invalid(f"'{element.tag}' has '{each.tag}'; allowed: {', '.join(inner)}.")
            _check(each, section)
    else:
        _check_children(element, known)


def _check_attributes(element: Element, known: Statement) -> None:
    for name in known.required:
        if name not in element.attrib:
            raise invalid(f"required attribute '{name}' of '{element.tag}' is missing.")
    for name, value in element.attrib.items():
        if name not in (*known.required, *known.optional):
            raise invalid(f"'{element.tag}' has no attribute '{name}'.")
        if value.startswith("@"):
            continue
        if name in _VALUES and value not in _VALUES[name]:
            raise invalid(f"'{name}' of '{element.tag}' is '{value}'; allowed: {', '.join(_VALUES[name])}.")
        least, most = _NUMBERS.get(name, (0, 0))
        if most and not (value.isdigit() and least <= int(value) <= most):
            raise invalid(f"'{name}' of '{element.tag}' is '{value}'; allowed: {least} to {most}.")


def _check_children(element: Element, known: Statement) -> None:
    """Known, and in the service's order."""
    places = []
    for each in element:
        if each.tag not in known.children:
            raise invalid(f"'{element.tag}' has '{each.tag}'; allowed: {', '.join(known.children) or 'nothing'}.")
        places.append(known.children.index(each.tag))
    if places != sorted(places):
        raise invalid(f"the elements of '{element.tag}' come in the order {', '.join(known.children)}.")
    tag = element.tag
    if tag == "validate-azure-ad-token" and not {each.tag for each in element} & {
        "client-application-ids",
        "audiences",
    }:
        raise invalid("'validate-azure-ad-token' needs client-application-ids or audiences.")
    if tag in ("validate-azure-ad-token", "validate-jwt") and not set(element.attrib) & set(_TOKEN[:3]):
        raise invalid(f"'{tag}' needs one of {', '.join(_TOKEN[:3])}.")
    if tag == "set-backend-service" and len(element.attrib) != 1:
        raise invalid("'set-backend-service' needs either base-url or backend-id.")
