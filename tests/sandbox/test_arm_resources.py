"""Resource Manager as its clients meet it: PUT, GET, PATCH, DELETE, lists, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.arm.ids import parse, spelled
from sandbox.kernel.context import Sandbox
from tests.sandbox.arm import Arm

STORAGE = "Microsoft.Storage/storageAccounts"
ACCOUNT = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2", "properties": {}}


def account_path(name: str) -> str:
    return f"/providers/{STORAGE}/{name}"


def test_an_account_is_created_shown_and_deleted(arm: Arm) -> None:
    created = arm.service.put(arm.path(account_path("books1")), {**ACCOUNT, "tags": {"team": "ml"}})
    assert (created.status, created.json()["properties"]["provisioningState"]) == (201, "Creating")
    assert created.headers["retry-after-ms"] == "200"
    assert arm.finish(created) == "Succeeded"

    shown = arm.service.get(arm.path(account_path("books1"))).json()
    assert shown["properties"]["provisioningState"] == "Succeeded"
    assert shown["tags"] == {"team": "ml"}
    assert shown["systemData"]["createdByType"] == "Application"
    assert shown["properties"]["primaryEndpoints"]["blob"].endswith("/books1/")
    assert "_private" not in shown

    deleted = arm.service.delete(arm.path(account_path("books1")))
    assert deleted.status == 202
    assert arm.finish(deleted) == "Succeeded"
    assert arm.service.get(arm.path(account_path("books1"))).status == 404
    assert arm.service.delete(arm.path(account_path("books1"))).status == 204


def test_keys_are_given_by_list_keys_only_and_survive_an_update(arm: Arm) -> None:
    shown = arm.make(account_path("books1"), ACCOUNT)
    keys = arm.service.post(arm.path(account_path("books1") + "/listKeys")).json()["keys"]
    assert [key["keyName"] for key in keys] == ["key1", "key2"]
    assert keys[0]["value"] not in str(shown)
    arm.make(account_path("books1"), {**ACCOUNT, "tags": {"a": "b"}})
    assert arm.service.post(arm.path(account_path("books1") + "/listKeys")).json()["keys"] == keys

    renewed = arm.service.post(arm.path(account_path("books1") + "/regenerateKey"), {"keyName": "key1"}).json()["keys"]
    assert renewed[0]["value"] != keys[0]["value"]
    assert renewed[1] == keys[1]


def test_a_put_replaces_what_it_leaves_out_and_a_patch_keeps_it(arm: Arm) -> None:
    arm.make(account_path("books1"), {**ACCOUNT, "tags": {"a": "1"}, "properties": {"accessTier": "Cool"}})
    patched = arm.service.patch(arm.path(account_path("books1")), {"tags": {"b": "2"}})
    assert arm.finish(patched) == "Succeeded"
    shown = arm.service.get(arm.path(account_path("books1"))).json()
    assert (shown["tags"], shown["properties"]["accessTier"]) == ({"b": "2"}, "Cool")

    replaced = arm.make(account_path("books1"), ACCOUNT)
    assert "tags" not in replaced
    assert "accessTier" not in replaced["properties"]


def test_ids_are_matched_without_case_and_kept_as_first_written(arm: Arm) -> None:
    arm.make(account_path("books1"), ACCOUNT)
    shown = arm.service.get(arm.path("/PROVIDERS/microsoft.storage/STORAGEACCOUNTS/books1", "SHOP", "2024-01-01"))
    assert shown.json()["id"].endswith(f"/resourceGroups/shop/providers/{STORAGE}/books1")


def test_ids_are_spelled_as_azure_spells_them_whatever_the_caller_wrote(arm: Arm) -> None:
    base = f"/SUBSCRIPTIONS/{arm.subscription}/resourcegroups/Library"
    group = arm.service.put(f"{base}?api-version=2024-03-01", {"location": "eastus"}).json()
    assert group["id"] == f"/subscriptions/{arm.subscription}/resourceGroups/Library"
    account = arm.service.put(
        f"{base}/Providers/microsoft.storage/storageaccounts/books1?api-version=2024-01-01", ACCOUNT
    )
    assert account.json()["id"] == f"{group['id']}/providers/{STORAGE}/books1"
    assert account.json()["type"] == STORAGE


def test_etags_guard_against_lost_updates(arm: Arm) -> None:
    path = arm.path(account_path("books1"))
    etag = arm.make(account_path("books1"), ACCOUNT)["etag"]
    arm.make(account_path("books1"), {**ACCOUNT, "tags": {"a": "b"}})
    late = arm.service.put(path, ACCOUNT, headers={"If-Match": etag})
    assert (late.status, late.json()["error"]["code"]) == (412, "PreconditionFailed")
    assert arm.service.put(path, ACCOUNT, headers={"If-None-Match": "*"}).status == 412


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"location": "westus"}, 409, "InvalidResourceLocation"),
        ({"location": "atlantis"}, 400, "LocationNotAvailableForResourceType"),
        ({"location": None}, 400, "LocationRequired"),
        ({"sku": {"name": "Bronze"}}, 400, "InvalidRequestContent"),
        ({"colour": "red"}, 400, "InvalidRequestContent"),
        ({"properties": {"isHnsEnabled": True}}, 409, "PropertyChangeNotAllowed"),
        ({"identity": {"type": "Royal"}}, 400, "InvalidIdentityType"),
    ],
)
def test_what_an_update_may_not_do(arm: Arm, change: dict, status: int, code: str) -> None:
    arm.make(account_path("books1"), {**ACCOUNT, "location": "East US"})
    refused = arm.service.put(arm.path(account_path("books1")), {**ACCOUNT, **change})
    assert (refused.status, refused.json()["error"]["code"]) == (status, code)


def test_what_is_not_there_is_named(arm: Arm) -> None:
    missing_group = arm.service.put(arm.path(account_path("books1"), "nowhere"), ACCOUNT)
    assert missing_group.json()["error"]["code"] == "ResourceGroupNotFound"
    container = account_path("books1") + "/blobServices/default/containers/data"
    missing_parent = arm.service.put(arm.path(container), {"properties": {}})
    assert (missing_parent.status, missing_parent.json()["error"]["code"]) == (404, "ParentResourceNotFound")
    assert "/storageAccounts/books1/" in missing_parent.json()["error"]["message"]
    other = arm.service.get("/subscriptions/0000/resourceGroups/shop?api-version=2024-03-01")
    assert other.json()["error"]["code"] == "SubscriptionNotFound"


@pytest.mark.parametrize(
    "path",
    [
        "/providers/Microsoft.Quantum/workspaces/cat?api-version=2024-01-01",
        f"/providers/{STORAGE}/books1?api-version=1999-01-01",
        f"/providers/{STORAGE}/books1/teleport?api-version=2024-01-01",
        "/oddity?api-version=2024-01-01",
    ],
)
def test_the_unknown_is_refused_by_name(arm: Arm, path: str) -> None:
    arm.make(account_path("books1"), ACCOUNT)
    url = f"/subscriptions/{arm.subscription}/resourceGroups/shop{path}"
    refused = arm.service.request("POST" if "teleport" in path else "GET", url)
    assert refused.status == 501
    message = refused.json()["error"]["message"]
    assert path.split("?")[0] in message
    assert path.split("=")[1] in message


def test_a_missing_api_version_is_azures_own_error(arm: Arm) -> None:
    answer = arm.service.get(f"/subscriptions/{arm.subscription}/resourceGroups/shop")
    assert (answer.status, answer.json()["error"]["code"]) == (400, "MissingApiVersionParameter")


def test_without_a_token_or_with_one_for_another_service_nothing_is_answered(arm: Arm, context: Sandbox) -> None:
    path = arm.path("")
    assert arm.service.get(path, headers={"Authorization": ""}).status == 401
    other = context.tokens.issue("https://storage.azure.com", context.owner)
    refused = arm.service.get(path, headers={"Authorization": f"Bearer {other}"})
    assert (refused.status, refused.json()["error"]["code"]) == (401, "InvalidAuthenticationTokenAudience")
    expired = context.tokens.issue("https://management.azure.com", context.owner, lifetime=-60)
    refused = arm.service.get(path, headers={"Authorization": f"Bearer {expired}"})
    assert refused.json()["error"]["code"] == "ExpiredAuthenticationToken"


def test_names_of_accounts_are_unique_in_the_whole_cloud(arm: Arm) -> None:
    arm.make(account_path("books1"), ACCOUNT)
    arm.make_group("other")
    taken = arm.service.put(arm.path(account_path("books1"), "other"), ACCOUNT)
    assert (taken.status, taken.json()["error"]["code"]) == (409, "StorageAccountAlreadyTaken")
    bad = arm.service.put(arm.path(account_path("No-Capitals")), ACCOUNT)
    assert bad.json()["error"]["code"] == "InvalidResourceName"


def test_lists_at_subscription_group_and_parent(arm: Arm) -> None:
    arm.make_group("other")
    arm.make(account_path("books1"), ACCOUNT)
    arm.make(account_path("books2"), ACCOUNT, "other")
    arm.make(account_path("books1") + "/blobServices/default/containers/data", {"properties": {}})

    def names(answer) -> list[str]:
        return [each["name"] for each in answer.json()["value"]]

    everywhere = arm.service.get(f"/subscriptions/{arm.subscription}/providers/{STORAGE}?api-version=2024-01-01")
    assert names(everywhere) == ["books2", "books1"]
    assert names(arm.service.get(arm.path(f"/providers/{STORAGE}"))) == ["books1"]
    containers = account_path("books1") + "/blobServices/default/containers"
    assert names(arm.service.get(arm.path(containers))) == ["data"]
    version = "api-version=2021-04-01"
    groups = arm.service.get(f"/subscriptions/{arm.subscription}/resourcegroups?{version}")
    assert names(groups) == ["other", "shop"]
    inside = f"/subscriptions/{arm.subscription}/resourceGroups/shop/resources?{version}"
    assert names(arm.service.get(inside)) == ["books1"]
    filtered = arm.service.get(inside + "&$filter=resourceType%20eq%20'Microsoft.KeyVault/vaults'")
    assert names(filtered) == []


def test_deleting_a_group_deletes_what_is_in_it_and_on_it(arm: Arm, context: Sandbox) -> None:
    account = arm.make(account_path("books1"), ACCOUNT)
    assignment = {"properties": {"principalId": "p", "roleDefinitionId": "acdd72a7-3385-48ef-bd42-f606fba81ae7"}}
    role = "/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555"
    assert arm.service.put(f"{account['id']}{role}?api-version=2022-04-01", assignment).status == 201
    assert arm.service.put(arm.path(role), assignment).status == 201
    assert len(context.states["arm"].children("")) > 4

    deleted = arm.service.delete(arm.path(""))
    assert deleted.status == 202
    assert arm.finish(deleted) == "Succeeded"
    assert context.states["arm"].children("") == []
    assert arm.service.head(arm.path("")).status == 404


def test_a_locked_account_can_not_be_deleted_nor_can_its_group(arm: Arm) -> None:
    account = arm.make(account_path("books1"), ACCOUNT)
    lock = f"{account['id']}/providers/Microsoft.Authorization/locks/keep?api-version=2020-05-01"
    assert arm.service.put(lock, {"properties": {"level": "CanNotDelete"}}).status == 201
    for path in (arm.path(account_path("books1")), arm.path("")):
        refused = arm.service.delete(path)
        assert (refused.status, refused.json()["error"]["code"]) == (409, "ScopeLocked")
    arm.make(account_path("books1"), {**ACCOUNT, "tags": {"still": "editable"}})
    assert arm.service.delete(lock).status == 200
    assert arm.service.delete(arm.path(account_path("books1"))).status == 202


def test_the_proxys_callers_see_public_names_and_others_the_sandboxes(arm: Arm, context: Sandbox) -> None:
    arm.make(account_path("books1"), ACCOUNT)
    local = arm.service.get(arm.path(account_path("books1"))).json()
    public = arm.service.get("https://management.azure.com" + arm.path(account_path("books1"))).json()
    assert local["properties"]["primaryEndpoints"]["blob"] == f"{context.settings.url('blob')}/books1/"
    assert public["properties"]["primaryEndpoints"]["blob"] == "https://books1.blob.core.windows.net/"


@given(st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True), min_size=1, max_size=3))
def test_ids_are_parsed_into_their_parts(names: list[str]) -> None:
    path = "".join(f"/kind{at}/{name}" for at, name in enumerate(names))
    text = f"/subscriptions/s/resourceGroups/g/providers/Some.Provider{path}"
    identity = parse(text)
    assert identity.names == tuple(names)
    assert identity.type == "Some.Provider/" + "/".join(f"kind{at}" for at in range(len(names)))
    assert (identity.subscription, identity.group, identity.name) == ("s", "g", names[-1])
    expected = text.rsplit("/", 2)[0] if len(names) > 1 else "/subscriptions/s/resourceGroups/g"
    assert identity.parent == expected
    assert parse(text.upper()).key == identity.key
    assert spelled(parse(text.lower()), identity.type).startswith(
        "/subscriptions/s/resourceGroups/g/providers/Some.Provider/kind0/"
    )
