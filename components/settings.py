"""The settings of a stack, every key described. `components.config` parses them out of Pulumi's config.

Keys are camelCase in the stack file, e.g. `azureml-rollouts:endpoints.churn.instanceCount`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from components.config_errors import snake_keys
from components.network_settings import DatastoreSettings, EncryptionSettings, ModelRegistrySettings, NetworkSettings
from components.prices import price_book, serving_sizes, training_sizes
from components.regions import REGIONS
from contract.policy import Gates, RolloutPolicy

Environment = Literal["dev", "staging", "prod"]
Minutes5 = Literal[5, 10, 15]
Severity = Annotated[int, Field(ge=0, le=4)]


def _one_of(what: str, choices: tuple[str, ...]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in choices:
            raise ValueError(f"unknown {what}; allowed: {', '.join(choices)}")
        return value

    return AfterValidator(check)


def _word(value: str) -> str:
    if (
        not value
        or not value[0].isalpha()
        or not value.replace("-", "").isalnum()
        or value != value.lower()
        or value[-1] == "-"
    ):
        raise ValueError("lower-case letters, digits and hyphens are allowed, starting with a letter")
    return value


Word = Annotated[str, Field(min_length=2, max_length=20), AfterValidator(_word)]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", description="an e-mail address")]
ServingSize = Annotated[str, _one_of("size for online deployments (not in the price book)", serving_sizes())]
TrainingSize = Annotated[str, _one_of("size for clusters (not in the price book)", training_sizes())]
Policy = Annotated[RolloutPolicy, BeforeValidator(snake_keys)]
QualityGates = Annotated[Gates, BeforeValidator(snake_keys)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class StorageSettings(_Settings):
    sku: Annotated[str, _one_of("storage SKU", tuple(price_book().storage_gb_month))] = Field(
        default="Standard_LRS", description="redundancy of the workspace's storage account"
    )
    allow_shared_key_access: bool = Field(
        default=True,
        description="account keys work; false: Entra identities only, and the workspace's datastores go by identity",
    )
    soft_delete_days: int = Field(default=7, ge=1, le=365, description="days in which a deleted blob can be had back")
    versioning: bool = Field(default=False, description="keep earlier versions of blobs")


class KeyVaultSettings(_Settings):
    soft_delete_days: int = Field(
        default=7, ge=7, le=90, description="days in which a deleted vault can be had back; fixed at creation"
    )
    purge_protection: bool = Field(
        default=False, description="nobody can purge the vault before that; can't be turned off again"
    )


class RegistrySettings(_Settings):
    sku: Literal["Basic", "Standard", "Premium"] = Field(default="Basic", description="container registry tier")


class LogSettings(_Settings):
    retention_days: int = Field(default=30, ge=30, le=730, description="days that Log Analytics keeps logs")
    daily_cap_gb: float | None = Field(
        default=None, gt=0, description="ingestion stops for the day beyond this; none: no cap"
    )


class ClusterSettings(_Settings):
    vm_size: TrainingSize = Field(description="machine size, from components/prices.yaml")
    tier: Literal["Dedicated", "LowPriority"] = Field(
        default="Dedicated", description="LowPriority: 80 % off, may be evicted"
    )
    min_nodes: int = Field(default=0, ge=0, le=100, description="nodes kept when idle; 0 scales to zero")
    max_nodes: int = Field(default=2, ge=1, le=100, description="most nodes")
    idle_minutes: int = Field(default=5, ge=1, le=120, description="idle minutes before a node is given back")
    node_hours_per_month: float = Field(default=40.0, ge=0, description="expected use, for the cost estimate only")

    @field_validator("max_nodes")
    @classmethod
    def _min_at_most_max(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_nodes", 0):
            raise ValueError(f"must be at least minNodes, which is {info.data['min_nodes']}")
        return value


class EndpointSettings(_Settings):
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
    instance_type: ServingSize = Field(description="machine size of a deployment, from components/prices.yaml")
    instance_count: int = Field(default=1, ge=1, le=50, description="machines of a deployment")
    max_concurrent_requests: int = Field(
        default=1, ge=1, le=1000, description="requests that one machine works on at a time"
    )
    request_timeout_ms: int = Field(
        default=5000, ge=1, le=180_000, description="the endpoint gives up on a request after this"
    )
    reserved: bool = Field(default=False, description="bought as a 1-year reservation; for the cost estimate only")
    policy: Policy = Field(default_factory=RolloutPolicy, description="this endpoint's exceptions from `policy`")


class AlertRule(_Settings):
    threshold: float = Field(gt=0, description="the alert fires above this")
    minutes: Literal[5, 10, 15, 30, 60] = Field(description="window that is looked at")
    severity: Severity = Field(description="0 (worst) to 4")


class AlertSettings(_Settings):
    enabled: bool = Field(default=True, description="create the alert rules")
    emails: tuple[Email, ...] = Field(default=(), description="who is told")
    webhook_url: SecretStr | None = Field(
        default=None, description="https address that is called as well; set it with --secret"
    )
    every_minutes: Minutes5 = Field(default=5, description="how often the error-rate query runs")
    min_requests: int = Field(default=20, ge=1, description="fewer requests in the window: no error-rate alert")
    error_rate: AlertRule = Field(
        default=AlertRule(threshold=0.05, minutes=10, severity=1), description="share of failed requests"
    )
    latency: AlertRule = Field(
        default=AlertRule(threshold=2000, minutes=15, severity=3),
        description="P95 in milliseconds; windows of 5, 15, 30 or 60 minutes",
    )


class BudgetSettings(_Settings):
    enabled: bool = Field(default=True, description="create the budget")
    monthly_usd: float = Field(gt=0, description="USD a month for the resource group")
    notify_at: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        default=(80, 90, 100), description="percents that send a notice"
    )
    emails: tuple[Email, ...] = Field(default=(), description="who gets them, besides the action group")
    start_date: str | None = Field(
        default=None, pattern=r"^20\d\d-(0[1-9]|1[0-2])-01$", description="first day of a month; none: this month"
    )


class SubscriptionSettings(_Settings):
    event_types: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="event types delivered"
    )
    source: Literal["topic", "workspace"] = Field(
        default="topic", description="the stack's topic (rollout's events) or Azure ML's own"
    )
    webhook_url: SecretStr | None = Field(
        default=None, description="https address; none: a queue of the stack's storage account"
    )
    max_attempts: int = Field(default=30, ge=1, le=30, description="delivery attempts before dead-lettering")
    minutes_to_live: int = Field(default=1440, ge=1, le=1440, description="minutes before dead-lettering")


class EventSettings(_Settings):
    local_auth: bool = Field(default=False, description="topic keys work; false: Entra identities only")
    subscriptions: dict[Word, SubscriptionSettings] = Field(default_factory=dict, description="by name")


Guid = Annotated[
    str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", description="a GUID of 36 characters")
]


class GitHubSettings(_Settings):
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name of the repository that is trusted")
    branch: str = Field(
        default="main", pattern=r"^[^\s*]+$", description="jobs on this branch are rollout operators; no wildcards"
    )
    environments: tuple[Annotated[str, Field(pattern=r"^[\w-]{1,60}$")], ...] = Field(
        default=(), description="jobs in these environments are rollout operators too"
    )
    pull_requests: bool = Field(default=True, description="jobs of pull requests may run `pulumi preview`")


class AzureDevOpsSettings(_Settings):
    organization_id: Guid = Field(description="the organization's id, part of its issuer")
    organization: str = Field(pattern=r"^[\w-]+$", description="the organization's name")
    project: str = Field(pattern=r"^[^/]+$", description="the project's name")
    service_connection: str = Field(pattern=r"^[^/]+$", description="the service connection that is a rollout operator")


class IdentitySettings(_Settings):
    enabled: bool = Field(default=True, description="create the custom roles, and the apps of what is trusted below")
    github: GitHubSettings | None = Field(default=None, description="GitHub Actions; none: not trusted")
    azure_devops: AzureDevOpsSettings | None = Field(default=None, description="Azure Pipelines; none: not trusted")
    readers: tuple[Guid, ...] = Field(default=(), description="object ids of groups that get Model Reader")


class UsageSettings(_Settings):
    """What the cost estimate assumes; changes nothing in Azure."""

    storage_gb: float = Field(default=50.0, ge=0, description="stored GB")
    private_gb: float = Field(default=100.0, ge=0, description="GB a month through private endpoints")
    logs_gb: float = Field(default=5.0, ge=0, description="ingested GB a month")
    key_vault_operations: int = Field(default=20_000, ge=0, description="a month")
    events: int = Field(default=50_000, ge=0, description="a month")
    releases_per_month: float = Field(default=4.0, ge=0, description="rollouts of each endpoint a month")


class Settings(_Settings):
    """One stack, parsed. `location` comes from `azure-native:location`."""

    stack: str = Field(description="the stack's name (not a key)")
    location: Annotated[str, _one_of("Azure region", REGIONS)] = Field(description="Azure region")
    environment: Environment = Field(description="how strict; the stack's name when that is dev, staging or prod")
    workload: Annotated[Word, Field(max_length=12)] = Field(
        default="rollouts", description="first part of resource names"
    )
    resource_group: str | None = Field(
        default=None, description="resource group name; none: made from workload and stack"
    )
    tags: dict[str, str] = Field(default_factory=dict, description="put on every resource, besides the standard ones")
    protect_data: bool = Field(
        default=False,
        description="refuse to delete or replace what holds data or serves traffic; set false and `up` before a destroy",
    )
    lock_data: bool = Field(
        default=False,
        description="management locks on what holds data: no tool deletes it; set false and `up` before a destroy",
    )
    network: NetworkSettings = NetworkSettings()
    encryption: EncryptionSettings = EncryptionSettings()
    model_registry: ModelRegistrySettings = ModelRegistrySettings()
    storage: StorageSettings = StorageSettings()
    datastores: dict[Word, DatastoreSettings] = Field(
        default_factory=dict, description="containers of the storage account that jobs reach by name"
    )
    key_vault: KeyVaultSettings = KeyVaultSettings()
    registry: RegistrySettings = RegistrySettings()
    logs: LogSettings = LogSettings()
    clusters: dict[Word, ClusterSettings] = Field(default_factory=dict, description="by name")
    endpoints: dict[Word, EndpointSettings] = Field(min_length=1, description="by use case")
    gates: QualityGates = Field(description="lowest metrics of a model")
    policy: Policy = Field(default_factory=RolloutPolicy, description="rollout policy of all endpoints")
    alerts: AlertSettings = AlertSettings()
    budget: BudgetSettings
    events: EventSettings = EventSettings()
    identity: IdentitySettings = IdentitySettings()
    usage: UsageSettings = UsageSettings()
