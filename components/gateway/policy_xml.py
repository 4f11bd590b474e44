"""The policy document of an API: what API Management does with each request, in this order. Pure.

From outside nobody pins a deployment: the header that would do so is taken off, so weights are the rollout's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, indent, tostring  # nosec B405 - builds, never parses

from components.gateway.settings import ApiManagementSettings, TokenSettings

#: Front Door writes its own id here, and its client's address there; it overwrites what a client sent.
FRONT_DOOR_HEADER = "X-Azure-FDID"
CLIENT_HEADER = "X-Azure-ClientIP"
PIN_HEADER = "azureml-model-deployment"
#: What the endpoints' Entra tokens are for.
ENDPOINT_AUDIENCE = "https://ml.azure.com"
#: C#: where a request comes from, before Front Door.
CLIENT_ADDRESS = f'context.Request.Headers.GetValueOrDefault("{CLIENT_HEADER}", context.Request.IpAddress)'
_TOKEN, _CACHED = "caller", "prediction"  # nosec B105 - names of context variables
_SCORING = '@(context.Request.Method == "POST")'


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyArgs:
    """What one API's policy depends on. `key_name`: the named value that holds the endpoint's key; None: by identity."""

    use_case: str
    settings: ApiManagementSettings
    tenant_id: str
    front_door_id: str
    client_id: str
    backend_id: str
    key_name: str | None = None
    prediction_cache_seconds: int = 0


def policy_xml(args: PolicyArgs) -> str:
    """The document. Elements come in the order that Azure asks for, and every value is escaped."""
    root = Element("policies")
    _inbound(SubElement(root, "inbound"), args)
    SubElement(SubElement(root, "backend"), "base")
    _outbound(SubElement(root, "outbound"), args)
    SubElement(SubElement(root, "on-error"), "base")
    indent(root, "  ")
    return tostring(root, encoding="unicode")


def _inbound(inbound: Element, args: PolicyArgs) -> None:
    settings = args.settings
    SubElement(inbound, "base")
    front_door_only(inbound, args.front_door_id)
    set_header(inbound, PIN_HEADER, None)
    if settings.tokens.issuer is None:
        _entra_token(inbound, settings.tokens, args.tenant_id)
    else:
        _other_token(inbound, settings.tokens)
    SubElement(
        inbound,
        "rate-limit-by-key",
        {"calls": str(settings.requests_per_minute), "renewal-period": "60", "counter-key": _caller()},
    )
    _size_and_shape(inbound, settings.max_body_bytes)
    if settings.cache_seconds:
        _cache_lookup(inbound)
    if args.prediction_cache_seconds:
        _prediction_lookup(inbound, args.use_case)
    SubElement(inbound, "set-backend-service", {"backend-id": args.backend_id})
    if args.key_name is not None:
        set_header(inbound, "Authorization", f"Bearer {{{{{args.key_name}}}}}")
    else:
        SubElement(
            inbound, "authentication-managed-identity", {"resource": ENDPOINT_AUDIENCE, "client-id": args.client_id}
        )


def front_door_only(inbound: Element, front_door_id: str) -> None:
    """Whoever did not come through this stack's Front Door is refused."""
    check = SubElement(
        inbound,
        "check-header",
        {
            "name": FRONT_DOOR_HEADER,
            "failed-check-httpcode": "403",
            "failed-check-error-message": "Come through the front door.",
            "ignore-case": "true",
        },
    )
    SubElement(check, "value").text = front_door_id


def _entra_token(inbound: Element, tokens: TokenSettings, tenant_id: str) -> None:
    check = SubElement(
        inbound,
        "validate-azure-ad-token",
        {"tenant-id": tokens.tenant_id or tenant_id, "header-name": "Authorization", **_REFUSAL},
    )
    if tokens.client_ids:
        _texts(check, "client-application-ids", "application-id", tokens.client_ids)
    _texts(check, "audiences", "audience", tokens.audiences)


