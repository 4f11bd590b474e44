"""The provider's functions: getXxx, listXxxKeys, and who the caller is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.plugins.azure_client import AzureClient, AzureServiceError
from sandbox.plugins.azure_native import shape
from sandbox.plugins.azure_native.catalogue import ACTIONS, CATALOGUE, UnknownType, lookup
from sandbox.plugins.azure_native.row import Row
from sandbox.plugins.servicer import Refused
from sandbox.plugins.values import Secret

_GETTER = re.compile(r"^azure-native:(\w+)(?:/v\w+)?:get(\w+)$")
#: Answers of actions: what is a key, a password or a token.
_SECRET_NAME = re.compile(r"key\d*$|password|token$|connectionstring|^value$|^sas|^secret", re.IGNORECASE)


def invoke(client: AzureClient, subscription_id: str, token: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a function. Refused names what is wrong, with Azure's status and code."""
    if token == "azure-native:authorization:getClientConfig":  # nosec B105  # a function's name
        return _client_config(client, subscription_id)
    if token == "azure-native:authorization:getClientToken":  # nosec B105  # a function's name
        endpoint = str(arguments.get("endpoint") or "https://management.azure.com")
        return {"token": Secret(client.token(endpoint.rstrip("/") + "/.default"))}
    plain = re.sub(r"/v\w+:", ":", token.removeprefix("azure-native:"))
    if plain in ACTIONS:
        type_name, action = ACTIONS[plain]
        return _action(client, subscription_id, CATALOGUE[type_name], action, arguments)
    match = _GETTER.match(token)
    if match is None or f"{match[1]}:{match[2]}" not in CATALOGUE:
        raise Refused(str(UnknownType(token)))
    row, api_version = lookup(token.replace(":get", ":", 1))
    resource_id = _id(row, arguments, subscription_id)
    document = _asked(resource_id, lambda: client.get(resource_id, api_version=api_version))
    return {**shape.outputs(row, document, api_version), "id": document.get("id", resource_id)}


def _action(
    client: AzureClient, subscription_id: str, row: Row, action: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    resource_id = _id(row, arguments, subscription_id)
    body = {key: value for key, value in arguments.items() if key not in row.parameters}
    version = row.type.api_version
    answer = _asked(resource_id, lambda: client.call("POST", f"{resource_id}/{action}", body, api_version=version)[1])
    return {key: _hide(key, value) for key, value in (answer or {}).items()}


def _hide(key: str, value: Any) -> Any:
    """Keys and tokens as secrets, wherever they are in the answer."""
    if isinstance(value, Mapping):
        return {inner: _hide(inner, item) for inner, item in value.items()}
    if isinstance(value, list):
        return [_hide(key if not isinstance(item, Mapping) else "", item) for item in value]
    return Secret(value) if isinstance(value, str) and _SECRET_NAME.search(key) else value


def _id(row: Row, arguments: Mapping[str, Any], subscription_id: str) -> str:
    missing = [name for name in row.parameters if name not in arguments]
    if missing:
        raise Refused(f"missing required property '{missing[0]}'")
    return row.resource_id(arguments, subscription_id)


def _asked(resource_id: str, ask: Any) -> Any:
    try:
        return ask()
    except AzureServiceError as error:
        raise Refused(f"request failed {resource_id}: {error}") from error


def _client_config(client: AzureClient, subscription_id: str) -> dict[str, Any]:
    claims = client.claims()
    return {
        "clientId": claims.get("appid", ""),
        "objectId": claims.get("oid", ""),
        "subscriptionId": subscription_id,
        "tenantId": claims.get("tid", ""),
    }
