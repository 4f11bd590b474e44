"""The stack's outputs: built by `__main__.py`, read by `rollout`. One version, checked on read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.policy import Gates, RolloutPolicy

SCHEMA_VERSION = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Workspace(_Frozen):
    name: str = Field(description="the Azure ML workspace")
    id: str = Field(description="its ARM id")
    principal_id: str = Field(description="object id of the identity it runs as")
    mlflow_tracking_uri: str = Field(description="where experiments and models are tracked")


class Storage(_Frozen):
    account_name: str = Field(description="the workspace's storage account")
    account_id: str = Field(description="its ARM id")
    blob_endpoint: str = Field(description="https URL of the blob service, with no container")
    journal_container: str = Field(description="where `rollout` keeps its journals")


class Observability(_Frozen):
    log_analytics_id: str = Field(description="ARM id of the log workspace")
    log_analytics_customer_id: str = Field(description="its id in queries")
    app_insights_id: str = Field(description="ARM id of Application Insights")
    action_group_id: str = Field(description="the action group of what can wait, and of the budget")
    action_group_ids: dict[str, str] = Field(default_factory=dict, description="by severity: sev1, sev2, sev3")
    alert_ids: dict[str, str] = Field(
        default_factory=dict, description="by use case and rule (churn-drift), or by rule (failed-jobs)"
    )
    availability_test_ids: dict[str, str] = Field(default_factory=dict, description="by use case")
    saved_queries: tuple[str, ...] = Field(default=(), description="titles of the queries in the query pack")
    query_pack_id: str | None = Field(default=None, description="ARM id of the saved queries; none: there are none")
    workbook_id: str | None = Field(default=None, description="ARM id of the workbook; none: there is none")
    grafana_endpoint: str | None = Field(default=None, description="https URL of Managed Grafana")
    monitor_workspace_id: str | None = Field(default=None, description="where Prometheus metrics go")


class Events(_Frozen):
    topic_name: str = Field(description="the topic that `rollout` publishes to")
    topic_endpoint: str = Field(description="https URL that events are sent to")
    subscriptions: tuple[str, ...] = Field(default=(), description="names, in order")


class Identity(_Frozen):
    """What CI signs in as, and the stack's own roles. No secret is among them."""

    client_ids: dict[str, str] = Field(default_factory=dict, description="by app: operator, previewer")
    role_ids: dict[str, str] = Field(default_factory=dict, description="role definition ids, by role")


class Cluster(_Frozen):
    name: str = Field(description="the compute's name")
    vm_size: str = Field(description="Azure's name of the machine size")
    tier: Literal["Dedicated", "LowPriority"] = Field(description="low priority is cheaper and may be evicted")
    min_nodes: int = Field(description="nodes that are always on; 0: none when idle")
    max_nodes: int = Field(description="most nodes at a time")


class Scale(_Frozen):
    """How many machines a live deployment has: `rollout` sets it on each that it makes."""

    min_instances: int = Field(ge=1, description="machines at least")
    max_instances: int = Field(ge=2, description="machines at most")
    cpu_percent: int = Field(default=70, ge=10, le=95, description="one machine more above this")
    latency_ms: int | None = Field(default=None, ge=1, description="one machine more above this P95 too")


class Deployment(_Frozen):
    """What a new deployment of the endpoint is made of, unless a run overrides it."""

    instance_type: str = Field(description="Azure's name of the machine size")
    instance_count: int = Field(ge=1, description="machines")
    max_concurrent_requests_per_instance: int = Field(
        default=1, ge=1, description="requests that one machine takes at a time"
    )
    request_timeout_ms: int = Field(default=5000, ge=1, le=180_000, description="how long a request may take")
    scale: Scale | None = Field(default=None, description="machines follow the load; none: instance_count stays")


class Endpoint(_Frozen):
    """An online endpoint. Its deployments and traffic are `rollout`'s, not Pulumi's."""

    name: str = Field(description="the endpoint's name in Azure")
    id: str = Field(description="its ARM id")
    scoring_uri: str = Field(description="https URL that is asked for predictions")
    auth_mode: Literal["Key", "AMLToken", "AADToken"] = Field(
        description="what a caller shows: a key, the workspace's token or Entra's"
    )
    model_name: str = Field(description="the registered model that it serves")
    deployment: Deployment = Field(description="what a new deployment is made of")
    policy: RolloutPolicy = Field(description="how traffic may move")


