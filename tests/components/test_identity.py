"""Apps without secrets, roles without wildcards."""

from __future__ import annotations

import pytest

from components.config import SettingsError
from components.identity.custom_roles import CUSTOM_ROLES, OPERATOR, PREVIEWER, READER
from sandbox.plugins.azure_native.catalogue import CATALOGUE
from tests.components.mocks import Run, settings_of
from tests.components.test_platform import deploy

FEDERATED = "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential"
AZURE_DEVOPS = {
    "organizationId": "0b7c1a52-0000-4000-8000-000000000001",
    "organization": "shop",
    "project": "churn",
    "serviceConnection": "rollout-prod",
}
GITHUB = {"repository": "shop/churn", "branch": "main", "environments": ["prod"]}


@pytest.fixture(scope="module")
def both() -> Run:
    return deploy("prod", identity={"github": GITHUB, "azureDevops": AZURE_DEVOPS})


def test_each_job_is_trusted_by_its_exact_subject(both: Run) -> None:
    trusted = {each.inputs["displayName"]: each.inputs for each in both.of(FEDERATED)}
    assert {name: each["subject"] for name, each in trusted.items()} == {
        "github-branch": "repo:shop/churn:ref:refs/heads/main",
        "github-environment-prod": "repo:shop/churn:environment:prod",
        "github-pull-request": "repo:shop/churn:pull_request",
        "azure-devops": "sc://shop/churn/rollout-prod",
    }
    assert {tuple(each["audiences"]) for each in trusted.values()} == {("api://AzureADTokenExchange",)}
    assert trusted["azure-devops"]["issuer"].endswith(AZURE_DEVOPS["organizationId"])


def test_a_pull_request_is_never_an_operator(both: Run) -> None:
    pull_request = next(each for each in both.of(FEDERATED) if each.inputs["displayName"] == "github-pull-request")
    assert pull_request.name == "identity-previewer-github-pull-request"


def test_there_is_no_secret(both: Run) -> None:
    assert not [each.type for each in both.declared.values() if "assword" in each.type or "ertificate" in each.type]


def test_roles_are_assigned_at_the_least_scope(both: Run) -> None:
    placed = {
        each.name: each.inputs["scope"] for each in both.of("authorization:RoleAssignment") if each.parent == "identity"
    }
    assert set(placed) == {
        "identity-operator-at-workspace",
        "identity-operator-at-journal",
        "identity-operator-at-topic",
        "identity-operator-at-identity-churn",
        "identity-operator-scoring-at-workspace",
        "identity-previewer-at-group",
        "identity-functions-at-workspace",
        "identity-functions-at-journal",
    }
    assert placed["identity-operator-at-journal"].endswith("/containers/rollout-journal")


def test_readers_are_groups(both: Run) -> None:
    group = "0b7c1a52-0000-4000-8000-00000000000a"
    made = deploy("prod", identity={"readers": [group]})
    readers = [each for each in made.of("authorization:RoleAssignment") if each.inputs["principalId"] == group]
    assert {each.inputs["principalType"] for each in readers} == {"Group"}
    assert len(readers) == len(READER.assigned)


def test_nobody_to_trust_makes_no_app_and_the_switch_makes_nothing() -> None:
    assert not [each for each in deploy("prod", identity={}).declared.values() if each.type.startswith("azuread:")]
    assert not deploy(
        "prod", identity={"enabled": False}, gateway={"enabled": False}, availabilityTest={}, functions={}, events={}
    ).of("authorization:RoleDefinition")


@pytest.mark.parametrize("role", CUSTOM_ROLES, ids=lambda role: role.key)
def test_no_role_has_a_wildcard_or_may_change_roles(role: object) -> None:
    assert isinstance(role, type(OPERATOR))
    everything = [*role.actions, *role.data_actions]
    assert len(set(everything)) == len(everything)
    assert not [action for action in everything if "*" in action]
    assert not [
        each for each in everything if each.startswith("Microsoft.Authorization") and not each.endswith("/read")
    ]


def test_the_previewer_only_reads_and_reads_every_type_of_the_program(both: Run) -> None:
    assert all(action.endswith("/read") for action in PREVIEWER.actions)
    assert not PREVIEWER.data_actions
    for kind in {each.type for each in both.declared.values() if not each.type.startswith("azuread:")}:
        path = CATALOGUE[kind].path
        parts = path.rpartition("/providers/")[2].split("/")
        named = "/".join([parts[0], *parts[1::2]]) if "/providers/" in path else ""
        wanted = f"{named or 'Microsoft.Resources/subscriptions/resourceGroups'}/read"
        assert wanted in PREVIEWER.actions, kind


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"github": {"repository": "no-owner"}}, "identity.github.repository"),
        ({"github": {"repository": "a/b", "branch": "release/*"}}, "identity.github.branch"),
        ({"azureDevops": {**AZURE_DEVOPS, "organizationId": "shop"}}, "identity.azureDevops.organizationId"),
        ({"readers": ["everybody"]}, "identity.readers"),
    ],
)
def test_wrong_trust_is_named(identity: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings_of("prod", identity=identity)
