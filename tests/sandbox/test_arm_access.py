"""Who may do what: an application gets what its role assignments give, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.arm.access import action_of
from sandbox.kernel.context import Sandbox
from sandbox.kernel.tokens import Principal
from tests.sandbox.arm import Arm
from tests.sandbox.asgi import Answer

ACCOUNT = "/providers/Microsoft.Storage/storageAccounts/books1"
BODY = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
ROBOT = Principal("0b7c1a52-0000-4000-8000-000000000001", "0b7c1a52-0000-4000-8000-000000000002")
READER, CONTRIBUTOR = "acdd72a7-3385-48ef-bd42-f606fba81ae7", "b24988ac-6180-42a0-ab88-20f7382dd24c"


@pytest.fixture
def robot(arm: Arm, context: Sandbox) -> Callable[..., Answer]:
    """Calls ARM as an application that is not the owner."""
    token = context.tokens.issue("https://management.azure.com", ROBOT)

    def call(method: str, path: str, body: object = None) -> Answer:
        return arm.service.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})

    return call


def give(arm: Arm, role: str) -> None:
    path = "/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555"
    body = {"properties": {"principalId": ROBOT.object_id, "roleDefinitionId": f"/x/{role}"}}
    assert arm.service.put(arm.path(path), body).status == 201


def test_without_a_role_nothing_is_allowed(arm: Arm, robot: Callable[..., Answer]) -> None:
    refused = robot("GET", arm.path(""))
    assert (refused.status, refused.json()["error"]["code"]) == (403, "AuthorizationFailed")
    assert "Microsoft.Resources/subscriptions/resourceGroups/read" in refused.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/{}", "{}/", "//{}//"])
def test_slashes_more_open_no_door(arm: Arm, robot: Callable[..., Answer], path: str) -> None:
    arm.make(ACCOUNT, BODY)
    assert robot("DELETE", path.format(arm.path(ACCOUNT))).status == 403
    assert arm.service.get(arm.path(ACCOUNT)).status == 200


def test_a_reader_reads_and_does_not_write_or_take_keys(arm: Arm, robot: Callable[..., Answer]) -> None:
    arm.make(ACCOUNT, BODY)
    give(arm, READER)
    assert robot("GET", arm.path(ACCOUNT)).status == 200
    assert robot("PUT", arm.path(ACCOUNT), BODY).status == 403
    refused = robot("POST", arm.path(ACCOUNT + "/listKeys"))
    assert "storageAccounts/listKeys/action" in refused.json()["error"]["message"]


def test_a_contributor_does_all_but_hand_out_roles_and_only_in_its_group(
    arm: Arm, robot: Callable[..., Answer]
) -> None:
    give(arm, CONTRIBUTOR)
    assert robot("PUT", arm.path(ACCOUNT), BODY).status == 201
    role = "/providers/Microsoft.Authorization/roleAssignments/22222222-2222-3333-4444-555555555555"
    assert robot("PUT", arm.path(role), {"properties": {}}).status == 403
    arm.make_group("other")
    assert robot("GET", arm.path("", "other")).status == 403


def test_a_custom_role_gives_exactly_its_actions(arm: Arm, robot: Callable[..., Answer]) -> None:
    arm.make(ACCOUNT, BODY)
    guid = "99999999-2222-3333-4444-555555555555"
    scope = f"/subscriptions/{arm.subscription}"
    role = {
        "properties": {
            "roleName": "key taker",
            "assignableScopes": [scope],
            "permissions": [{"actions": ["Microsoft.Storage/*/listKeys/action"], "notActions": []}],
        }
    }
    path = f"{scope}/providers/Microsoft.Authorization/roleDefinitions/{guid}?api-version=2022-04-01"
    assert arm.service.put(path, role).status == 201
    give(arm, guid)
    assert robot("POST", arm.path(ACCOUNT + "/listKeys")).status == 200
    assert robot("GET", arm.path(ACCOUNT)).status == 403


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/subscriptions/s", "Microsoft.Resources/subscriptions/read"),
        ("DELETE", "/subscriptions/s/resourceGroups/g", "Microsoft.Resources/subscriptions/resourceGroups/delete"),
        ("PUT", "/subscriptions/s/resourceGroups/g/providers/A.B/c/d/e/f", "A.B/c/e/write"),
        ("POST", "/subscriptions/s/resourceGroups/g/providers/A.B/c/d/listKeys", "A.B/c/listKeys/action"),
    ],
)
def test_actions_are_named_as_role_definitions_name_them(method: str, path: str, action: str) -> None:
    assert action_of(method, path) == action