class BatchDeployment(_Frozen):
    """What a deployment of a batch endpoint is made of."""

    cluster: str = Field(description="the compute that jobs run on")
    instances: int = Field(ge=1, description="nodes of one job")
    mini_batch_size: int = Field(ge=1, description="files that one call of the scorer gets")
    max_concurrency_per_instance: int = Field(ge=1, description="calls of the scorer at a time on one node")
    retries: int = Field(ge=0, description="of a mini batch that failed")
    timeout_seconds: int = Field(ge=1, description="of one call of the scorer")
    error_threshold: int = Field(ge=-1, description="failed files at which a job stops; -1: never")
    output_file: str = Field(description="name of the file with the predictions")


class BatchEndpoint(_Frozen):
    """An endpoint that scores files."""

    name: str = Field(description="the endpoint's name in Azure")
    id: str = Field(description="its ARM id")
    scoring_uri: str = Field(description="https URL that jobs are sent to")
    model_name: str = Field(description="the registered model that it serves")
    deployment: BatchDeployment = Field(description="what its deployment is made of")


class Network(_Frozen):
    """The stack's own network; everything empty where it has none."""

    vnet_id: str = Field(default="", description="ARM id; empty: the stack has none")
    subnet_ids: dict[str, str] = Field(default_factory=dict, description="by use: compute, aks, endpoints")
    private_endpoints: dict[str, str] = Field(
        default_factory=dict, description="ids by what they lead to, e.g. 'blob', 'amlworkspace'"
    )


class Registry(_Frozen):
    """The container registry of the workspace's images."""

    name: str = Field(description="the registry's name")
    id: str = Field(description="its ARM id")


class ModelRegistry(_Frozen):
    """The registry that models are promoted through, this stack's or another's."""

    name: str = Field(description="the registry's name")
    id: str = Field(description="its ARM id")
    resource_group: str = Field(description="where it lies")
    owned: bool = Field(description="this stack made it")


class Encryption(_Frozen):
    """The customer's own key."""

    key_name: str = Field(description="the key's name in its vault")
    key_uri: str = Field(description="with its version")
    vault_id: str = Field(description="ARM id of the key's vault")


class FeatureStore(_Frozen):
    """Where features are defined and kept. Redis takes TLS only, and Entra tokens of the stack's identities."""

    name: str
    id: str
    offline_container_id: str
    online_database_id: str
    online_host: str
    online_port: int


class LoadTesting(_Frozen):
    """Azure Load Testing."""

    name: str
    id: str
    data_plane_uri: str = Field(description="host of its own API")


class CostLine(_Frozen):
    component: str = Field(description="what costs")
    monthly_usd: float = Field(ge=0, description="estimate at the stack's settings")
    basis: str = Field(description="what the figure assumes: SKU, hours, count")


class Cost(_Frozen):
    monthly_usd: float = Field(ge=0, description="estimate of all lines")
    budget_usd: float = Field(gt=0, description="the stack's budget")
    lines: tuple[CostLine, ...] = Field(description="by component")


class StackOutputs(_Frozen):
    """Everything that `rollout` may know of a stack."""

    schema_version: Literal[1] = Field(default=1, description="rises when readers would break")
    project: str = Field(description="Pulumi project")
    stack: str = Field(description="Pulumi stack")
    environment: Literal["dev", "staging", "prod"] = Field(description="what rules apply")
    tenant_id: str = Field(description="Entra tenant")
    subscription_id: str = Field(description="Azure subscription")
    resource_group: str = Field(description="where the stack's resources lie")
    location: str = Field(description="Azure region")
    workspace: Workspace = Field(description="Azure ML workspace")
    storage: Storage = Field(description="storage account")
    observability: Observability = Field(description="logs and alerts")
    events: Events = Field(description="Event Grid")
    clusters: dict[str, Cluster] = Field(description="by name")
    endpoints: dict[str, Endpoint] = Field(description="by use case, e.g. 'churn'")
    batch_endpoints: dict[str, BatchEndpoint] = Field(default_factory=dict, description="by use case")
    identity: Identity = Field(default=Identity(), description="who signs in")
    network: Network = Field(default=Network(), description="network")
    container_registry: Registry | None = Field(default=None, description="images")
    model_registry: ModelRegistry | None = Field(default=None, description="none: this stack uses none")
    feature_store: FeatureStore | None = Field(default=None, description="none: this stack has none")
    load_testing: LoadTesting | None = Field(default=None, description="none: this stack has none")
    encryption: Encryption | None = Field(default=None, description="none: Azure's own keys")
    gates: Gates = Field(description="lowest metrics")
    cost: Cost = Field(description="estimate")
