"""The types that the stand-in for azuread knows, and how each lies in Microsoft Graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One type. `fields` maps inputs to Graph's properties, `outputs` the other way round.

    kept       inputs that are for the provider, or that Graph's stand-in has no place for: in the state only
    immutable  inputs whose change replaces the resource
    """

    token: str
    required: tuple[str, ...]
    fields: Mapping[str, str]
    outputs: Mapping[str, str]
    kept: frozenset[str] = frozenset()
    immutable: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inputs(self) -> frozenset[str]:
        return frozenset(self.fields) | self.kept

    def body(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What Graph is sent. An input that is left out is reset: azuread sends null."""
        return {graph: inputs.get(name, self.defaults.get(name)) for name, graph in self.fields.items()}

    def view(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Graph's document in the shape of the provider's outputs."""
        both = {**self.fields, **self.outputs}
        return {name: document[graph] for name, graph in both.items() if document.get(graph) is not None}


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


APPLICATION = Kind(
    token="azuread:index/application:Application",  # nosec B106  # a type's name
    required=("displayName",),
    fields={
        **_same(
            "displayName", "description", "groupMembershipClaims", "identifierUris", "notes",
            "serviceManagementReference", "signInAudience", "tags",
        ),
        "fallbackPublicClientEnabled": "isFallbackPublicClient",
        "deviceOnlyAuthEnabled": "isDeviceOnlyAuthSupported",
    },
    outputs={"clientId": "appId", "objectId": "id", "publisherDomain": "publisherDomain"},
    kept=frozenset({"owners", "preventDuplicateNames"}),
    defaults={"signInAudience": "AzureADMyOrg", "identifierUris": [], "tags": []},
)  # fmt: skip

SERVICE_PRINCIPAL = Kind(
    token="azuread:index/servicePrincipal:ServicePrincipal",  # nosec B106  # a type's name
    required=("clientId",),
    fields={
        "clientId": "appId",
        **_same(
            "accountEnabled", "alternativeNames", "appRoleAssignmentRequired", "description", "loginUrl", "notes",
            "notificationEmailAddresses", "preferredSingleSignOnMode", "tags",
        ),
    },
    outputs={
        "objectId": "id",
        "displayName": "displayName",
        "servicePrincipalNames": "servicePrincipalNames",
        "signInAudience": "signInAudience",
        "type": "servicePrincipalType",
    },
    kept=frozenset({"owners", "useExisting"}),
    immutable=frozenset({"clientId"}),
    defaults={
        "accountEnabled": True,
        "appRoleAssignmentRequired": False,
        "alternativeNames": [],
        "notificationEmailAddresses": [],
        "tags": [],
    },
)  # fmt: skip

FEDERATED_CREDENTIAL = Kind(
    token="azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential",  # nosec B106
    required=("applicationId", "audiences", "displayName", "issuer", "subject"),
    fields={"displayName": "name", **_same("audiences", "description", "issuer", "subject")},
    outputs={"credentialId": "id"},
    kept=frozenset({"applicationId"}),
    immutable=frozenset({"applicationId", "displayName"}),
)

PASSWORD = Kind(
    token="azuread:index/applicationPassword:ApplicationPassword",  # nosec B106  # a type's name
    required=("applicationId",),
    fields={"displayName": "displayName", "startDate": "startDateTime", "endDate": "endDateTime"},
    outputs={"keyId": "keyId"},
    kept=frozenset({"applicationId", "rotateWhenChanged"}),
    immutable=frozenset({"applicationId", "displayName", "startDate", "endDate", "rotateWhenChanged"}),
)

KINDS: Mapping[str, Kind] = {
    kind.token: kind for kind in (APPLICATION, SERVICE_PRINCIPAL, FEDERATED_CREDENTIAL, PASSWORD)
}
