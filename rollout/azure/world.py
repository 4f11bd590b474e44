"""The controller's `World` of one endpoint of a stack, made of the adapters in this folder."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING

from rollout.azure.arm import ArmWriter
from rollout.azure.cloud import Cloud
from rollout.azure.endpoints import AzureEndpoints
from rollout.azure.events import EventGridAnnouncer, NoTopic
from rollout.azure.journal import BlobJournal
from rollout.azure.metrics import AzureMetrics
from rollout.azure.model_refs import parse_model
from rollout.azure.payloads import example_of_model, payload_from_file
from rollout.azure.prober import AzureProber, scoring_secret
from rollout.azure.request_log import RequestLog
from rollout.azure.scaling import AzureScaling
from rollout.clock import Clock
from rollout.controller.world import World
from rollout.errors import NotFound

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from contract import StackOutputs
    from contract.outputs import Endpoint
    from rollout.controller.ports import Announcer, Metrics


class AzureWorld:
    """Makes each client when it is first needed: `status` and `history` do without azure-ai-ml."""

    def __init__(
        self, cloud: Cloud, outputs: StackOutputs, endpoint: Endpoint, clock: Clock, *, payload_file: str = ""
    ) -> None:
        self.cloud, self.outputs, self.endpoint, self.clock = cloud, outputs, endpoint, clock
        self._payload_file = payload_file
        self._payloads: dict[str, bytes] = {}

    @cached_property
    def client(self) -> MLClient:
        """azure-ai-ml takes seconds to import."""
        return self.cloud.ml_client(self.outputs)

    @cached_property
    def endpoints(self) -> AzureEndpoints:
        scaling = None
        deployment = self.endpoint.deployment
        if deployment.scale is not None and deployment.compute == "managed":
            scaling = AzureScaling(self.endpoint.id, self.outputs.location, ArmWriter(self.cloud))
        return AzureEndpoints(
            self.endpoint.id,
            ArmWriter(self.cloud),
            lambda: self.client,
            scaling=scaling,
            registry_client=self.cloud.registry_client,
        )

    @cached_property
    def metrics(self) -> Metrics:
        if self.endpoint.deployment.compute == "kubernetes":
            workspace = self.outputs.observability.log_analytics_customer_id
            return RequestLog(self.cloud.logs_client(), workspace, self.endpoint.name, self.clock.now)
        return AzureMetrics(self.cloud.metrics_client(self.outputs.location), self.endpoint.id)

    @cached_property
    def journal(self) -> BlobJournal:
        container = self.cloud.blob_service(self.outputs).get_container_client(self.outputs.storage.journal_container)
        return BlobJournal(container, self.endpoint.name)

    @cached_property
    def prober(self) -> AzureProber:
        return AzureProber(self.endpoint.scoring_uri, self._secret, self._payload)

    @cached_property
    def announcer(self) -> Announcer:
        topic = self.outputs.events.topic_endpoint
        return EventGridAnnouncer(lambda: self.cloud.event_publisher(topic)) if topic else NoTopic()

    def world(self) -> World:
        """All of it, as the controller takes it."""
        return World(
            endpoints=self.endpoints,
            metrics=self.metrics,
            prober=self.prober,
            store=self.journal,
            announcer=self.announcer,
            now=self.clock.now,
            real_now=time.time,
        )

    def _secret(self) -> str:
        return scoring_secret(self.client, self.cloud, self.endpoint.name, self.endpoint.auth_mode)

    def _payload(self, deployment: str) -> bytes:
        """The --payload file, else the input example of the model that the deployment serves."""
        if deployment not in self._payloads:
            self._payloads[deployment] = (
                payload_from_file(self._payload_file) if self._payload_file else self._example(deployment)
            )
        return self._payloads[deployment]

    def _example(self, deployment: str) -> bytes:
        found = self.endpoints.live().deployments
        if deployment not in found:
            raise NotFound(
                f"endpoint {self.endpoint.name!r} has no deployment {deployment!r}",
                way_out=f"it has: {', '.join(sorted(found)) or 'none'}",
            )
        model = found[deployment].model
        registry = parse_model(model).registry
        client = self.cloud.registry_client(registry) if registry else self.client
        return example_of_model(client, self.outputs.workspace.mlflow_tracking_uri, model)
