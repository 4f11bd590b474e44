"""Settings of the endpoints. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from components.config_errors import snake_keys
from components.cost.prices import serving_sizes
from components.fields import Block
from contract.outputs import Autoscale, PodResources
from contract.policy import RolloutPolicy

Policy = Annotated[RolloutPolicy, BeforeValidator(snake_keys)]


Resources = Annotated[PodResources, BeforeValidator(snake_keys)]
Scale = Annotated[Autoscale, BeforeValidator(snake_keys)]


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
    max_concurrent_requests: int = Field(
        default=1, ge=1, le=1000, description="requests that one machine works on at a time"
    )
    request_timeout_ms: int = Field(
        default=5000, ge=1, le=180_000, description="the endpoint gives up on a request after this"
    )
    resources: Resources | None = Field(
        default=None, description="compute: kubernetes: a pod's share; none: what the instance type gives"
    )
    autoscale: Scale | None = Field(
        default=None, description="compute: kubernetes: pods come and go with the load; none: instanceCount stays"
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
