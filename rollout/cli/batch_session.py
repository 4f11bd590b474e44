"""From the arguments of `rollout batch` to one batch endpoint, its jobs and its prices."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rollout.azure.arm import ArmReader
from rollout.azure.batch import AzureBatch
from rollout.azure.cloud import Cloud, cloud_from_environment
from rollout.azure.payloads import fetch_of_model
from rollout.azure.runs import RunHistory
from rollout.batch.cost import Measured, online_per_thousand
from rollout.batch.upload import Sent
from rollout.cli.session import load_outputs, open_session
from rollout.errors import NotFound, RolloutError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from contract import StackOutputs
    from contract.outputs import BatchEndpoint

#: Online requests are counted over this.
RATE_WINDOW = timedelta(hours=1)
PROGRESS_LOG = "job_progress_overview.txt"


@dataclass(frozen=True)
class BatchSession:
    """One batch endpoint of one stack. `name` is the use case in the outputs."""

    outputs: StackOutputs
    name: str
    endpoint: BatchEndpoint
    stack: str
    outputs_file: str

    @cached_property
    def cloud(self) -> Cloud:
        return cloud_from_environment()

    @cached_property
    def client(self) -> MLClient:
        return self.cloud.ml_client(self.outputs)

    @cached_property
    def batch(self) -> AzureBatch:
        return AzureBatch(self.endpoint, ArmReader(self.cloud), lambda: self.client)

    @cached_property
    def runs(self) -> RunHistory:
        return RunHistory(self.cloud, self.outputs.workspace.id)

    @property
    def usd_per_hour(self) -> float:
        """Of one node; 0 where the stack's outputs are older than the price in them."""
        cluster = self.outputs.clusters.get(self.endpoint.deployment.cluster)
        return cluster.usd_per_hour if cluster else 0.0

    def default_name(self) -> str:
        return next((each.name for each in self.batch.live() if each.default), "")

    def measured(self, job: str) -> Measured | None:
        """A job that is over and of which the history tells the time; None of others."""
        run = next((each for each in self.runs.steps(job) if each.seconds is not None), None)
        if run is None or run.status != "Completed":
            return None
        sent = Sent.read(self.batch.status(job)[1])
        return Measured(sent.rows, run.seconds or 0.0, self.endpoint.deployment.instances) if sent else None

    def progress(self, job: str) -> str:
        """How many mini batches are done, where the job's log says so; empty before."""
        return next((line for line in reversed(self._log(job)) if "mini batches" in line), "")

    def failures(self, job: str) -> list[str]:
        """What mini batches that failed said, each once."""
        found = [line.partition(": ")[2] for line in self._log(job) if line.startswith("mini batch ")]
        return list(dict.fromkeys(each for each in found if each))

    def _log(self, job: str) -> list[str]:
        """Of the step that scores, without the times."""
        lines = [line for run in self.runs.steps(job) for line in self.runs.log(run.name, PROGRESS_LOG).splitlines()]
        return [line.partition("] ")[2] or line for line in lines]

    def model_columns(self, model: str) -> list[str]:
        """What the model's signature reads; none for a model without."""
        from training.batch.package import input_columns

        with tempfile.TemporaryDirectory(prefix="rollout-batch-") as folder:
            uri = self.outputs.workspace.mlflow_tracking_uri
            found = fetch_of_model(self.client, uri, model, ("MLmodel",), Path(folder))
            return input_columns(found) if found else []

    def last_measured(self) -> Measured | None:
        """The newest job that can be measured."""
        for job in list(self.runs.jobs_of(self.endpoint.name))[:10]:
            if job["properties"].get("status") == "Completed" and (found := self.measured(job["name"])) is not None:
                return found
        return None

    def online(self) -> tuple[float | None, str]:
        """USD of a thousand requests of the use case's online endpoint, and on what it rests or why there is none."""
        if self.name not in self.outputs.endpoints:
            return None, "the use case has no online endpoint"
        try:
            session = open_session(self.name, self.stack, self.outputs_file)
            weights = session.azure.endpoints.live().weights
            now = session.clock.now()
            samples = session.azure.metrics.minutes(tuple(weights), now - RATE_WINDOW, now) if weights else []
        except RolloutError as error:
            return None, f"not known: {error.message}"
        made, requests = session.endpoint.deployment, sum(each.requests for each in samples)
        if not made.usd_per_hour:
            return None, "no price of its machines in the stack's outputs"
        per_hour = requests / (RATE_WINDOW.total_seconds() / 3600)
        basis = f"{made.instance_count} x {made.instance_type} at {made.usd_per_hour:g} USD an hour, {per_hour:,.0f} requests in the last hour"
        return online_per_thousand(made.instance_count, made.usd_per_hour, per_hour), basis


def open_batch(endpoint: str, stack: str, outputs_file: str) -> BatchSession:
    """`NotFound` lists the batch endpoints that the stack has."""
    outputs = load_outputs(stack, outputs_file)
    for name, found in outputs.batch_endpoints.items():
        if endpoint in (name, found.name):
            return BatchSession(outputs, name, found, stack, outputs_file)
    known = ", ".join(f"{name} ({each.name})" for name, each in sorted(outputs.batch_endpoints.items()))
    raise NotFound(
        f"stack {outputs.stack!r} has no batch endpoint {endpoint!r}",
        way_out=f"it has: {known}" if known else "add one to the stack file, under batchEndpoints, and `pulumi up`",
    )
