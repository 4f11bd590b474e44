"""Settings of the endpoints. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from components.config_errors import snake_keys
from components.cost.prices import serving_sizes
from components.fields import Block, Word
from contract.outputs import PodResources
from contract.policy import RolloutPolicy

Policy = Annotated[RolloutPolicy, BeforeValidator(snake_keys)]
Resources = Annotated[PodResources, BeforeValidator(snake_keys)]


class ScaleSettings(Block):
    """How many machines a deployment has while it is live; `rollout` sets it on every deployment that it makes."""

    min_instances: int = Field(default=1, ge=1, le=50, description="never fewer machines")
    max_instances: int = Field(ge=2, le=50, description="never more machines")
    cpu_percent: int = Field(
        default=70,
        ge=10,
        le=95,
        description="one machine more above this, one less below a third of it; of pods: the share that is busy",
    )
    latency_ms: int | None = Field(
        default=None, ge=1, le=180_000, description="one machine more above this P95 too; none: CPU alone decides"
    )

    @field_validator("max_instances")
    @classmethod
    def _min_below_max(cls, value: int, info: ValidationInfo) -> int:
        if value <= info.data.get("min_instances", 0):
            raise ValueError(f"must be above minInstances, which is {info.data['min_instances']}")
        return value


class EndpointSettings(Block):
    compute: Literal["managed", "kubernetes"] = Field(
        default="managed", description="where deployments run: Azure's machines, or the stack's cluster (`kubernetes`)"
    )
    name: str | None = Field(
        default=None, description="endpoint name, 3 to 32, unique in the region; none: made from use case and stack"
    )
    model: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        description="name of the registered model it serves"
    )
    auth_mode: Literal["Key", "AMLToken", "AADToken"] = Field(
        default="Key", description="how clients prove who they are"
    )
    public_network_access: bool = Field(default=True, description="reachable from the internet")
    instance_type: str = Field(
        description="machine size of a deployment, from components/cost/prices.yaml; with compute: kubernetes the"
        " name of one of kubernetes.instanceTypes"
    )
    instance_count: int = Field(default=1, ge=1, le=50, description="machines (or pods) of a deployment")
    scale: ScaleSettings | None = Field(
        default=None, description="machines (or pods) follow the load; none: instanceCount stays"
    )
    max_concurrent_requests: int = Field(
        default=1, ge=1, le=1000, description="requests that one machine works on at a time"
    )
    request_timeout_ms: int = Field(
        default=5000, ge=1, le=180_000, description="the endpoint gives up on a request after this"
    )
    resources: Resources | None = Field(
        default=None, description="compute: kubernetes: a pod's share; none: what the instance type gives"
    )
    collect_share: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="share of requests whose inputs and predictions are kept for drift, in the workspace's blob store;"
        " none: nothing is kept",
    )
    reserved: bool = Field(default=False, description="bought as a 1-year reservation; for the cost estimate only")
    policy: Policy = Field(default_factory=RolloutPolicy, description="this endpoint's exceptions from `policy`")

    @field_validator("instance_type")
    @classmethod
    def _size_of_a_machine(cls, value: str, info: ValidationInfo) -> str:
        """A cluster's instance types are checked where the cluster is known (`components.kubernetes.problems`)."""
        if info.data.get("compute") == "managed" and value not in serving_sizes():
            raise ValueError(
                f"unknown size for online deployments (not in the price book); allowed: {', '.join(serving_sizes())}"
            )
        return value


class BatchEndpointSettings(Block):
    """An endpoint that scores files. Its deployment is made from this, as its cluster's identity it reads and writes."""

    name: str | None = Field(
        default=None, description="endpoint name, 3 to 32, unique in the region; none: made from use case and stack"
    )
    model: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        description="name of the registered model it scores with"
    )
    cluster: Word = Field(description="the cluster of this stack that it runs on")
    instances: int = Field(default=1, ge=1, le=100, description="nodes of one job")
    mini_batch_size: int = Field(default=10, ge=1, le=100_000, description="files that one call of the scorer gets")
    max_concurrency_per_instance: int = Field(default=1, ge=1, le=100, description="calls at a time on one node")
    retries: int = Field(default=3, ge=0, le=100, description="times that a failed mini batch is tried again")
    timeout_seconds: int = Field(default=30, ge=1, le=259_200, description="longest call of the scorer")
    error_threshold: int = Field(
        default=-1, ge=-1, description="failed files at which the job stops; -1: it goes on whatever fails"
    )
    output_file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,99}$")] = Field(
        default="predictions.csv", description="file of all predictions in the job's output"
    )
