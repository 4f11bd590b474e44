"""The stack's outputs: built by `__main__.py`, read by `rollout`. One version, checked on read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

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


class PodResources(_Frozen):
    """What a pod of a Kubernetes deployment asks for, and the most it gets. Kubernetes' own units."""

    cpu: str = Field(pattern=r"^(\d+m|\d+(\.\d+)?)$", description="cores asked for, e.g. 1 or 500m")
    memory: str = Field(pattern=r"^\d+(Mi|Gi)$", description="memory asked for, e.g. 2Gi")
    cpu_limit: str | None = Field(default=None, pattern=r"^(\d+m|\d+(\.\d+)?)$", description="most cores")
    memory_limit: str | None = Field(default=None, pattern=r"^\d+(Mi|Gi)$", description="most memory")
    gpus: int = Field(default=0, ge=0, le=8, description="GPUs; needs both limits")


class Autoscale(_Frozen):
    """How many pods a Kubernetes deployment has: more when more than `target_percent` of them are busy."""

    min_replicas: int = Field(default=1, ge=1, le=100, description="fewest pods")
    max_replicas: int = Field(ge=1, le=100, description="most pods")
    target_percent: int = Field(default=70, ge=1, le=100, description="share of busy pods to keep to")

    @field_validator("max_replicas")
    @classmethod
    def _min_at_most_max(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_replicas", 1):
            raise ValueError(f"must be at least minReplicas, which is {info.data['min_replicas']}")
        return value


class Deployment(_Frozen):
    """What a new deployment of the endpoint is made of, unless a run overrides it."""

    compute: Literal["managed", "kubernetes"] = Field(
        default="managed", description="Azure's own machines, or pods of the endpoint's attached cluster"
    )
    instance_type: str = Field(description="machine size; for Kubernetes the name of an instance type of the cluster")
    instance_count: int = Field(ge=1)
    max_concurrent_requests_per_instance: int = Field(default=1, ge=1)
    request_timeout_ms: int = Field(default=5000, ge=1, le=180_000)
    resources: PodResources | None = Field(default=None, description="Kubernetes only; none: the instance type's")
    autoscale: Autoscale | None = Field(default=None, description="Kubernetes only; none: instance_count stays")


class Endpoint(_Frozen):
    """An online endpoint. Its deployments and traffic are `rollout`'s, not Pulumi's."""

    name: str
    id: str
    scoring_uri: str
    auth_mode: Literal["Key", "AMLToken", "AADToken"]
    model_name: str
    deployment: Deployment
    policy: RolloutPolicy


class KubernetesPool(_Frozen):
    vm_size: str
    min_nodes: int
    max_nodes: int


class Kubernetes(_Frozen):
    """The AKS cluster that is attached to the workspace."""

    cluster_name: str
    cluster_id: str
    oidc_issuer_url: str = Field(description="issuer of the pods' tokens, for federated credentials")
    compute_name: str = Field(description="the attached compute's name in the workspace")
    compute_id: str
    namespace: str = Field(description="Kubernetes namespace of models and jobs")
    pools: dict[str, KubernetesPool] = Field(default_factory=dict, description="by name: system, user, gpu")
    instance_types: tuple[str, ...] = Field(default=(), description="names that a deployment may ask for")


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
    identity: Identity = Identity()
    kubernetes: Kubernetes | None = Field(default=None, description="none: the stack has no cluster")
    gates: Gates
    cost: Cost
