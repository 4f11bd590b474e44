"""What is in an API Management service: kept and checked; no request goes through it."""

from __future__ import annotations

import json
import re

from sandbox.arm.access import granted
from sandbox.arm.catalogue import apim_policy
from sandbox.arm.catalogue.apim_policy import invalid as refuse
from sandbox.arm.catalogue.apim_service import SERVICE_TYPE, VERSIONS
from sandbox.arm.catalogue.common import made_once, new_key, now, one_of
from sandbox.arm.catalogue.frontdoor import SERVICE
from sandbox.arm.catalogue.vaults import VAULT
from sandbox.arm.checks import check_references, value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Action, Change, Json, Resource, ResourceType, View

API, NAMED_VALUE, BACKEND, LOGGER = (f"{SERVICE}/{each}" for each in ("apis", "namedValues", "backends", "loggers"))
OPERATION, POLICY, DIAGNOSTIC = f"{API}/operations", f"{API}/policies", f"{SERVICE}/diagnostics"
OPERATION_POLICY = f"{OPERATION}/policies"
_SECRET = re.compile(r"https://([a-z0-9-]+)\.vault\.azure\.net/secrets/([0-9A-Za-z-]+)(/[0-9a-f]{32})?/?")


def service_of(change: Change) -> Resource:
    """The service that the resource is in."""
    above, below = change.resource.id.split("/service/", 1)
    found = change.arm.get(f"{above}/service/{below.split('/', 1)[0]}")
    assert found is not None  # nosec B101 - ARM looked for the parents
    return found


def _validate_api(change: Change) -> None:
    properties = change.resource.properties
    for other in change.arm.children(parse(change.resource.id).parent, API):
        if other.key != change.resource.key and other.properties.get("path") == properties["path"]:
            raise refuse(f"API '{other.name}' already has the path '{properties['path']}'.")
    if properties.get("format") in ("openapi+json", "openapi+json-link"):
        _operations(str(properties.get("value")))


def _operations(text: str) -> dict[str, Json]:
    """The operations that an import makes, by id."""
    try:
        document = json.loads(text)
        paths = document["paths"]
        if not str(document["openapi"]).startswith("3.") or not document["info"]["title"]:
            raise KeyError("openapi")
    except (ValueError, KeyError, TypeError) as error:
        raise refuse(f"'value' is no OpenAPI 3 document: {error}.") from error
    return {
        operation.get("operationId")
        or f"{method}-{path.strip('/').replace('/', '-')}": {
            "displayName": operation.get("summary", path),
            "method": method.upper(),
            "urlTemplate": path,
        }
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


async def _import(change: Change) -> None:
    """The import replaces the API's operations."""
    properties = change.resource.properties
    if properties.get("format") != "openapi+json":
        return
    wanted = _operations(str(properties["value"]))
    for old in change.arm.children(change.resource.id, OPERATION):
        if old.name not in wanted:
            change.arm.delete(old.id)
    for name, described in wanted.items():
        change.arm.put(change.arm.new(f"{change.resource.id}/operations/{name}", properties=described), change.caller)


def _validate_policy(change: Change) -> None:
    """The document, and what it refers to."""
    properties, service = change.resource.properties, service_of(change)
    one_of(change, "name", change.resource.name, ("policy",))
    one_of(change, "properties.format", properties.get("format", "xml"), ("xml", "rawxml"))
    root = apim_policy.parsed(str(properties["value"]))
    for name in apim_policy.backends(root):
        if change.arm.get(f"{service.id}/backends/{name}") is None:
            raise refuse(f"backend with id '{name}' could not be found.")
    _check_named_values(change, service, apim_policy.named_values(root))


def _policies(change: Change, service: Resource) -> list[Resource]:
    """Of APIs and of their operations."""
    return [each for type_ in (POLICY, OPERATION_POLICY) for each in change.arm.children(service.id, type_)]


def _check_named_values(change: Change, service: Resource, names: set[str]) -> None:
    known = {each.properties.get("displayName") for each in change.arm.children(service.id, NAMED_VALUE)}
    for name in sorted(names - known):
        raise refuse(f"cannot find a property '{name}'.")


def _show_policy(document: Json, policy: Resource, view: View) -> Json:
    document["properties"] |= {"value": apim_policy.shown(policy.properties["value"]), "format": "xml"}
    return document


def _validate_named_value(change: Change) -> None:
    properties, vault = change.resource.properties, value_at(change.resource.properties, "keyVault.secretIdentifier")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,256}", str(properties["displayName"])):
        raise refuse(f"'displayName' is '{properties['displayName']}': letters, digits, _ . and - are allowed.")
    if bool(vault) == (properties.get("value") is not None):
        raise refuse("either 'value' or 'keyVault' is needed.")
    if vault:
        _check_secret(change, str(vault))


