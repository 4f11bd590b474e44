"""The life of a stack on the real Pulumi engine, with the stand-in providers and a few lines of Azure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.engine import Engine, own_environment, write_program
from tests.sandbox.tiny_azure import SUBSCRIPTION, Fail, TinyAzure

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi
from pulumi_azure_native import resources, storage

config = pulumi.Config()
tag, location = config.get("tag") or "1", config.get("location") or "eastus"
group = resources.ResourceGroup("group", resource_group_name="rg-one", location=location)
account = storage.StorageAccount(
    "account", resource_group_name=group.name, kind="StorageV2", sku={"name": "Standard_LRS"}, tags={"v": tag}
)
journal = storage.BlobContainer(
    "journal", resource_group_name=group.name, account_name=account.name, metadata={"v": tag}
)
pulumi.export("account", account.name)
pulumi.export("journal", journal.id)
"""

#: An endpoint whose live traffic the program leaves to `ignore_changes` alone.
ENDPOINT = """
import pulumi
from pulumi_azure_native import machinelearningservices as ml

ml.OnlineEndpoint(
    "endpoint",
    resource_group_name="rg",
    workspace_name="mlw",
    endpoint_name="churn",
    location="eastus",
    properties={"auth_mode": "Key", "traffic": {}},
    tags={"v": pulumi.Config().get("tag") or "1"},
    opts=pulumi.ResourceOptions(ignore_changes=["properties.traffic"]),
)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shims and state for all tests of this module."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture
def azure() -> Iterator[TinyAzure]:
    tiny = TinyAzure()
    yield tiny
    tiny.close()


@pytest.fixture
def engine(home: Path, tmp_path: Path, azure: TinyAzure, request: pytest.FixtureRequest) -> Engine:
    """A project of its own, with a new stack dev."""
    name = request.node.name.replace("_", "-")[:60]
    made = Engine(write_program(tmp_path / "project", PROGRAM, name), {**own_environment(home), **azure.environment()})
    made.run("stack", "init", "dev")
    return made


def test_a_stack_lives_from_up_to_destroy(engine: Engine, azure: TinyAzure) -> None:
    preview = engine.run("preview", "--stack", "dev")
    assert "+ 4 to create" in preview
    assert azure.documents == {}, "a preview changes nothing"

    engine.up()
    account = azure.find("storageaccounts/" + engine.outputs()["account"])
    assert account["location"] == "eastus", "a location that is left out is the group's"
    assert engine.outputs()["account"].startswith("account"), "a name that is left out gets a suffix"

    engine.up("dev", "--expect-no-changes")

    engine.run("config", "set", "tag", "2", "--stack", "dev")
    assert "~ 2 updated" in engine.up()
    assert azure.find("/journal")["properties"]["metadata"] == {"v": "2"}

    engine.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
    assert azure.documents == {}


def test_drift_is_found_by_a_refresh_and_put_right_by_an_up(engine: Engine, azure: TinyAzure) -> None:
    engine.up()
    azure.find("/rg-one")["tags"] = {"by": "hand"}
    azure.find("/journal")["properties"]["leaseState"] = "what Azure computes is no drift of the program's"

    found = engine.run("refresh", "--yes", "--skip-preview", "--stack", "dev")
    assert "~ 1 updated" in found
    assert "tags" in engine.run("preview", "--diff", "--stack", "dev")
    assert "~ 1 updated" in engine.up()
    assert "tags" not in azure.find("/rg-one")
    engine.up("dev", "--expect-no-changes")


def test_what_was_deleted_by_hand_is_made_again(engine: Engine, azure: TinyAzure) -> None:
    engine.up()
    del azure.documents[str(engine.outputs()["journal"]).lower()]
    assert "- 1 deleted" in engine.run("refresh", "--yes", "--skip-preview", "--stack", "dev")
    assert "+ 1 created" in engine.up()
    assert azure.find("/journal")


def test_a_new_location_replaces_the_group_and_what_is_in_it(engine: Engine, azure: TinyAzure) -> None:
    engine.up()
    engine.run("config", "set", "location", "westeurope", "--stack", "dev")
    assert "replace" in engine.run("preview", "--diff", "--stack", "dev")
    engine.up()
    assert azure.find("/resourcegroups/rg-one")["location"] == "westeurope"
    first_delete = next(i for i, call in enumerate(azure.calls) if call.startswith("DELETE"))
    again = [i for i, call in enumerate(azure.calls) if call.startswith("PUT") and call.endswith("/rg-one")][-1]
    assert first_delete < again, "a fixed name has to be free before it is taken again"


def test_the_same_location_written_otherwise_is_no_change(engine: Engine) -> None:
    engine.up()
    engine.run("config", "set", "location", "East US", "--stack", "dev")
    preview = engine.run("preview", "--diff", "--stack", "dev")
    assert "replace" not in preview


def test_ignoring_traffic_alone_lets_an_unrelated_change_reset_it(engine: Engine, azure: TinyAzure) -> None:
    """As the real provider does: a full PUT of the stored inputs. The program must carry live traffic through itself."""
    engine.program(ENDPOINT)
    engine.up()
    azure.find("/churn")["properties"]["traffic"] = {"blue": 90, "green": 10}
    engine.run("config", "set", "tag", "2", "--stack", "dev")
    diff = engine.run("preview", "--diff", "--stack", "dev")
    assert "~ traffic" not in diff, "nothing warns of it"
    engine.up()
    assert azure.find("/churn")["properties"]["traffic"] == {}

    azure.find("/churn")["properties"]["traffic"] = {"blue": 90, "green": 10}
    engine.run("refresh", "--yes", "--skip-preview", "--stack", "dev")
    engine.run("config", "set", "tag", "3", "--stack", "dev")
    engine.up()
    assert azure.find("/churn")["properties"]["traffic"] == {
        "blue": 90,
        "green": 10,
    }, "a refresh stores the live weights"


def test_an_existing_resource_is_imported_by_its_id(engine: Engine, azure: TinyAzure) -> None:
    group_id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-old"
    azure.documents[group_id.lower()] = {"id": group_id, "name": "rg-old", "location": "eastus", "tags": {"a": "b"}}
    options = ("--yes", "--skip-preview", "--stack", "dev", "--protect=false", "--generate-code=false")
    engine.run("import", "azure-native:resources:ResourceGroup", "old", group_id, *options)
    imported = engine.resources()["old"]["inputs"]
    assert (imported["resourceGroupName"], imported["tags"]) == ("rg-old", {"a": "b"})

    wrong = engine.run("import", "azure-native:storage:StorageAccount", "x", group_id, *options, ok=False)
    assert "is not the id of a storage:StorageAccount" in wrong

    engine.program(
        "import pulumi\nfrom pulumi_azure_native import resources\n"
        'resources.ResourceGroup("old", resource_group_name="rg-old", location="eastus", tags={"a": "b"})\n'
    )
    engine.up("dev", "--expect-no-changes")


def test_a_program_adopts_what_exists_with_the_import_option(engine: Engine, azure: TinyAzure) -> None:
    group_id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-old"
    azure.documents[group_id.lower()] = {"id": group_id, "name": "rg-old", "location": "eastus"}
    engine.program(
        "import pulumi\nfrom pulumi_azure_native import resources\n"
        'resources.ResourceGroup("old", resource_group_name="rg-old", location="eastus",\n'
        f'    opts=pulumi.ResourceOptions(import_="{group_id}"))\n'
    )
    assert "= 1 imported" in engine.up()
    assert not [call for call in azure.calls if call.startswith("PUT")]


def test_what_already_exists_is_not_taken_over(engine: Engine, azure: TinyAzure) -> None:
    group_id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-one"
    azure.documents[group_id.lower()] = {"id": group_id, "name": "rg-one", "location": "eastus"}
    assert f"cannot create already existing resource '{group_id}'" in engine.up(ok=False)


def test_a_failed_operation_leaves_the_resource_in_the_state(engine: Engine, azure: TinyAzure) -> None:
    def fail(path: str, _: object) -> None:
        if path.endswith("/journal"):
            raise Fail("QuotaExceeded", "Not enough quota for 4 cores.")

    azure.on_put = fail
    said = engine.up(ok=False)
    assert 'Code="QuotaExceeded"' in said
    assert "Not enough quota" in said
    assert engine.resources()["journal"]["initErrors"]

    azure.on_put = lambda _path, _document: None
    engine.up()
    assert "initErrors" not in engine.resources()["journal"]


def test_wrong_inputs_are_refused_before_anything_is_sent(engine: Engine, azure: TinyAzure) -> None:
    engine.program(
        "from pulumi_azure_native import storage\n"
        'storage.StorageAccount("a", resource_group_name="rg", kind="StorageV2", sku={"name": "Standard_LRS"}, tags="x")\n',
    )
    said = engine.run("preview", "--stack", "dev", ok=False)
    assert "'tags' should be of type 'map' but got a string" in said
    assert "missing required property 'location'" not in said
    assert not any(call.startswith("PUT") for call in azure.calls)


def test_an_unknown_type_is_refused_by_name(engine: Engine) -> None:
    engine.program(
        "from pulumi_azure_native import batch\n"
        'batch.BatchAccount("b", resource_group_name="rg", location="eastus")\n',
    )
    said = engine.run("preview", "--stack", "dev", ok=False)
    assert "azure-native:batch:BatchAccount" in said
    assert "sandbox/plugins/azure_native/catalogue" in said


def test_a_missing_thing_is_reported_with_azure_s_status_and_code(engine: Engine) -> None:
    engine.program(
        "from pulumi_azure_native import storage\n"
        'storage.get_storage_account(account_name="no", resource_group_name="rg")\n',
    )
    said = engine.run("preview", "--stack", "dev", ok=False)
    assert 'Status=404 Code="ResourceNotFound"' in said


def test_keys_are_secret_and_the_caller_is_known(engine: Engine) -> None:
    engine.program(
        "import pulumi\n"
        "from pulumi_azure_native import authorization, storage\n"
        'keys = storage.list_storage_account_keys_output(account_name="a", resource_group_name="rg")\n'
        'pulumi.export("tenant", authorization.get_client_config().tenant_id)\n'
        'pulumi.export("key", authorization.get_client_token_output().token)\n',
    )
    said = engine.up()
    assert "[secret]" in said
    assert engine.outputs()["tenant"].startswith("1")


def test_the_real_azure_is_never_touched(engine: Engine) -> None:
    said = engine.run(
        "preview", "--stack", "dev", ok=False, ROLLOUT_AZURE_RESOURCE_MANAGER="https://management.azure.com"
    )
    assert "works on 127.0.0.1 only" in said
    said = engine.run("preview", "--stack", "dev", ok=False, ARM_SUBSCRIPTION_ID="")
    assert "ARM_SUBSCRIPTION_ID" in said
    assert "rollout sandbox env" in said
