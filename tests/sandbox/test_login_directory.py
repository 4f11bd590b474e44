"""The directory behind the tokens: applications, principals and what they trust, through Graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.graph.app import create
from sandbox.graph.state import GraphState
from sandbox.kernel.context import Sandbox
from tests.sandbox.asgi import Service

APPS = "/v1.0/applications"
PRINCIPALS = "/v1.0/servicePrincipals"
TRUST = {
    "name": "main",
    "issuer": "https://issuer.example",
    "subject": "s",
    "audiences": ["api://AzureADTokenExchange"],
}


@pytest.fixture
def graph(context: Sandbox, service: Callable[..., Service]) -> Service:
    context.states["graph"] = GraphState(context)
    return service(create(context), audience="https://graph.microsoft.com")


def test_an_application_lives_from_creation_to_deletion(graph: Service) -> None:
    created = graph.post(APPS, {"displayName": "ci", "tags": ["a"]})
    assert created.status == 201
    path = f"{APPS}/{created.json()['id']}"
    assert graph.patch(path, {"displayName": "ci 2"}).status == 204
    assert graph.get(path).json()["displayName"] == "ci 2"
    assert graph.get(f"{APPS}(appId='{created.json()['appId']}')").json()["tags"] == ["a"]
    principal = graph.post(PRINCIPALS, {"appId": created.json()["appId"]}).json()
    assert graph.delete(path).status == 204
    assert graph.get(path).json()["error"]["code"] == "Request_ResourceNotFound"
    assert graph.get(f"{PRINCIPALS}/{principal['id']}").status == 404


def test_objects_are_found_by_name_and_by_client_id(graph: Service, context: Sandbox) -> None:
    graph.post(APPS, {"displayName": "O'Brien"})
    graph.post(APPS, {"displayName": "Orwell"})

    def found(path: str) -> list[str]:
        return [each["displayName"] for each in graph.get(path).json()["value"]]

    assert found(f"{APPS}?$filter=displayName eq 'O''Brien'") == ["O'Brien"]
    assert sorted(found(f"{APPS}?$filter=startswith(displayName, 'O')")) == ["O'Brien", "Orwell"]
    owner = graph.get(f"{PRINCIPALS}?$filter=appId eq '{context.settings.client_id}'").json()["value"]
    assert [each["id"] for each in owner] == [context.settings.object_id]
    assert set(graph.get(f"{APPS}?$select=displayName&$top=1").json()["value"][0]) == {"id", "displayName"}
    assert graph.get(f"{APPS}?$filter=colour eq 'red'").status == 400
    assert graph.get(f"{APPS}?$filter=displayName ne 'x'").status == 501


def test_a_secret_is_shown_once(graph: Service) -> None:
    path = f"{APPS}/{graph.post(APPS, {'displayName': 'ci'}).json()['id']}"
    secret = graph.post(f"{path}/addPassword", {"passwordCredential": {"displayName": "one"}}).json()
    assert len(secret["secretText"]) > 20
    shown = graph.get(path)
    assert shown.json()["passwordCredentials"][0]["hint"] == secret["secretText"][:3]
    assert secret["secretText"] not in shown.text
    assert graph.post(f"{path}/removePassword", {"keyId": secret["keyId"]}).status == 204
    assert graph.post(f"{path}/removePassword", {"keyId": secret["keyId"]}).status == 400


def test_federated_credentials_are_added_changed_and_removed(graph: Service) -> None:
    path = f"{APPS}/{graph.post(APPS, {'displayName': 'ci'}).json()['id']}/federatedIdentityCredentials"
    added = graph.post(path, TRUST)
    assert added.status == 201
    one = f"{path}/{added.json()['id']}"
    assert graph.patch(one, {"subject": "other"}).status == 204
    assert graph.get(one).json()["subject"] == "other"
    assert graph.get(f"{path}/main").json()["id"] == added.json()["id"]
    assert [each["name"] for each in graph.get(path).json()["value"]] == ["main"]
    assert graph.delete(one).status == 204
    assert graph.get(one).status == 404


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"name": "main"}, 409),
        ({"name": "twin"}, 409),
        ({"name": "two", "subject": "t", "audiences": ["a", "b"]}, 400),
        ({"name": "", "subject": "t"}, 400),
        ({"name": "odd", "subject": "t", "colour": "red"}, 400),
    ],
)
def test_federated_credentials_that_are_refused(graph: Service, change: dict, status: int) -> None:
    path = f"{APPS}/{graph.post(APPS, {'displayName': 'ci'}).json()['id']}/federatedIdentityCredentials"
    graph.post(path, TRUST)
    assert graph.post(path, {**TRUST, **change}).status == status


def test_at_most_twenty_federated_credentials(graph: Service) -> None:
    path = f"{APPS}/{graph.post(APPS, {'displayName': 'ci'}).json()['id']}/federatedIdentityCredentials"
    for number in range(20):
        assert graph.post(path, {**TRUST, "name": f"n{number}", "subject": f"s{number}"}).status == 201
    refused = graph.post(path, {**TRUST, "name": "more", "subject": "more"})
    assert "at most 20" in refused.json()["error"]["message"]


def test_what_graph_refuses(graph: Service) -> None:
    assert graph.post(APPS, {}).status == 400
    assert graph.post(APPS, {"displayName": "x", "colour": "red"}).status == 400
    assert graph.post(APPS, {"displayName": "x", "signInAudience": "Everybody"}).status == 400
    assert graph.post(PRINCIPALS, {"appId": "nobody"}).status == 400
    assert graph.get("/v1.0/users").status == 501
    assert graph.get("/beta/applications").status == 501
    assert graph.get(APPS, headers={"Authorization": ""}).status == 401
