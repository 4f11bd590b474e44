"""Who may have a token: the sandbox's owner, applications of the directory, user-assigned identities."""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from sandbox.kernel.context import Sandbox
from sandbox.kernel.tokens import Principal
from sandbox.login.errors import LoginError
from sandbox.login.federation import Federation

#: Resources that every tenant knows; sub-domains count.
PUBLIC_RESOURCES = (
    "management.azure.com", "management.core.windows.net", "graph.microsoft.com", "storage.azure.com",
    "blob.core.windows.net", "ml.azure.com", "api.azureml.ms", "vault.azure.net", "api.loganalytics.io",
    "api.loganalytics.azure.com", "monitor.azure.com", "metrics.monitor.azure.com", "eventgrid.azure.net",
)  # fmt: skip
IDENTITY_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"
_BAD_ASSERTION = "invalid_client"


@dataclass(frozen=True, slots=True)
class Credential:
    """What a token request brings to prove who it is: a secret or a federated token."""

    client_id: str
    secret: str = ""
    assertion: str = ""


class LoginState:
    """Stateless but for the federation key: the directory is graph's, the identities are ARM's."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        issuer = f"{sandbox.settings.url('login')}/federation"
        self.federation = Federation(sandbox.home / "federation-key.pem", issuer)

    def reset(self) -> None:
        """Nothing to forget: keys stay, so that tokens do."""

    def tenant(self, name: str) -> str:
        """The tenant id; LoginError when this sandbox is not that tenant."""
        if name.lower() != self._sandbox.settings.tenant_id:
            raise LoginError(90002, "invalid_request", f"Tenant '{name}' not found.")
        return self._sandbox.settings.tenant_id

    def authenticate(self, credential: Credential) -> Principal:
        """The caller; LoginError when the secret or the assertion is not good."""
        if credential.assertion:
            return self._federated(credential)
        if not credential.secret:
            raise LoginError(
                7000216,
                "invalid_client",
                "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
                401,
            )
        return self._with_secret(credential)

    def audience(self, resource: str) -> str:
        """The audience of a token for `resource`; LoginError when no such resource is known."""
        host = resource.removeprefix("https://").partition("/")[0].lower()
        services = {self._sandbox.settings.url(name).removeprefix("https://") for name in self._sandbox.settings.ports}
        known = host in services or any(host == name or host.endswith("." + name) for name in PUBLIC_RESOURCES)
        if not known and resource not in self._identifier_uris():
            raise LoginError(
                500011,
                "invalid_resource",
                f"The resource principal named {resource} was not found in the tenant named sandbox.",
            )
        return resource

    def _with_secret(self, credential: Credential) -> Principal:
        settings = self._sandbox.settings
        if credential.client_id == settings.client_id:
            if hmac.compare_digest(credential.secret.encode(), settings.client_secret.encode()):
                return self._sandbox.owner
            raise _wrong_secret(credential.client_id)
        application = self._application(credential.client_id)
        for password in application.get("passwordCredentials", []):
            if hmac.compare_digest(credential.secret.encode(), password["secretText"].encode()):
                if _epoch(password["endDateTime"]) < time.time():
                    raise LoginError(
                        7000222, "invalid_client", "The provided client secret keys for app are expired.", 401
                    )
                return self._principal(application)
        raise _wrong_secret(credential.client_id)

    def _federated(self, credential: Credential) -> Principal:
        try:
            claims = self.federation.claims(credential.assertion)
        except jwt.ExpiredSignatureError as error:
            raise LoginError(
                700024, _BAD_ASSERTION, "Client assertion is not within its valid time range.", 401
            ) from error
        except jwt.PyJWTError as error:
            raise LoginError(
                50027, _BAD_ASSERTION, f"JWT token is invalid or malformed: {error}. {self._trusted()}", 401
            ) from error
        principal, trusted = self._federated_client(credential.client_id)
        _match(claims, trusted)
        return principal

    def _trusted(self) -> str:
        return "The sandbox trusts only tokens that it minted itself (rollout sandbox token)."

    def _federated_client(self, client_id: str) -> tuple[Principal, list[dict[str, Any]]]:
        arm = self._sandbox.states["arm"]
        for identity in arm.of_type(IDENTITY_TYPE):
            if identity.properties.get("clientId") == client_id:
                trusted = arm.children(identity.id, f"{IDENTITY_TYPE}/federatedIdentityCredentials")
                return Principal(identity.properties["principalId"], client_id), [each.properties for each in trusted]
        application = self._application(client_id)
        return self._principal(application), self._sandbox.states["graph"].federated_credentials(application["id"])

    def _application(self, client_id: str) -> dict[str, Any]:
        application: dict[str, Any] | None = self._sandbox.states["graph"].application_by_client_id(client_id)
        if application is None:
            raise LoginError(
                700016,
                "unauthorized_client",
                f"Application with identifier '{client_id}' was not found in the directory 'sandbox'.",
            )
        return application

    def _principal(self, application: dict[str, Any]) -> Principal:
        service = self._sandbox.states["graph"].service_principal_of(application["appId"])
        if service is None:
            raise LoginError(
                7000229,
                "invalid_client",
                f"The client application {application['appId']} is missing service principal in the tenant"
                f" {self._sandbox.settings.tenant_id}.",
                401,
            )
        return Principal(service["id"], application["appId"])

    def _identifier_uris(self) -> set[str]:
        return {
            uri
            for each in self._sandbox.states["graph"].applications()
            for uri in (*each.get("identifierUris", []), each["appId"], f"api://{each['appId']}")
        }


def _match(claims: dict[str, Any], trusted: list[dict[str, Any]]) -> None:
    """Entra looks for the issuer, then the subject, then the audience; each miss has its own number."""
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    steps = (
        (700211, "issuer", claims["iss"], lambda each: each["issuer"] == claims["iss"]),
        (700213, "subject", claims["sub"], lambda each: each["subject"] == claims["sub"]),
        (700212, "audience", ", ".join(audiences), lambda each: bool(set(each["audiences"]) & set(audiences))),
    )
    for number, what, value, fits in steps:
        trusted = [each for each in trusted if fits(each)]
        if not trusted:
            raise LoginError(
                number,
                _BAD_ASSERTION,
                f"No matching federated identity record found for presented assertion {what} '{value}'. "
                "Check your federated identity credential Subject, Audience and Issuer against the presented"
                " assertion.",
                401,
            )


def _wrong_secret(client_id: str) -> LoginError:
    return LoginError(
        7000215,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
        f" not the client secret ID, for a secret added to app '{client_id}'.",
        401,
    )


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
