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
    action_group_id: str = Field(description="the action group of what can wait, and of the budget")
    action_group_ids: dict[str, str] = Field(default_factory=dict, description="by severity: sev1, sev2, sev3")
    alert_ids: dict[str, str] = Field(
        default_factory=dict, description="by use case and rule (churn-drift), or by rule (failed-jobs)"
    )
    availability_test_ids: dict[str, str] = Field(default_factory=dict, description="by use case")
    saved_queries: tuple[str, ...] = Field(default=(), description="titles of the queries in the query pack")
    query_pack_id: str | None = None
    workbook_id: str | None = None
    grafana_endpoint: str | None = Field(default=None, description="https URL of Managed Grafana")
    monitor_workspace_id: str | None = Field(default=None, description="where Prometheus metrics go")


class Events(_Frozen):
    topic_name: str
    topic_endpoint: str
    subscriptions: tuple[str, ...] = ()


class Identity(_Frozen):
    """What CI signs in as, and the stack's own roles. No secret is among them."""

    client_ids: dict[str, str] = Field(default_factory=dict, description="by app: operator, previewer")
    role_ids: dict[str, str] = Field(default_factory=dict, description="role definition ids, by role")


class Gateway(_Frozen):
    """The public door to the endpoints. Rollouts go to the endpoints themselves, never through it."""

    front_door_host: str = Field(description="what callers resolve")
    front_door_id: str = Field(description="what Front Door writes into X-Azure-FDID")
    front_door_profile: str
    waf_policy_id: str
    api_management_name: str
    api_management_url: str = Field(description="https; answers Front Door only")
    scoring_urls: dict[str, str] = Field(description="by use case: what callers post to")
    domain_token: str | None = Field(
        default=None, description="for the TXT record _dnsauth of your own host name; none: Azure's host name"
    )


class Cluster(_Frozen):
    name: str
    vm_size: str
    tier: Literal["Dedicated", "LowPriority"]
    min_nodes: int
    max_nodes: int


class Scale(_Frozen):
    """How many machines a live deployment has: `rollout` sets it on each that it makes."""

    min_instances: int = Field(ge=1)
    max_instances: int = Field(ge=2)
    cpu_percent: int = Field(default=70, ge=10, le=95, description="one machine more above this")
    latency_ms: int | None = Field(default=None, ge=1, description="one machine more above this P95 too")


class Deployment(_Frozen):
    """What a new deployment of the endpoint is made of, unless a run overrides it."""

    instance_type: str
    instance_count: int = Field(ge=1)
    max_concurrent_requests_per_instance: int = Field(default=1, ge=1)
    request_timeout_ms: int = Field(default=5000, ge=1, le=180_000)
    scale: Scale | None = Field(default=None, description="machines follow the load; none: instance_count stays")


class Endpoint(_Frozen):
    """An online endpoint. Its deployments and traffic are `rollout`'s, not Pulumi's."""

    name: str
    id: str
    scoring_uri: str
    auth_mode: Literal["Key", "AMLToken", "AADToken"]
    model_name: str
    deployment: Deployment
    policy: RolloutPolicy


class BatchDeployment(_Frozen):
    """What a deployment of a batch endpoint is made of."""

    cluster: str
    instances: int = Field(ge=1, description="nodes of one job")
    mini_batch_size: int = Field(ge=1, description="files that one call of the scorer gets")
    max_concurrency_per_instance: int = Field(ge=1)
    retries: int = Field(ge=0)
    timeout_seconds: int = Field(ge=1)
    error_threshold: int = Field(ge=-1, description="failed files at which a job stops; -1: never")
    output_file: str


class BatchEndpoint(_Frozen):
    """An endpoint that scores files."""

    name: str
    id: str
    scoring_uri: str
    model_name: str
    deployment: BatchDeployment


class Network(_Frozen):
    """The stack's own network; everything empty where it has none."""

    vnet_id: str = ""
    subnet_ids: dict[str, str] = Field(default_factory=dict, description="by use: compute, aks, endpoints")
    private_endpoints: dict[str, str] = Field(
        default_factory=dict, description="ids by what they lead to, e.g. 'blob', 'amlworkspace'"
    )


class Registry(_Frozen):
    """The container registry of the workspace's images."""

    name: str
    id: str


class ModelRegistry(_Frozen):
    """The registry that models are promoted through, this stack's or another's."""

    name: str
    id: str
    resource_group: str
    owned: bool = Field(description="this stack made it")


class Encryption(_Frozen):
    """The customer's own key."""

    key_name: str
    key_uri: str = Field(description="with its version")
    vault_id: str


class CostLine(_Frozen):
    component: str
    monthly_usd: float = Field(ge=0)
    basis: str = Field(description="what the figure assumes: SKU, hours, count")


class Cost(_Frozen):
    monthly_usd: float = Field(ge=0)
    budget_usd: float = Field(gt=0)
    lines: tuple[CostLine, ...]


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
    batch_endpoints: dict[str, BatchEndpoint] = Field(default_factory=dict, description="by use case")
    identity: Identity = Identity()
    network: Network = Network()
    container_registry: Registry | None = None
    model_registry: ModelRegistry | None = Field(default=None, description="none: this stack uses none")
    encryption: Encryption | None = Field(default=None, description="none: Azure's own keys")
    gateway: Gateway | None = Field(default=None, description="none: the stack has no gateway")
    gates: Gates
    cost: Cost
