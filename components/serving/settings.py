"""Settings of the endpoints. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from components.config_errors import snake_keys
from components.cost.prices import serving_sizes
from components.fields import Block, one_of
from contract.policy import RolloutPolicy

ServingSize = Annotated[str, one_of("size for online deployments (not in the price book)", serving_sizes())]
Policy = Annotated[RolloutPolicy, BeforeValidator(snake_keys)]


class EndpointSettings(Block):
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
    instance_type: ServingSize = Field(description="machine size of a deployment, from components/cost/prices.yaml")
    instance_count: int = Field(default=1, ge=1, le=50, description="machines of a deployment")
    max_concurrent_requests: int = Field(
        default=1, ge=1, le=1000, description="requests that one machine works on at a time"
    )
    request_timeout_ms: int = Field(
        default=5000, ge=1, le=180_000, description="the endpoint gives up on a request after this"
    )
    reserved: bool = Field(default=False, description="bought as a 1-year reservation; for the cost estimate only")
    policy: Policy = Field(default_factory=RolloutPolicy, description="this endpoint's exceptions from `policy`")
