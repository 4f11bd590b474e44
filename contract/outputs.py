"""The stack's outputs: built by `__main__.py`, read by `rollout`. One version, checked on read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.policy import Gates, ModelTrust, RolloutPolicy

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
    system_topic_name: str = Field(default="", description="Azure ML's own events of the workspace")
    destinations: dict[str, Literal["function", "queue", "webhook"]] = Field(
        default_factory=dict, description="where events go, by subscription"
    )
    dead_letter_container: str = Field(
        default="", description="what could not be delivered; in the workspace's storage"
    )


class Functions(_Frozen):
    """The Functions app that handles events. No secret is among them."""

    app_name: str = Field(description="the site's name")
    app_id: str = Field(description="ARM id of the site")
    host_name: str = Field(
        description="public name of the site; only Event Grid gets an answer where the stack is private"
    )
    principal_id: str = Field(description="object id of its managed identity")
    deployed: bool = Field(description="whether subscriptions go to its functions already")
    delivery: Literal["none", "github", "webhook"] = Field(description="who is told of a registered model")
    packages_url: str = Field(description="https URL of the container that holds its code")
    vault_name: str = Field(description="key vault that its secrets are put into")
    secret_names: tuple[str, ...] = Field(description="secrets that people put, by name")


class Identity(_Frozen):
    """What CI signs in as, and the stack's own roles. No secret is among them."""

    client_ids: dict[str, str] = Field(default_factory=dict, description="by app: operator, previewer")
    role_ids: dict[str, str] = Field(default_factory=dict, description="role definition ids, by role")


class Gateway(_Frozen):
    """The public door to the endpoints. Rollouts go to the endpoints themselves, never through it."""

    front_door_host: str = Field(description="what callers resolve")
    front_door_id: str = Field(description="what Front Door writes into X-Azure-FDID")
    front_door_profile: str = Field(description="Front Door's name in Azure")
    waf_policy_id: str = Field(description="ARM id of the firewall policy")
    api_management_name: str = Field(description="the service's name in Azure")
    api_management_url: str = Field(description="https; answers Front Door only")
    scoring_urls: dict[str, str] = Field(description="by use case: what callers post to")
    domain_token: str | None = Field(
        default=None, description="for the TXT record _dnsauth of your own host name; none: Azure's host name"
    )


class Cluster(_Frozen):
    name: str = Field(description="the compute's name")
    vm_size: str = Field(description="Azure's name of the machine size")
    tier: Literal["Dedicated", "LowPriority"] = Field(description="low priority is cheaper and may be evicted")
    min_nodes: int = Field(description="nodes that are always on; 0: none when idle")
    max_nodes: int = Field(description="most nodes at a time")
    usd_per_hour: float = Field(default=0.0, ge=0, description="price of a node hour by the price book; 0: not known")


class PodResources(_Frozen):
    """What a pod of a Kubernetes deployment asks for, and the most it gets. Kubernetes' own units."""

    cpu: str = Field(pattern=r"^(\d+m|\d+(\.\d+)?)$", description="cores asked for, e.g. 1 or 500m")
    memory: str = Field(pattern=r"^\d+(Mi|Gi)$", description="memory asked for, e.g. 2Gi")
    cpu_limit: str | None = Field(default=None, pattern=r"^(\d+m|\d+(\.\d+)?)$", description="most cores")
    memory_limit: str | None = Field(default=None, pattern=r"^\d+(Mi|Gi)$", description="most memory")
    gpus: int = Field(default=0, ge=0, le=8, description="GPUs; needs both limits")


class Scale(_Frozen):
    """How many machines a live deployment has: `rollout` sets it on each that it makes."""

    min_instances: int = Field(ge=1, description="machines at least")
    max_instances: int = Field(ge=2, description="machines at most")
    cpu_percent: int = Field(default=70, ge=10, le=95, description="one machine more above this")
    latency_ms: int | None = Field(default=None, ge=1, description="one machine more above this P95 too")


