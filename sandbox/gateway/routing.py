"""The routing table that the control process pushes to the gateway: plain data, checked on arrival."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

AuthMode = Literal["Key", "AMLToken", "AADToken"]

#: Azure's default request time-out of a managed online deployment.
DEFAULT_TIMEOUT_MS = 5000


def token_audience(workspace: str, endpoint: str) -> str:
    """The audience of an endpoint's own (AML) tokens: no other endpoint accepts them."""
    return f"azureml-endpoint:{workspace.lower()}/{endpoint.lower()}"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReplicaRoute(_Row):
    """A process that scores, on a loopback port. The name is never used again once its process has ended."""

    name: str
    port: int = Field(ge=1, le=65535)


class DeploymentRoute(_Row):
    """A deployment's ready replicas and its limits. `queue_ms` None: a request may wait as long as its time-out."""

    name: str
    replicas: tuple[ReplicaRoute, ...] = ()
    max_concurrent: int = Field(default=1, ge=1)
    timeout_ms: int = Field(default=DEFAULT_TIMEOUT_MS, ge=1)
    queue_ms: int | None = Field(default=None, ge=0)


class EndpointRoute(_Row):
    """An endpoint. `traffic` and `mirror` are percent by deployment name."""

    workspace: str
    name: str
    region: str
    auth_mode: AuthMode = "Key"
    keys: tuple[str, ...] = ()
    traffic: dict[str, int] = Field(default_factory=dict)
    mirror: dict[str, int] = Field(default_factory=dict)
    deployments: tuple[DeploymentRoute, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> EndpointRoute:
        known = {deployment.name for deployment in self.deployments}
        unknown = sorted((set(self.traffic) | set(self.mirror)) - known)
        if unknown:
            raise ValueError(f"endpoint {self.name}: weights name no deployment: {', '.join(unknown)}")
        return self


class RoutingTable(_Row):
    """All endpoints. `version` rises with every push; an older table never replaces a newer one of the same source."""

    source: str = ""
    version: int = 0
    endpoints: tuple[EndpointRoute, ...] = ()
