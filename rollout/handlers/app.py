"""What functions/function_app.py calls: the handlers with the process's environment around them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.azure.cloud import cloud_from_environment
from rollout.azure.ledger import BlobLedger
from rollout.azure.telemetry import Telemetry
from rollout.azure.world import AzureWorld
from rollout.clock import clock_from_environment
from rollout.handlers.handle import handle
from rollout.handlers.off_hours import Parked, keep_hours
from rollout.handlers.send import Sender
from rollout.handlers.settings import HANDLED_EVENTS, INSIGHTS, AppSettings
from rollout.handlers.tick import Driven, tick_all
from rollout.handlers.weights import publish

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

#: The stack's outputs, put beside the code when the package is built (tools/functions_package.py).
OUTPUTS_FILE = "stack.json"


def on_event(name: str, document: Mapping[str, object]) -> bool:
    """One delivery of an event to the handler `name`; whether it did the work."""
    settings = AppSettings(os.environ)
    ledger = BlobLedger(lambda: _container(settings.plain(HANDLED_EVENTS)))
    return handle(name, document, ledger, Sender(settings))


def on_timer() -> int:
    """One tick of every rollout of the stack; how many are under way."""
    from contract.reader import read_outputs

    outputs, cloud, clock = read_outputs(Path(OUTPUTS_FILE)), cloud_from_environment(), clock_from_environment()
    worlds = [AzureWorld(cloud, outputs, endpoint, clock) for endpoint in outputs.endpoints.values()]
    return tick_all(Driven(each.endpoint.name, lambda each=each: each.journal, each.world) for each in worlds)  # type: ignore[misc]


def on_off_hours() -> dict[str, str]:
    """Endpoints of the stack parked or brought back, by the time of day; what became of each."""
    from contract.reader import read_outputs

    outputs, cloud, clock = read_outputs(Path(OUTPUTS_FILE)), cloud_from_environment(), clock_from_environment()
    worlds = [AzureWorld(cloud, outputs, endpoint, clock) for endpoint in outputs.endpoints.values()]
    endpoints = [
        Parked(each.endpoint.name, lambda each=each: each.journal, each.world, each.endpoint.policy.smoke)  # type: ignore[misc]
        for each in worlds
    ]
    return keep_hours(endpoints, AppSettings(os.environ).off_hours, clock.now())


def on_weights() -> int:
    """The live weights of the stack's managed endpoints, as a metric; how many figures."""
    from contract.reader import read_outputs

    outputs, cloud, clock = read_outputs(Path(OUTPUTS_FILE)), cloud_from_environment(), clock_from_environment()
    managed = [each for each in outputs.endpoints.values() if each.deployment.compute == "managed"]
    worlds = [AzureWorld(cloud, outputs, each, clock) for each in managed]
    writer = Telemetry(AppSettings(os.environ).plain(INSIGHTS), cloud)
    return publish([(each.endpoint.name, each.endpoints.live) for each in worlds], writer, clock.now())


@cache
def _container(url: str) -> ContainerClient:
    from azure.storage.blob import ContainerClient, LinearRetry

    retries = LinearRetry(backoff=1, retry_total=3, random_jitter_range=0)
    return ContainerClient.from_container_url(url, cloud_from_environment().credential(), retry_policy=retries)
