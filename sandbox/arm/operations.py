"""Long-running operations: started with a coroutine, polled by URL, kept in the store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from sandbox.arm.ids import parse
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.faults import Fault

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

log = logging.getLogger("sandbox.arm")
RETRY_AFTER_MS = "200"
API_VERSION = "2024-03-01"
RUNNING, SUCCEEDED, FAILED = "InProgress", "Succeeded", "Failed"
_INTERRUPTED = AzureError(500, "OperationInterrupted", "The sandbox stopped while the operation ran.")


@dataclass(frozen=True, slots=True)
class Operation:
    """One long-running operation. `id` names it in the status URLs."""

    id: str
    resource_id: str
    namespace: str
    subscription: str
    location: str

    def headers(self, request: Request) -> dict[str, str]:
        """`Azure-AsyncOperation`, `Location` and `retry-after-ms`, at the address that the caller used."""
        base = (
            f"{request.url.scheme}://{request.url.netloc}/subscriptions/{self.subscription}/providers/{self.namespace}"
        )
        base += f"/locations/{self.location}"
        version = request.query_params.get("api-version", API_VERSION)
        return {
            "Azure-AsyncOperation": f"{base}/operationStatuses/{self.id}?api-version={version}",
            "Location": f"{base}/operationResults/{self.id}?api-version={version}",
            "retry-after-ms": RETRY_AFTER_MS,
        }


class Operations:
    """All operations of the sandbox, ended ones included."""

    def __init__(self, sandbox: Sandbox, arm: ArmState) -> None:
        self._faults = sandbox.faults
        self._documents = sandbox.store.collection("arm.operations")
        self._arm = arm
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(
        self,
        work: Coroutine[Any, Any, None],
        resource_id: str,
        *,
        on_failed: Callable[[AzureError], None] | None = None,
    ) -> Operation:
        """Run `work` in the background; it raises AzureError to fail the operation.

        `on_failed` then keeps the failure; by default the resource's provisioningState becomes Failed.
        The faults `operation-fails` and `operation-hangs` strike here, before `work` begins.
        """
        resource = parse(resource_id)
        stored = self._arm.get(resource_id)
        operation = Operation(
            id=str(uuid.uuid4()),
            resource_id=resource_id,
            namespace=resource.type.split("/")[0],
            subscription=resource.subscription,
            location=(stored and stored.location) or "global",
        )
        self._keep(operation.id, resource_id, RUNNING)
        failed = on_failed or (lambda _: self._mark_failed(resource_id))
        task = asyncio.create_task(self._run(operation, work, failed), name=f"operation {operation.id}")
        self._tasks[operation.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(operation.id, None))
        return operation

    def status(self, operation_id: str) -> dict[str, Any]:
        """The status document; AzureError 404 for an unknown operation."""
        document = self._documents.get(operation_id)
        if document is None:
            raise AzureError(404, "OperationNotFound", f"The operation '{operation_id}' was not found.")
        return document

    def recover(self) -> None:
        """Fail what was running when the sandbox stopped."""
        for operation_id, document in list(self._documents.items()):
            if document["status"] == RUNNING:
                self._keep(operation_id, document["resourceId"], FAILED, _INTERRUPTED)
                self._mark_failed(document["resourceId"])

    async def stop(self) -> None:
        """Cancel what runs; it counts as interrupted."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._documents.clear()

    async def _run(
        self, operation: Operation, work: Coroutine[Any, Any, None], failed: Callable[[AzureError], None]
    ) -> None:
        try:
            with contextlib.closing(work):
                await self._strike(operation.resource_id)
                await work
        except AzureError as error:
            self._fail(operation, error, failed)
        except Exception as error:  # whatever the work raises, the operation must end
            log.exception("operation on %s failed", operation.resource_id)
            self._fail(operation, AzureError(500, "InternalServerError", f"{type(error).__name__}: {error}"), failed)
        else:
            self._keep(operation.id, operation.resource_id, SUCCEEDED)

    def _fail(self, operation: Operation, error: AzureError, failed: Callable[[AzureError], None]) -> None:
        failed(error)
        self._keep(operation.id, operation.resource_id, FAILED, error)

    async def _strike(self, resource_id: str) -> None:
        if self._fault("operation-fails", resource_id) is not None:
            raise AzureError(500, "InternalServerError", "The operation failed on order (rollout sandbox fault).")
        if (fault := self._fault("operation-hangs", resource_id)) is not None:
            await asyncio.sleep(fault.seconds)
            raise AzureError(504, "OperationTimedOut", "The operation hung on order (rollout sandbox fault).")

    def _fault(self, kind: str, resource_id: str) -> Fault | None:
        targets = (parse(resource_id).type, resource_id)
        return next((fault for target in targets if (fault := self._faults.strike(kind, target)) is not None), None)

    def _mark_failed(self, resource_id: str) -> None:
        if (resource := self._arm.get(resource_id)) is not None:
            resource.provisioning_state = FAILED
            self._arm.put(resource)

    def _keep(self, operation_id: str, resource_id: str, status: str, error: AzureError | None = None) -> None:
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        old = self._documents.get(operation_id) or {}
        document = {"id": operation_id, "name": operation_id, "resourceId": resource_id, "status": status}
        document["startTime"] = old.get("startTime", now)
        if status != RUNNING:
            document["endTime"] = now
        failure = {**error.body(), "httpStatus": error.status} if error else {}
        self._documents.put(operation_id, document | failure)
