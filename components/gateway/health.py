"""The health operation of an API: what availability tests and status pages ask, without a token. Pure.

API Management asks the endpoint without any credential, and takes its refusal, 401, for life: name, network, TLS and sign-in
work. So nobody who has no token gets anything to run, and no secret stands in the test.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring  # nosec B405 - builds, never parses

from components.gateway.policy_xml import CLIENT_ADDRESS, PIN_HEADER, front_door_only, set_header

#: Of one address; a test location calls every 5 minutes.
CALLS_PER_MINUTE = 12
#: What the operation answers when all is well.
HEALTHY = 200
_TURNED_AWAY = "@(context.Response.StatusCode == 401)"
_NO_ANSWER = '@(context.LastError.Section == "backend")'


def health_policy_xml(front_door_id: str, backend_id: str) -> str:
    """The operation's document. Its `inbound` and `outbound` have no `base`: the API's token check, caches and identity are left out."""
    root = Element("policies")
    inbound = SubElement(root, "inbound")
    front_door_only(inbound, front_door_id)
    counted = {
        "calls": str(CALLS_PER_MINUTE),
        "renewal-period": "60",
        "counter-key": f'@("health:" + {CLIENT_ADDRESS})',
    }
    SubElement(inbound, "rate-limit-by-key", counted)
    for name in ("Authorization", PIN_HEADER):
        set_header(inbound, name, None)
    SubElement(inbound, "set-backend-service", {"backend-id": backend_id})
    SubElement(inbound, "rewrite-uri", {"template": "/score", "copy-unmatched-params": "false"})
    SubElement(SubElement(root, "backend"), "base")
    answers = SubElement(SubElement(root, "outbound"), "choose")
    _answer(SubElement(answers, "when", {"condition": _TURNED_AWAY}), HEALTHY, "OK", "reachable")
    _answer(SubElement(answers, "otherwise"), 503, "Service Unavailable", "unreachable")
    # an endpoint that does not answer at all ends here; so does a caller who asked too often
    error = SubElement(root, "on-error")
    SubElement(error, "base")
    _answer(
        SubElement(SubElement(error, "choose"), "when", {"condition": _NO_ANSWER}),
        503,
        "Service Unavailable",
        "unreachable",
    )
    indent(root, "  ")
    return tostring(root, encoding="unicode")


def _answer(parent: Element, code: int, reason: str, status: str) -> None:
    answer = SubElement(parent, "return-response")
    SubElement(answer, "set-status", {"code": str(code), "reason": reason})
    set_header(answer, "Content-Type", "application/json")
    set_header(answer, "Cache-Control", "no-store")
    SubElement(answer, "set-body").text = f'{{"status": "{status}"}}'