class Deployment(_Frozen):
    """What a new deployment of the endpoint is made of, unless a run overrides it."""

    compute: Literal["managed", "kubernetes"] = Field(
        default="managed", description="Azure's own machines, or pods of the endpoint's attached cluster"
    )
    instance_type: str = Field(description="Azure's name of the machine size; on Kubernetes, of the instance type")
    instance_count: int = Field(ge=1, description="machines, or pods")
    usd_per_hour: float = Field(
        default=0.0, ge=0, description="price of a machine hour by the price book; 0: not known, or pods"
    )
    max_concurrent_requests_per_instance: int = Field(
        default=1, ge=1, description="requests that one machine takes at a time"
    )
    request_timeout_ms: int = Field(default=5000, ge=1, le=180_000, description="how long a request may take")
    resources: PodResources | None = Field(default=None, description="Kubernetes only; none: the instance type's")
    scale: Scale | None = Field(default=None, description="machines follow the load; none: instance_count stays")
    collect_share: float | None = Field(
        default=None, gt=0, le=1, description="share of requests that the data collector keeps; none: nothing is kept"
    )


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


class KubernetesPool(_Frozen):
    """A pool of nodes."""

    vm_size: str = Field(description="machine size")
    min_nodes: int = Field(description="fewest nodes")
    max_nodes: int = Field(description="most nodes")


class Kubernetes(_Frozen):
    """The AKS cluster that is attached to the workspace."""

    cluster_name: str = Field(description="the cluster's name in Azure")
    cluster_id: str = Field(description="its ARM id")
    oidc_issuer_url: str = Field(description="issuer of the pods' tokens, for federated credentials")
    compute_name: str = Field(description="the attached compute's name in the workspace")
    compute_id: str = Field(description="the attached compute's ARM id")
    namespace: str = Field(description="Kubernetes namespace of models and jobs")
    pools: dict[str, KubernetesPool] = Field(default_factory=dict, description="by name: system, user, gpu")
    instance_types: tuple[str, ...] = Field(default=(), description="names that a deployment may ask for")


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

    name: str = Field(description="the feature store's name")
    id: str = Field(description="its ARM id")
    offline_container_id: str = Field(description="ARM id of the container with the offline store")
    online_database_id: str = Field(description="ARM id of the Redis database of the online store; none: there is none")
    online_host: str = Field(description="where the online store answers; none: there is none")
    online_port: int = Field(description="its TLS port; none: there is none")


class LoadTesting(_Frozen):
    """Azure Load Testing."""

    name: str = Field(description="the load testing resource's name")
    id: str = Field(description="its ARM id")
    data_plane_uri: str = Field(description="host of its own API")


class CostLine(_Frozen):
    component: str = Field(description="what costs")
    monthly_usd: float = Field(ge=0, description="estimate at the stack's settings")
    basis: str = Field(description="what the figure assumes: SKU, hours, count")
    plan_usd: float | None = Field(default=None, ge=0, description="what the project's plan says of it, where it does")
    parking_saves_usd: float = Field(default=0.0, ge=0, description="what parking it in the off hours takes off")


class Cost(_Frozen):
    monthly_usd: float = Field(ge=0, description="estimate of all lines")
    budget_usd: float = Field(gt=0, description="the stack's budget")
    lines: tuple[CostLine, ...] = Field(description="by component")
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
    kubernetes: Kubernetes | None = Field(default=None, description="none: the stack has no cluster")
    network: Network = Field(default=Network(), description="network")
    container_registry: Registry | None = Field(default=None, description="images")
    functions: Functions | None = Field(default=None, description="none: the stack has no Functions app")
    model_registry: ModelRegistry | None = Field(default=None, description="none: this stack uses none")
    feature_store: FeatureStore | None = Field(default=None, description="none: this stack has none")
    load_testing: LoadTesting | None = Field(default=None, description="none: this stack has none")
    model_trust: ModelTrust = Field(default=ModelTrust(), description="signatures of models")
    encryption: Encryption | None = Field(default=None, description="none: Azure's own keys")
    gateway: Gateway | None = Field(default=None, description="none: the stack has no gateway")
    gates: Gates = Field(description="lowest metrics")
    cost: Cost = Field(description="estimate")
    spending: Spending = Field(default=Spending(), description="real costs, and what saves some")
