"""Long-running operations: polled in every way that the SDKs know, failing and hanging on order, cut short by a stop."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.faults import Fault
from tests.sandbox.arm import Arm

ACCOUNT = "/providers/Microsoft.Storage/storageAccounts/books1"
BODY = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}


def test_a_delete_is_polled_at_its_location_until_it_is_gone(arm: Arm) -> None:
    arm.make(ACCOUNT, BODY)
    deleted = arm.service.delete(arm.path(ACCOUNT))
    location = deleted.headers["location"]
    assert arm.service.get(location).status in (202, 204)
    assert arm.finish(deleted) == "Succeeded"
    assert arm.service.get(location).status == 204


def test_while_an_operation_runs_another_write_is_refused(arm: Arm, context: Sandbox) -> None:
    context.faults.add(Fault(kind="operation-hangs", target="*/books1", times=1, seconds=0.2))
    arm.service.put(arm.path(ACCOUNT), BODY)
    refused = arm.service.put(arm.path(ACCOUNT), BODY)
    assert (refused.status, refused.json()["error"]["code"]) == (409, "AnotherOperationInProgress")


def test_an_operation_that_hangs_ends_as_timed_out(arm: Arm, context: Sandbox) -> None:
    context.faults.add(Fault(kind="operation-hangs", target="Microsoft.Storage/*", times=1, seconds=0.05))
    created = arm.service.put(arm.path(ACCOUNT), BODY)
    assert arm.service.get(created.headers["azure-asyncoperation"]).json()["status"] == "InProgress"
    assert arm.finish(created) == "Failed"
    assert arm.service.get(created.headers["azure-asyncoperation"]).json()["error"]["code"] == "OperationTimedOut"


def test_an_operation_that_fails_leaves_a_failed_resource_that_can_be_put_again(arm: Arm, context: Sandbox) -> None:
    context.faults.add(Fault(kind="operation-fails", target="Microsoft.Storage/storageAccounts", times=1))
    created = arm.service.put(arm.path(ACCOUNT), BODY)
    assert arm.finish(created) == "Failed"
    assert arm.service.get(arm.path(ACCOUNT)).json()["properties"]["provisioningState"] == "Failed"
    assert arm.make(ACCOUNT, BODY)["properties"]["provisioningState"] == "Succeeded"


def test_a_services_own_work_may_fail_with_its_reason(arm: Arm, context: Sandbox) -> None:
    state: ArmState = context.states["arm"]
    resource = state.put(state.new(arm.path(ACCOUNT).split("?")[0], location="eastus"))
    noted: list[AzureError] = []

    async def build() -> None:
        raise AzureError(400, "ImageBuildFailure", "no such package")

    async def start() -> str:
        operation = state.operations.start(build(), resource.id, on_failed=noted.append)
        await asyncio.sleep(0.01)
        return operation.id

    document = state.operations.status(arm.service.run(start()))
    assert document["status"] == "Failed"
    assert document["error"] == {"code": "ImageBuildFailure", "message": "no such package"}
    assert [error.code for error in noted] == ["ImageBuildFailure"]


def test_what_ran_when_the_sandbox_stopped_has_failed_when_it_is_back(arm: Arm, context: Sandbox) -> None:
    context.faults.add(Fault(kind="operation-hangs", seconds=60))
    created = arm.service.put(arm.path(ACCOUNT), BODY)
    arm.service.wait()
    arm.service.run(context.states["arm"].stop())

    back = open_sandbox(context.home, context.settings)
    state = ArmState(back)
    arm.service.run(state.start())
    operation = created.headers["azure-asyncoperation"].split("/")[-1].split("?")[0]
    assert state.operations.status(operation)["error"]["code"] == "OperationInterrupted"
    kept = state.get(arm.path(ACCOUNT).split("?")[0])
    assert kept is not None
    assert kept.provisioning_state == "Failed"
    back.store.close()


def test_an_unknown_operation_is_not_found(arm: Arm) -> None:
    url = f"/subscriptions/{arm.subscription}/providers/Microsoft.Storage/locations/eastus/operationStatuses/nope"
    assert arm.service.get(url).status == 404


@pytest.mark.parametrize(
    ("status", "code"), [(429, "TooManyRequests"), (500, "InternalServerError"), (503, "ServiceUnavailable")]
)
def test_a_route_that_fails_on_order_recovers_when_the_fault_is_used_up(
    arm: Arm, context: Sandbox, status: int, code: str
) -> None:
    context.faults.add(Fault(kind="http", target="arm:GET */resourcegroups/*", status=status, times=2))
    for _ in range(2):
        refused = arm.service.get(arm.path(""))
        assert (refused.status, refused.json()["error"]["code"]) == (status, code)
    assert arm.service.get(arm.path("")).status == 200


def test_a_delay_on_order_is_felt_and_others_are_not_slowed(arm: Arm, context: Sandbox) -> None:
    context.faults.add(Fault(kind="delay", target="arm:GET *", seconds=0.2))

    async def both() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        slow = asyncio.create_task(arm.service.send("GET", arm.path("")))
        await arm.service.send("HEAD", arm.path(""))
        fast = loop.time() - began
        await slow
        return fast, loop.time() - began

    fast, slow = arm.service.run(both())
    assert fast < 0.15
    assert slow >= 0.2