def _other_token(inbound: Element, tokens: TokenSettings) -> None:
    check = SubElement(
        inbound,
        "validate-jwt",
        {"header-name": "Authorization", **_REFUSAL, "require-expiration-time": "true", "require-scheme": "Bearer"},
    )
    SubElement(check, "openid-config", {"url": tokens.openid_configuration or ""})
    _texts(check, "audiences", "audience", tokens.audiences)
    _texts(check, "issuers", "issuer", (tokens.issuer or "",))
    if tokens.client_ids:
        claims = SubElement(check, "required-claims")
        claim = SubElement(claims, "claim", {"name": "azp", "match": "any"})
        for each in tokens.client_ids:
            SubElement(claim, "value").text = each


_REFUSAL = {
    "failed-validation-httpcode": "401",
    "failed-validation-error-message": "A valid token for this API is needed.",
    "output-token-variable-name": _TOKEN,
}


def _caller() -> str:
    """Whose requests are counted: the token's subject; Front Door's own address would be one for all."""
    return f'@(((Jwt)context.Variables["{_TOKEN}"])?.Subject ?? {CLIENT_ADDRESS})'


def _size_and_shape(inbound: Element, most_bytes: int) -> None:
    """Only what has a body: a GET has no content type."""
    when = SubElement(SubElement(inbound, "choose"), "when", {"condition": _SCORING})
    check = SubElement(
        when,
        "validate-content",
        {
            "unspecified-content-type-action": "prevent",
            "max-size": str(most_bytes),
            "size-exceeded-action": "prevent",
            "errors-variable-name": "bodyErrors",
        },
    )
    SubElement(check, "content", {"type": "application/json", "validate-as": "json", "action": "prevent"})


def _cache_lookup(inbound: Element) -> None:
    """GET only, by Azure's rule. The answer is the same for every caller, and callers were checked above."""
    SubElement(
        inbound,
        "cache-lookup",
        {
            "vary-by-developer": "false",
            "vary-by-developer-groups": "false",
            "allow-private-response-caching": "true",
            "downstream-caching-type": "none",
        },
    )


def _prediction_key(use_case: str) -> str:
    body = "Encoding.UTF8.GetBytes(context.Request.Body.As<string>(preserveContent: true))"
    digest = f"System.Security.Cryptography.SHA256.Create().ComputeHash({body})"
    return f'@("{use_case}:" + BitConverter.ToString({digest}))'


def _prediction_lookup(inbound: Element, use_case: str) -> None:
    """The same body, the same answer: by the hash of the body, and for scoring only."""
    when = SubElement(SubElement(inbound, "choose"), "when", {"condition": _SCORING})
    SubElement(when, "set-variable", {"name": "predictionKey", "value": _prediction_key(use_case)})
    SubElement(
        when,
        "cache-lookup-value",
        {"key": '@((string)context.Variables["predictionKey"])', "variable-name": _CACHED},
    )
    found = SubElement(
        SubElement(when, "choose"), "when", {"condition": f'@(context.Variables.ContainsKey("{_CACHED}"))'}
    )
    answer = SubElement(found, "return-response")
    SubElement(answer, "set-status", {"code": "200", "reason": "OK"})
    set_header(answer, "Content-Type", "application/json")
    SubElement(answer, "set-body").text = f'@((string)context.Variables["{_CACHED}"])'


def _outbound(outbound: Element, args: PolicyArgs) -> None:
    SubElement(outbound, "base")
    if args.settings.cache_seconds:
        SubElement(outbound, "cache-store", {"duration": str(args.settings.cache_seconds)})
    if args.prediction_cache_seconds:
        good = '@(context.Request.Method == "POST" && context.Response.StatusCode == 200)'
        when = SubElement(SubElement(outbound, "choose"), "when", {"condition": good})
        SubElement(
            when,
            "cache-store-value",
            {
                "key": '@((string)context.Variables["predictionKey"])',
                "value": "@(context.Response.Body.As<string>(preserveContent: true))",
                "duration": str(args.prediction_cache_seconds),
            },
        )


def set_header(parent: Element, name: str, value: str | None) -> None:
    """Override a header, or take it off."""
    header = SubElement(parent, "set-header", {"name": name, "exists-action": "override" if value else "delete"})
    if value:
        SubElement(header, "value").text = value


def _texts(parent: Element, outer: str, inner: str, values: tuple[str, ...]) -> None:
    holder = SubElement(parent, outer)
    for value in values:
        SubElement(holder, inner).text = value
