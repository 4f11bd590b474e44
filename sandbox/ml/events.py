"""What happens in a workspace, told to the Event Grid system topics that have it as their source."""

from __future__ import annotations

import asyncio
import inspect
import logging
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.http import PROVIDER, WORKSPACE_TYPE
from sandbox.ml.mlflow_client import MlflowClient, MlflowError
from sandbox.ml.model_entry import Entry, mirror_of, tags_of

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState

log = logging.getLogger("sandbox.ml")

MODEL_REGISTERED = f"{PROVIDER}.ModelRegistered"
RUN_COMPLETED = f"{PROVIDER}.RunCompleted"
TOPIC_TYPE = "Microsoft.EventGrid/systemTopics"
#: How often MLflow's registry is looked at for new versions, while somebody may be listening.
_WATCH_SECONDS = 2.0


class MlEvents:
    """Announces; a failure to tell is logged and stops nothing."""

    def __init__(self, sandbox: Sandbox, mlflow: MlflowClient) -> None:
        self._sandbox, self._mlflow = sandbox, mlflow
        self._newest: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._keep(asyncio.create_task(self._watch(), name="ml events"))

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def announce(self, workspace: Resource, kind: str, subject: str, data: dict[str, Any]) -> None:
        """Publish one event of `workspace` to its topics; must be called in the loop."""
        state = self._sandbox.states.get("eventgrid")
        topics = self._topics(workspace)
        if state is None or not topics:
            return
        event = {
            "id": str(uuid.uuid4()),
            "topic": workspace.id,
            "subject": subject,
            "eventType": kind,
            "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "data": data,
            "dataVersion": "",
            "metadataVersion": "1",
        }
        for topic in topics:
            self._keep(asyncio.create_task(_publish(state, topic.id, event)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
            except (AzureError, MlflowError) as error:
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


async def _publish(state: Any, topic_id: str, event: dict[str, Any]) -> None:
    try:
        done = state.publish(topic_id, [event])
        if inspect.isawaitable(done):
            await done
    except Exception:  # an event that can't be delivered must not fail what it tells of
        log.exception("event %s was not published", event["eventType"])


def _data(entry: Entry) -> dict[str, Any]:
    """The data of Azure's ModelRegistered event."""
    return {
        "ModelName": entry["name"],
        "ModelVersion": str(entry["version"]),
        "ModelTags": tags_of(entry),
        "ModelProperties": {"azureml.runId": entry["run_id"]} if entry.get("run_id") else {},
    }
