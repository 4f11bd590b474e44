"""The stack's outputs: built by `__main__.py`, read by `rollout`. One version, checked on read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.policy import Gates, RolloutPolicy

SCHEMA_VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Workspace(_Frozen):
    name: str
    id: str
    principal_id: str
    mlflow_tracking_uri: str


class Storage(_Frozen):
    account_name: str
    account_id: str
    blob_endpoint: str = Field(description="https URL of the blob service, with no container")
    journal_container: str


class Observability(_Frozen):
    log_analytics_id: str
    log_analytics_customer_id: str
    app_insights_id: str
    action_group_id: str
    alert_ids: dict[str, str] = Field(default_factory=dict)


class Events(_Frozen):
    topic_name: str
    topic_endpoint: str
    subscriptions: tuple[str, ...] = ()


class Identity(_Frozen):
    """What CI signs in as, and the stack's own roles. No secret is among them."""

    client_ids: dict[str, str] = Field(default_factory=dict, description="by app: operator, previewer")
    role_ids: dict[str, str] = Field(default_factory=dict, description="role definition ids, by role")


class Cluster(_Frozen):
    name: str
    vm_size: str
    tier: Literal["Dedicated", "LowPriority"]
    min_nodes: int
    max_nodes: int


class Deployment(_Frozen):
    """What a new deployment of the endpoint is made of, unless a run overrides it."""

    instance_type: str
    instance_count: int = Field(ge=1)
    max_concurrent_requests_per_instance: int = Field(default=1, ge=1)
    request_timeout_ms: int = Field(default=5000, ge=1, le=180_000)


class Endpoint(_Frozen):
    """An online endpoint. Its deployments and traffic are `rollout`'s, not Pulumi's."""

    name: str
    id: str
    scoring_uri: str
    auth_mode: Literal["Key", "AMLToken", "AADToken"]
    model_name: str
    deployment: Deployment
    policy: RolloutPolicy


class CostLine(_Frozen):
    component: str
    monthly_usd: float = Field(ge=0)
    basis: str = Field(description="what the figure assumes: SKU, hours, count")
    plan_usd: float | None = Field(default=None, ge=0, description="what the project's plan says of it, where it does")
    parking_saves_usd: float = Field(default=0.0, ge=0, description="what parking it in the off hours takes off")


class Cost(_Frozen):
    monthly_usd: float = Field(ge=0)
    budget_usd: float = Field(gt=0)
    lines: tuple[CostLine, ...]
    parked_hours: float = Field(default=0.0, ge=0, description="hours a month outside the working hours")


class Spending(_Frozen):
    """Where the stack's real costs are written to, and what saves some of them. Empty: switched off."""

    export_name: str = Field(default="", description="the daily export of Cost Management")
    export_container: str = Field(default="", description="container of the storage account that its CSV goes to")
    automation_account: str = Field(default="", description="runs the off-hours runbook")
    runbook: str = Field(default="", description="the off-hours runbook")
    schedules: dict[str, str] = Field(default_factory=dict, description="schedule names: off, on")


class StackOutputs(_Frozen):
    """Everything that `rollout` may know of a stack."""

    schema_version: Literal[1] = 1
    project: str
    stack: str
    environment: Literal["dev", "staging", "prod"]
    tenant_id: str
    subscription_id: str
    resource_group: str
    location: str
    workspace: Workspace
    storage: Storage
    observability: Observability
    events: Events
    clusters: dict[str, Cluster]
    endpoints: dict[str, Endpoint] = Field(description="by use case, e.g. 'churn'")
    identity: Identity = Identity()
    gates: Gates
    cost: Cost
    spending: Spending = Spending()
