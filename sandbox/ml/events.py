"""What happens in a workspace, told to the Event Grid system topics that have it as their source."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.http import PROVIDER, WORKSPACE_TYPE
from sandbox.ml.mlflow_client import MlflowClient
from sandbox.ml.model_entry import Entry, mirror_of, tags_of

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

log = logging.getLogger("sandbox.ml")

MODEL_REGISTERED = f"{PROVIDER}.ModelRegistered"
RUN_COMPLETED = f"{PROVIDER}.RunCompleted"
#: Azure sends it for failed runs only.
RUN_STATUS_CHANGED = f"{PROVIDER}.RunStatusChanged"
TOPIC_TYPE = "Microsoft.EventGrid/systemTopics"
#: How often MLflow's registry is looked at for new versions, while somebody may be listening.
_WATCH_SECONDS = 2.0


class MlEvents:
    """Announces; a failure to tell is logged and stops nothing."""

    def __init__(self, sandbox: Sandbox, mlflow: MlflowClient) -> None:
        self._sandbox, self._mlflow = sandbox, mlflow
        self._newest: int | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="ml events")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def announce(self, workspace: Resource, kind: str, subject: str, data: dict[str, Any]) -> None:
        """Publish one event of `workspace` to its topics."""
        state = self._sandbox.states.get("eventgrid")
        if state is None or not self._topics(workspace):
            return
        event = {"subject": subject, "eventType": kind, "data": data, "dataVersion": "1"}
        try:
            state.publish(workspace.id, [event])
        except Exception:  # an event that can't be told must not undo what it tells of
            log.exception("event %s of %s was not published", kind, workspace.name)

    def _topics(self, workspace: Resource) -> list[Resource]:
        arm: ArmState = self._sandbox.states["arm"]
        return [
            topic for topic in arm.of_type(TOPIC_TYPE)
            if str(topic.properties.get("source", "")).lower() == workspace.key
        ]  # fmt: skip

    # Models that MLflow registered

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            try:
                await self.look_at_registry()
            except AzureError as error:
                log.warning("MLflow's registry could not be watched: %s", error)

    async def look_at_registry(self) -> None:
        """Announce versions that MLflow registered since the last look, to every workspace with a topic."""
        arm: ArmState = self._sandbox.states["arm"]
        listening = [each for each in arm.of_type(WORKSPACE_TYPE) if self._topics(each)]
        if not listening:
            self._newest = None
            return
        query = {"max_results": 100, "order_by": "creation_timestamp DESC"}
        found: list[Entry] = (await self._mlflow.call("GET", "model-versions/search", query)).get("model_versions", [])
        stamps = [int(entry["creation_timestamp"]) for entry in found]
        since, self._newest = self._newest, max(stamps, default=0)
        if since is None:
            return
        new = [entry for entry in found if int(entry["creation_timestamp"]) > since and mirror_of(entry) is None]
        for entry in reversed(new):
            for workspace in listening:
                self.announce(workspace, MODEL_REGISTERED, f"models/{entry['name']}:{entry['version']}", _data(entry))


def _data(entry: Entry) -> dict[str, Any]:
    """The data of Azure's ModelRegistered event."""
    return {
        "ModelName": entry["name"],
        "ModelVersion": str(entry["version"]),
        "ModelTags": tags_of(entry),
        "ModelProperties": {"azureml.runId": entry["run_id"]} if entry.get("run_id") else {},
    }
