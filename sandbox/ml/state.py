"""The workspace's data: datastores, models, jobs, online endpoints. One state for the ML service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.ml.datastores import Datastores
from sandbox.ml.envs import EnvironmentBuilder
from sandbox.ml.events import MlEvents
from sandbox.ml.jobs.runner import JobRunner
from sandbox.ml.mlflow_client import MlflowClient
from sandbox.ml.models import TYPE as MODEL_TYPE
from sandbox.ml.models import ModelStore
from sandbox.ml.registries.state import Registries
from sandbox.ml.serving.state import ServingState

if TYPE_CHECKING:
    from sandbox.arm.state import ArmState


class MlState:
    """Composes the parts; `sandbox.states["ml"]`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.mlflow = MlflowClient(sandbox.settings.url("mlflow"))
        self.datastores = Datastores(sandbox)
        self.models = ModelStore(sandbox, self.mlflow, self.datastores)
        self.registries = Registries(sandbox, self.models, self.datastores)
        self.environments = EnvironmentBuilder(sandbox.home)
        self.events = MlEvents(sandbox, self.mlflow)
        self.jobs = JobRunner(self)
        self.serving = ServingState(sandbox)

    @property
    def arm(self) -> ArmState:
        state: ArmState = self.sandbox.states["arm"]
        return state

    async def start(self) -> None:
        await self.jobs.start()
        await self.serving.start()
        await self.events.start()

    async def stop(self) -> None:
        await self.events.stop()
        await self.jobs.stop()
        await self.serving.stop()
        await self.mlflow.close()

    def reset(self) -> None:
        """Ends jobs and replicas and forgets their files. Built environments and MLflow's store stay."""
        self.jobs.reset()
        self.serving.reset()
        self.models.reset()

    async def asset(self, resource_id: str) -> Resource | None:
        """A version of a model, code, environment or data by ARM id; models that only MLflow knows included."""
        found = self.arm.get(resource_id)
        identity = parse(resource_id)
        if found is not None or identity.type.lower() != f"{MODEL_TYPE}/versions".lower():
            return found
        workspace, (_, name, version) = self._workspace(resource_id), identity.names
        model = await self.models.find(workspace, name, version) if workspace else None
        if model is None:
            return None
        return Resource(resource_id, model.version, f"{MODEL_TYPE}/versions", properties=model.properties)

    def _workspace(self, resource_id: str) -> Resource | None:
        names = parse(resource_id).names
        head, _, _ = resource_id.lower().partition("/workspaces/")
        return self.arm.get(f"{head}/workspaces/{names[0]}")