def _check_secret(change: Change, identifier: str) -> None:
    """The service reads the secret at once, as itself."""
    match = _SECRET.fullmatch(identifier)
    vault = match and next((each for each in change.arm.of_type(VAULT) if each.name.lower() == match[1]), None)
    secret = change.arm.get(f"{vault.id}/secrets/{match[2]}") if match and vault else None
    if secret is None:
        raise refuse(f"the secret '{identifier}' was not found.")
    principal = str((service_of(change).identity or {}).get("principalId"))
    if not granted(change.arm, principal, "Microsoft.KeyVault/vaults/secrets/getSecret/action", secret.id, data=True):
        raise refuse(f"access to '{identifier}' is Forbidden for the service's identity '{principal}'.")


def _show_named_value(document: Json, value: Resource, view: View) -> Json:
    if value.properties.get("secret"):
        document["properties"].pop("value", None)
    return document


async def _list_value(action: Action) -> Json:
    return {"value": action.resource.properties.get("value")}


def _free_named_value(change: Change) -> None:
    """AzureError 400 while a policy or a logger has its name in braces."""
    name, service = change.resource.properties.get("displayName"), service_of(change)
    for each in (*_policies(change, service), *change.arm.children(service.id, LOGGER)):
        if f"{{{{{name}}}}}" in json.dumps(each.properties):
            raise refuse(f"the named value '{name}' is used by '{each.id}'.")


def _validate_backend(change: Change) -> None:
    properties = change.resource.properties
    one_of(change, "properties.protocol", properties["protocol"], ("http", "soap"))
    if not re.match(r"https?://[^/\s]+", str(properties["url"])):
        raise refuse(f"'url' of backend '{change.resource.name}' is '{properties['url']}', which is no address.")


def _free_backend(change: Change) -> None:
    for policy in _policies(change, service_of(change)):
        if change.resource.name in apim_policy.backends(apim_policy.parsed(policy.properties["value"])):
            raise refuse(f"backend '{change.resource.name}' is used by '{policy.id}'.")


def _validate_logger(change: Change) -> None:
    properties = change.resource.properties
    one_of(
        change,
        "properties.loggerType",
        properties["loggerType"],
        ("applicationInsights", "azureEventHub", "azureMonitor"),
    )
    check_references(change, ("resourceId",))
    credentials = properties.get("credentials") or {}
    if properties["loggerType"] == "applicationInsights" and not {"instrumentationKey", "connectionString"} & set(
        credentials
    ):
        raise refuse("'credentials' needs a connectionString or an instrumentationKey.")
    _check_named_values(change, service_of(change), set(re.findall(r"\{\{([^{}]+)\}\}", json.dumps(credentials))))


def _free_logger(change: Change) -> None:
    for each in change.arm.children(service_of(change).id, DIAGNOSTIC):
        if str(each.properties.get("loggerId")).lower() == change.resource.key:
            raise refuse(f"logger '{change.resource.name}' is used by '{each.id}'.")


def _validate_diagnostic(change: Change) -> None:
    one_of(change, "name", change.resource.name, ("applicationinsights", "azuremonitor"))
    check_references(change, ("loggerId",))
    share = value_at(change.resource.properties, "sampling.percentage")
    if share is not None and not 0 <= share <= 100:
        raise refuse(f"'sampling.percentage' is {share}; allowed: 0 to 100.")


def _before_subscription(change: Change) -> None:
    for name in ("primaryKey", "secondaryKey"):
        change.resource.private.setdefault(name, change.resource.properties.pop(name, None) or new_key())
        change.resource.properties.pop(name, None)
    made_once(change, createdDate=now)


async def _subscription_keys(action: Action) -> Json:
    return {name: action.resource.private[name] for name in ("primaryKey", "secondaryKey")}


def _type(name: str, **differences: object) -> ResourceType:
    fixed: dict[str, object] = {"versions": VERSIONS, "location": "none", "taggable": False, "provisioned": False}
    return ResourceType(name=name, **(fixed | differences))  # type: ignore[arg-type]


TYPES = (
    SERVICE_TYPE,
    _type(
        API,
        required=("path",),
        defaults={"apiRevision": "1", "isCurrent": True, "subscriptionRequired": True},
        # what was imported is operations now
        secrets=("properties.value", "properties.format"),
        validate=_validate_api,
        after_put=_import,
    ),
    _type(OPERATION, required=("displayName", "method", "urlTemplate")),
    *(
        _type(each, required=("value",), validate=_validate_policy, shown=_show_policy)
        for each in (POLICY, OPERATION_POLICY)
    ),
    _type(
        NAMED_VALUE,
        required=("displayName",),
        validate=_validate_named_value,
        shown=_show_named_value,
        may_delete=_free_named_value,
        actions={"listValue": _list_value},
    ),
    _type(BACKEND, required=("url", "protocol"), validate=_validate_backend, may_delete=_free_backend),
    _type(LOGGER, required=("loggerType",), validate=_validate_logger, may_delete=_free_logger),
    _type(DIAGNOSTIC, required=("loggerId",), validate=_validate_diagnostic),
    _type(
        f"{SERVICE}/products",
        required=("displayName",),
        defaults={"state": "notPublished", "subscriptionRequired": True},
    ),
    _type(f"{SERVICE}/products/apis"),
    _type(
        f"{SERVICE}/subscriptions",
        required=("displayName", "scope"),
        defaults={"state": "submitted"},
        before_put=_before_subscription,
        actions={"listSecrets": _subscription_keys},
    ),
)
