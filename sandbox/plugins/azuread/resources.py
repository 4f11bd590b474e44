"""Create, read, update and delete in Microsoft Graph, by type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from sandbox.plugins.azure_client import AzureClient, AzureServiceError
from sandbox.plugins.azuread.kinds import APPLICATION, FEDERATED_CREDENTIAL, PASSWORD, SERVICE_PRINCIPAL, Kind
from sandbox.plugins.servicer import Refused
from sandbox.plugins.values import Secret

Json = dict[str, Any]
_GUID = r"[0-9a-fA-F-]{36}"


class Handler(Protocol):
    """One type's four operations. Ids are the provider's, not Graph's paths."""

    kind: Kind

    def create(self, inputs: Mapping[str, Any]) -> tuple[str, Json]: ...

    def read(self, resource_id: str) -> Json | None: ...

    def update(self, resource_id: str, inputs: Mapping[str, Any]) -> Json: ...

    def delete(self, resource_id: str, inputs: Mapping[str, Any]) -> None: ...


class Objects:
    """Applications and service principals: entities of a collection, with ids like /applications/<object id>."""

    def __init__(self, client: AzureClient, kind: Kind, collection: str) -> None:
        self._client, self.kind, self._collection = client, kind, collection

    def create(self, inputs: Mapping[str, Any]) -> tuple[str, Json]:
        existing = self._existing(inputs)
        if existing is not None and not inputs.get("useExisting"):
            raise Refused(
                f"a resource with the ID '{existing}' already exists - to be managed via Pulumi it needs to be imported"
            )
        if existing is not None:
            return existing, self.update(existing, inputs)
        body = {key: value for key, value in self.kind.body(inputs).items() if value is not None}
        _, document = self._client.call("POST", f"/v1.0/{self._collection}", body)
        return f"/{self._collection}/{document['id']}", self.kind.view(document)

    def read(self, resource_id: str) -> Json | None:
        document = _get(self._client, self._path(resource_id))
        return None if document is None else self.kind.view(document)

    def update(self, resource_id: str, inputs: Mapping[str, Any]) -> Json:
        body = {key: value for key, value in self.kind.body(inputs).items() if key != "appId"}
        self._client.call("PATCH", self._path(resource_id), body)
        return self.read(resource_id) or {}

    def delete(self, resource_id: str, inputs: Mapping[str, Any]) -> None:
        if not inputs.get("useExisting"):
            _delete(self._client, self._path(resource_id))

    def _existing(self, inputs: Mapping[str, Any]) -> str | None:
        """The id of what a create would collide with."""
        if self._collection == "servicePrincipals":
            query = f"appId eq '{inputs['clientId']}'"
        elif inputs.get("preventDuplicateNames"):
            query = "displayName eq '{}'".format(str(inputs["displayName"]).replace("'", "''"))
        else:
            return None
        found = self._client.get(f"/v1.0/{self._collection}", **{"$filter": query})["value"]
        return f"/{self._collection}/{found[0]['id']}" if found else None

    def _path(self, resource_id: str) -> str:
        match = re.fullmatch(rf"(?:/{self._collection}/)?({_GUID})", resource_id)
        if match is None:
            raise Refused(
                f"'{resource_id}' is not an id of {self.kind.token}; expected /{self._collection}/<object id>"
            )
        return f"/v1.0/{self._collection}/{match[1]}"


