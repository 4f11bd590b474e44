"""Tokens: with a secret, with a federated token, and what Entra answers when they are wrong."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import jwt
import pytest

from sandbox.graph.state import GraphState
from sandbox.kernel.context import Sandbox
from sandbox.login.app import create
from sandbox.login.state import LoginState
from tests.sandbox.asgi import Answer, Service

ARM = "https://management.azure.com/.default"
GITHUB = "https://token.actions.githubusercontent.com"
SUBJECT = "repo:me/app:ref:refs/heads/main"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Login:
    """The login service in process."""

    def __init__(self, context: Sandbox, service: Service) -> None:
        self.context, self.service = context, service
        settings = context.settings
        self.good = {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
            "scope": ARM,
        }

    def token(self, form: dict[str, str], path: str = "/oauth2/v2.0/token", tenant: str = "") -> Answer:
        url = f"/{tenant or self.context.settings.tenant_id}{path}"
        return self.service.post(url, content=urlencode(form).encode())


@pytest.fixture
def login(context: Sandbox, service: Callable[..., Service]) -> Login:
    context.states["graph"] = GraphState(context)
    context.states["login"] = LoginState(context)
    return Login(context, service(create(context)))


def refusal(answer: Answer) -> tuple[int, str, int]:
    body = answer.json()
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}: ")
    return answer.status, body["error"], body["error_codes"][0]


def test_the_owners_secret_gives_a_token_for_the_asked_resource(login: Login) -> None:
    answer = login.token(login.good).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
    assert (claims["aud"], claims["appid"]) == ("https://management.azure.com", login.context.settings.client_id)
    keys = login.service.get(f"/{login.context.settings.tenant_id}/discovery/v2.0/keys").json()
    key = jwt.PyJWK(keys["keys"][0]).key
    jwt.decode(answer["access_token"], key, algorithms=["RS256"], audience="https://management.azure.com")


def test_the_older_endpoint_takes_a_resource(login: Login) -> None:
    form = {**login.good, "resource": "https://management.core.windows.net/"}
    del form["scope"]
    answer = login.token(form, "/oauth2/token").json()
    assert (answer["resource"], answer["expires_in"]) == ("https://management.core.windows.net/", "3600")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"client_secret": "guess"}, (401, "invalid_client", 7000215)),
        ({"client_secret": ""}, (401, "invalid_client", 7000216)),
        ({"client_id": "nobody"}, (400, "unauthorized_client", 700016)),
        ({"scope": "https://management.azure.com"}, (400, "invalid_scope", 70011)),
        ({"scope": ""}, (400, "invalid_request", 900144)),
        ({"scope": "https://elsewhere.example/.default"}, (400, "invalid_resource", 500011)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
    ],
)
def test_refusals_have_entras_codes(login: Login, change: dict[str, str], expected: tuple[int, str, int]) -> None:
    assert refusal(login.token({**login.good, **change})) == expected


def test_another_tenant_is_not_found(login: Login) -> None:
    assert refusal(login.token(login.good, tenant="common")) == (400, "invalid_request", 90002)


def test_an_application_logs_in_with_a_secret_of_its_own_until_it_is_removed(login: Login) -> None:
    graph: GraphState = login.context.states["graph"]
    application = graph.add_application({"displayName": "ci"})
    secret = graph.add_password(application["id"], {"displayName": "first"})
    form = {**login.good, "client_id": application["appId"], "client_secret": secret["secretText"]}
    assert refusal(login.token(form)) == (401, "invalid_client", 7000229)
    principal = graph.add_service_principal({"appId": application["appId"]})
    claims = jwt.decode(login.token(form).json()["access_token"], options={"verify_signature": False})
    assert claims["oid"] == principal["id"]
    graph.remove_password(application["id"], secret["keyId"])
    assert refusal(login.token(form))[2] == 7000215
    old = graph.add_password(application["id"], {"endDateTime": "2020-01-01T00:00:00Z"})
    assert refusal(login.token({**form, "client_secret": old["secretText"]}))[2] == 7000222


@pytest.fixture
def federated(login: Login) -> dict[str, str]:
    """An application that trusts GitHub's main branch; the form to log in with, without its assertion."""
    graph: GraphState = login.context.states["graph"]
    application = graph.add_application({"displayName": "ci"})
    graph.add_service_principal({"appId": application["appId"]})
    graph.put_federated_credential(
        application["id"],
        {"name": "main", "issuer": GITHUB, "subject": SUBJECT, "audiences": ["api://AzureADTokenExchange"]},
    )
    form = {**login.good, "client_id": application["appId"], "client_assertion_type": JWT_BEARER}
    del form["client_secret"]
    return form


def test_a_jobs_federated_token_is_exchanged(login: Login, federated: dict[str, str]) -> None:
    assertion = login.context.states["login"].federation.mint(SUBJECT, issuer=GITHUB)
    answer = login.token({**federated, "client_assertion": assertion})
    assert answer.status == 200, answer.text


@pytest.mark.parametrize(
    ("subject", "options", "number"),
    [
        (SUBJECT, {"issuer": "https://elsewhere.example"}, 700211),
        ("repo:me/app:ref:refs/heads/evil", {"issuer": GITHUB}, 700213),
        (SUBJECT, {"issuer": GITHUB, "audience": "api://other"}, 700212),
        (SUBJECT, {"issuer": GITHUB, "lifetime": -60}, 700024),
    ],
)
def test_a_federated_token_must_match_in_issuer_subject_audience_and_time(
    login: Login, federated: dict[str, str], subject: str, options: dict, number: int
) -> None:
    assertion = login.context.states["login"].federation.mint(subject, **options)
    assert refusal(login.token({**federated, "client_assertion": assertion})) == (401, "invalid_client", number)


def test_a_token_that_somebody_else_signed_is_refused(login: Login, federated: dict[str, str]) -> None:
    forged = jwt.encode({"iss": GITHUB, "sub": SUBJECT, "aud": "x", "exp": 9999999999}, "k" * 32, algorithm="HS256")
    assert refusal(login.token({**federated, "client_assertion": forged}))[2] == 50027


def test_a_user_assigned_identity_logs_in_with_its_federated_credential(login: Login) -> None:
    arm = login.context.states["arm"]
    base = f"/subscriptions/{login.context.settings.subscription_id}/resourceGroups/g/providers"
    identity = arm.new(f"{base}/Microsoft.ManagedIdentity/userAssignedIdentities/ci", location="eastus")
    identity.properties = {"clientId": "the-client", "principalId": "the-principal"}
    arm.put(identity)
    credential = arm.new(f"{identity.id}/federatedIdentityCredentials/main")
    credential.properties = {"issuer": GITHUB, "subject": SUBJECT, "audiences": ["api://AzureADTokenExchange"]}
    arm.put(credential)
    form = {**login.good, "client_id": "the-client", "client_assertion_type": JWT_BEARER}
    form["client_assertion"] = login.context.states["login"].federation.mint(SUBJECT, issuer=GITHUB)
    claims = jwt.decode(login.token(form).json()["access_token"], options={"verify_signature": False})
    assert claims["oid"] == "the-principal"


def test_discovery_names_the_host_that_was_asked(login: Login) -> None:
    tenant = login.context.settings.tenant_id
    url = f"https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
    document = login.service.get(url).json()
    assert document["token_endpoint"] == f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    instances = login.service.get("https://login.microsoftonline.com/common/discovery/instance?api-version=1.1").json()
    assert instances["metadata"][0]["aliases"] == ["login.microsoftonline.com"]
