"""The real azure-identity against the token endpoint, over TLS."""

from __future__ import annotations

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential

from tests.sandbox.conftest import RunningSandbox

SCOPE = "https://management.azure.com/.default"


def test_a_client_secret(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.use(monkeypatch)
    settings = sandbox.settings
    where = {"authority": settings.url("login"), "disable_instance_discovery": True}
    good = ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret, **where)
    claims = jwt.decode(good.get_token(SCOPE).token, options={"verify_signature": False})
    assert claims["tid"] == settings.tenant_id

    bad = ClientSecretCredential(settings.tenant_id, settings.client_id, "guess", **where)
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        bad.get_token(SCOPE)


def test_a_client_assertion_by_public_names(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.use(monkeypatch, proxy=True)
    graph = sandbox.session("https://graph.microsoft.com")
    base = sandbox.settings.url("graph") + "/v1.0"
    application = graph.post(f"{base}/applications", json={"displayName": "ci"}, timeout=10).json()
    graph.post(f"{base}/servicePrincipals", json={"appId": application["appId"]}, timeout=10).raise_for_status()
    trust = {
        "name": "main",
        "issuer": "https://i.example",
        "subject": "job",
        "audiences": ["api://AzureADTokenExchange"],
    }
    url = f"{base}/applications/{application['id']}/federatedIdentityCredentials"
    graph.post(url, json=trust, timeout=10).raise_for_status()

    def credential(subject: str) -> ClientAssertionCredential:
        return ClientAssertionCredential(
            sandbox.settings.tenant_id,
            application["appId"],
            lambda: sandbox.admin.federated_token(subject, issuer="https://i.example"),
        )

    token = credential("job").get_token(SCOPE).token
    assert jwt.decode(token, options={"verify_signature": False})["appid"] == application["appId"]
    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        credential("other job").get_token(SCOPE)
