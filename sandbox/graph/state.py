"""The directory: applications, their service principals, secrets and federated credentials."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.graph.errors import bad_request, conflict, missing
from sandbox.kernel.context import Sandbox

Json = dict[str, Any]
#: What a caller may give for an application, and what it is when left out.
APPLICATION_DEFAULTS: Json = {
    "displayName": None,
    "description": None,
    "signInAudience": "AzureADMyOrg",
    "identifierUris": [],
    "tags": [],
    "notes": None,
    "groupMembershipClaims": None,
    "isFallbackPublicClient": None,
    "isDeviceOnlyAuthSupported": None,
    "serviceManagementReference": None,
    "requiredResourceAccess": [],
    "appRoles": [],
    "keyCredentials": [],
    "optionalClaims": None,
    "api": {"oauth2PermissionScopes": [], "preAuthorizedApplications": [], "knownClientApplications": []},
    "web": {"redirectUris": [], "implicitGrantSettings": {}},
    "spa": {"redirectUris": []},
    "publicClient": {"redirectUris": []},
    "info": {},
}
SERVICE_PRINCIPAL_DEFAULTS: Json = {
    "accountEnabled": True,
    "appRoleAssignmentRequired": False,
    "description": None,
    "notes": None,
    "tags": [],
    "alternativeNames": [],
    "loginUrl": None,
    "notificationEmailAddresses": [],
    "preferredSingleSignOnMode": None,
}
FEDERATED_FIELDS = frozenset({"name", "issuer", "subject", "audiences", "description"})
FEDERATED_LIMIT = 20
_AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount")


class GraphState:
    """Applications and service principals by object id. The sandbox's owner is always among them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._settings = sandbox.settings
        self._applications = sandbox.store.collection("graph.applications")
        self._principals = sandbox.store.collection("graph.servicePrincipals")
        self._federated = sandbox.store.collection("graph.federatedIdentityCredentials")
        self._seed()

    def reset(self) -> None:
        for collection in (self._applications, self._principals, self._federated):
            collection.clear()
        self._seed()

    def _seed(self) -> None:
        if self.application_by_client_id(self._settings.client_id) is not None:
            return
        application = self._new_application({"displayName": "azureml-rollouts sandbox owner"})
        application["appId"] = self._settings.client_id
        self._applications.put(application["id"], application)
        service = self._new_principal(application, {})
        service["id"] = self._settings.object_id
        self._principals.put(service["id"], service)

    # Applications

    def applications(self) -> list[Json]:
        return [document for _, document in self._applications.items()]

    def application(self, object_id: str) -> Json:
        """GraphError 404 when there is none."""
        document = self._applications.get(object_id)
        if document is None:
            raise missing(object_id)
        return document

    def application_by_client_id(self, client_id: str) -> Json | None:
        return next((each for each in self.applications() if each["appId"] == client_id), None)

    def add_application(self, wanted: Json) -> Json:
        _refuse_unknown("application", wanted, APPLICATION_DEFAULTS)
        if not wanted.get("displayName"):
            raise bad_request("A value is required for property 'displayName' of resource 'Application'.")
        self._check_application(wanted, None)
        document = self._new_application(wanted)
        self._applications.put(document["id"], document)
        return document

    def change_application(self, object_id: str, wanted: Json) -> None:
        document = self.application(object_id)
        _refuse_unknown("application", wanted, APPLICATION_DEFAULTS)
        self._check_application(wanted, object_id)
        self._applications.put(object_id, document | wanted)
        if "displayName" in wanted and (service := self.service_principal_of(document["appId"])) is not None:
            named = {"displayName": wanted["displayName"], "appDisplayName": wanted["displayName"]}
            self._principals.put(service["id"], service | named)

    def remove_application(self, object_id: str) -> None:
        document = self.application(object_id)
        if (service := self.service_principal_of(document["appId"])) is not None:
            self._principals.delete(service["id"])
        for credential in self.federated_credentials(object_id):
            self._federated.delete(f"{object_id}/{credential['id']}")
        self._applications.delete(object_id)

    def _new_application(self, wanted: Json) -> Json:
        return {
            "id": str(uuid.uuid4()),
            "appId": str(uuid.uuid4()),
            "createdDateTime": _now(),
            "publisherDomain": "sandbox.onmicrosoft.com",
            "passwordCredentials": [],
            **APPLICATION_DEFAULTS,
            **wanted,
        }

    def _check_application(self, wanted: Json, object_id: str | None) -> None:
        audience = wanted.get("signInAudience", _AUDIENCES[0])
        if audience not in _AUDIENCES:
            raise bad_request(f"Property signInAudience is '{audience}'; allowed: {', '.join(_AUDIENCES)}.")
        for other in self.applications():
            taken = set(other["identifierUris"]) & set(wanted.get("identifierUris") or [])
            if taken and other["id"] != object_id:
                raise conflict(
                    f"Another object with the same value for property identifierUris already exists: {taken.pop()}."
                )

    # Secrets

    def add_password(self, object_id: str, wanted: Json) -> Json:
        """The new secret, with its text, which no later answer shows."""
        document = self.application(object_id)
        now = datetime.now(UTC)
        text = secrets.token_urlsafe(30)
        credential = {
            "keyId": str(uuid.uuid4()),
            "displayName": wanted.get("displayName"),
            "startDateTime": wanted.get("startDateTime") or _stamp(now),
            "endDateTime": wanted.get("endDateTime") or _stamp(now + timedelta(days=730)),
            "hint": text[:3],
            "secretText": text,
            "customKeyIdentifier": None,
        }
        document["passwordCredentials"].append(credential)
        self._applications.put(object_id, document)
        return credential

    def remove_password(self, object_id: str, key_id: str) -> None:
        document = self.application(object_id)
        kept = [each for each in document["passwordCredentials"] if each["keyId"] != key_id]
        if len(kept) == len(document["passwordCredentials"]):
            raise bad_request(f"No password credential found with keyId '{key_id}'.")
        self._applications.put(object_id, document | {"passwordCredentials": kept})

    # Federated credentials

    def federated_credentials(self, object_id: str) -> list[Json]:
        return [document for _, document in self._federated.items(object_id + "/")]

    def federated_credential(self, object_id: str, name: str) -> Json:
        """By id or by name; GraphError 404 when there is none."""
        self.application(object_id)
        for each in self.federated_credentials(object_id):
            if name in (each["id"], each["name"]):
                return each
        raise missing(name)

    def put_federated_credential(self, object_id: str, wanted: Json, credential_id: str | None = None) -> Json:
        """Add one, or change the one with `credential_id`."""
        self.application(object_id)
        _refuse_unknown("federatedIdentityCredential", wanted, dict.fromkeys(FEDERATED_FIELDS))
        old = self.federated_credential(object_id, credential_id) if credential_id else {"id": str(uuid.uuid4())}
        if credential_id and wanted.get("name", old["name"]) != old["name"]:
            raise bad_request("Property 'name' of a federatedIdentityCredential cannot be changed.")
        document = {"description": None, **old, **wanted}
        self._check_federated(object_id, document)
        self._federated.put(f"{object_id}/{document['id']}", document)
        return document

    def remove_federated_credential(self, object_id: str, name: str) -> None:
        self._federated.delete(f"{object_id}/{self.federated_credential(object_id, name)['id']}")

    def _check_federated(self, object_id: str, wanted: Json) -> None:
        for field in ("name", "issuer", "subject", "audiences"):
            if not wanted.get(field):
                raise bad_request(f"A value is required for property '{field}' of a federatedIdentityCredential.")
        if not isinstance(wanted["audiences"], list) or len(wanted["audiences"]) != 1:
            raise bad_request("Property 'audiences' of a federatedIdentityCredential must hold exactly one value.")
        others = [each for each in self.federated_credentials(object_id) if each["id"] != wanted["id"]]
        if len(others) >= FEDERATED_LIMIT:
            raise bad_request(f"An application can have at most {FEDERATED_LIMIT} federatedIdentityCredentials.")
        for other in others:
            if other["name"] == wanted["name"]:
                raise conflict(f"FederatedIdentityCredential with name {wanted['name']} already exists.")
            if (other["issuer"], other["subject"]) == (wanted["issuer"], wanted["subject"]):
                raise conflict("FederatedIdentityCredential with the same issuer and subject already exists.")

    # Service principals

    def service_principals(self) -> list[Json]:
        return [document for _, document in self._principals.items()]

    def service_principal(self, object_id: str) -> Json:
        """GraphError 404 when there is none."""
        document = self._principals.get(object_id)
        if document is None:
            raise missing(object_id)
        return document

    def service_principal_of(self, client_id: str) -> Json | None:
        return next((each for each in self.service_principals() if each["appId"] == client_id), None)

    def add_service_principal(self, wanted: Json) -> Json:
        _refuse_unknown("servicePrincipal", wanted, {**SERVICE_PRINCIPAL_DEFAULTS, "appId": None})
        application = self.application_by_client_id(str(wanted.get("appId", "")))
        if application is None:
            raise bad_request(
                f"The appId '{wanted.get('appId', '')}' of the service principal does not reference an application."
            )
        if self.service_principal_of(application["appId"]) is not None:
            raise conflict(f"The service principal of appId '{application['appId']}' already exists.")
        document = self._new_principal(application, wanted)
        self._principals.put(document["id"], document)
        return document

    def change_service_principal(self, object_id: str, wanted: Json) -> None:
        document = self.service_principal(object_id)
        _refuse_unknown("servicePrincipal", wanted, SERVICE_PRINCIPAL_DEFAULTS)
        self._principals.put(object_id, document | wanted)

    def remove_service_principal(self, object_id: str) -> None:
        self.service_principal(object_id)
        self._principals.delete(object_id)

    def _new_principal(self, application: Json, wanted: Json) -> Json:
        return {
            "id": str(uuid.uuid4()),
            "appId": application["appId"],
            "displayName": application["displayName"],
            "appDisplayName": application["displayName"],
            "appOwnerOrganizationId": self._settings.tenant_id,
            "servicePrincipalType": "Application",
            "servicePrincipalNames": [application["appId"], *application["identifierUris"]],
            "signInAudience": application["signInAudience"],
            "appRoles": application["appRoles"],
            "oauth2PermissionScopes": [],
            "replyUrls": [],
            "homepage": None,
            "logoutUrl": None,
            **SERVICE_PRINCIPAL_DEFAULTS,
            **wanted,
        }


def _refuse_unknown(what: str, wanted: Json, known: Json) -> None:
    for name in wanted:
        if name not in known and not name.startswith("@odata"):
            raise bad_request(
                f"The property '{name}' does not exist on type 'microsoft.graph.{what}' or can't be set on the sandbox."
            )


def _now() -> str:
    return _stamp(datetime.now(UTC))


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