class FederatedCredentials:
    """Ids like <application's object id>/federatedIdentityCredential/<credential id>."""

    kind = FEDERATED_CREDENTIAL

    def __init__(self, client: AzureClient) -> None:
        self._client = client

    def create(self, inputs: Mapping[str, Any]) -> tuple[str, Json]:
        application = application_object_id(str(inputs["applicationId"]))
        body = {key: value for key, value in self.kind.body(inputs).items() if value is not None}
        path = f"/v1.0/applications/{application}/federatedIdentityCredentials"
        _, document = self._client.call("POST", path, body)
        view = {**self.kind.view(document), "applicationId": inputs["applicationId"]}
        return f"{application}/federatedIdentityCredential/{document['id']}", view

    def read(self, resource_id: str) -> Json | None:
        application, path = self._path(resource_id)
        document = _get(self._client, path)
        if document is None:
            return None
        return {**self.kind.view(document), "applicationId": f"/applications/{application}"}

    def update(self, resource_id: str, inputs: Mapping[str, Any]) -> Json:
        body = {key: value for key, value in self.kind.body(inputs).items() if key != "name"}
        self._client.call("PATCH", self._path(resource_id)[1], body)
        return self.read(resource_id) or {}

    def delete(self, resource_id: str, inputs: Mapping[str, Any]) -> None:
        _delete(self._client, self._path(resource_id)[1])

    def _path(self, resource_id: str) -> tuple[str, str]:
        match = re.fullmatch(rf"({_GUID})/federatedIdentityCredential/({_GUID})", resource_id)
        if match is None:
            raise Refused(
                f"'{resource_id}' is not the id of a federated credential; "
                "expected <application object id>/federatedIdentityCredential/<credential id>"
            )
        return match[1], f"/v1.0/applications/{match[1]}/federatedIdentityCredentials/{match[2]}"


class Passwords:
    """Client secrets: shown once, by their creation, and kept as a secret of the state."""

    kind = PASSWORD

    def __init__(self, client: AzureClient) -> None:
        self._client = client

    def create(self, inputs: Mapping[str, Any]) -> tuple[str, Json]:
        application = application_object_id(str(inputs["applicationId"]))
        wanted = {key: value for key, value in self.kind.body(inputs).items() if value is not None}
        path = f"/v1.0/applications/{application}/addPassword"
        _, document = self._client.call("POST", path, {"passwordCredential": wanted})
        view = {**self.kind.view(document), "applicationId": inputs["applicationId"]}
        return f"{application}/password/{document['keyId']}", {**view, "value": Secret(document["secretText"])}

    def read(self, resource_id: str) -> Json | None:
        application, _, key = resource_id.partition("/password/")
        document = _get(self._client, f"/v1.0/applications/{application}") or {}
        for credential in document.get("passwordCredentials", []):
            if credential["keyId"] == key:
                return {**self.kind.view(credential), "applicationId": f"/applications/{application}"}
        return None

    def update(self, resource_id: str, inputs: Mapping[str, Any]) -> Json:
        return self.read(resource_id) or {}  # every property is immutable

    def delete(self, resource_id: str, inputs: Mapping[str, Any]) -> None:
        application, _, key = resource_id.partition("/password/")
        try:
            self._client.call("POST", f"/v1.0/applications/{application}/removePassword", {"keyId": key})
        except AzureServiceError as error:
            if error.status not in (400, 404):  # the application or the secret is gone
                raise


def handlers(client: AzureClient) -> dict[str, Handler]:
    """The handler of every type, by token."""
    made: list[Handler] = [
        Objects(client, APPLICATION, "applications"),
        Objects(client, SERVICE_PRINCIPAL, "servicePrincipals"),
        FederatedCredentials(client),
        Passwords(client),
    ]
    return {handler.kind.token: handler for handler in made}


def application_object_id(application_id: str) -> str:
    """The object id of '/applications/<object id>'."""
    match = re.fullmatch(rf"/applications/({_GUID})", application_id)
    if match is None:
        raise Refused(f"applicationId is '{application_id}'; expected /applications/<object id>, an Application's `id`")
    return match[1]


def _get(client: AzureClient, path: str) -> Json | None:
    try:
        return dict(client.get(path))
    except AzureServiceError as error:
        if error.status == 404:
            return None
        raise


def _delete(client: AzureClient, path: str) -> None:
    try:
        client.call("DELETE", path)
    except AzureServiceError as error:
        if error.status != 404:
            raise
