"""The settings of a stack, every key described. `components.config` parses them out of Pulumi's config.

Keys are camelCase in the stack file, e.g. `azureml-rollouts:endpoints.churn.instanceCount`. Each block is described in its package's `settings.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from components.compute.settings import ClusterSettings
from components.config_errors import snake_keys
from components.cost.settings import BudgetSettings, CostExportSettings, OffHoursSettings, UsageSettings
from components.events.settings import EventSettings, FunctionSettings
from components.feature_store.settings import FeatureStoreSettings, LoadTestingSettings
from components.fields import Block, Word, one_of
from components.gateway.settings import GatewaySettings
from components.identity.settings import IdentitySettings
from components.kubernetes.settings import KubernetesSettings
from components.network.settings import NetworkSettings
from components.observability.settings import (
    AlertSettings,
    AvailabilityTestSettings,
    DashboardSettings,
    LogSettings,
)
from components.regions import REGIONS
from components.serving.settings import BatchEndpointSettings, EndpointSettings, Policy
from components.workspace.settings import (
    DatastoreSettings,
    EncryptionSettings,
    KeyVaultSettings,
    ModelRegistrySettings,
    ModelTrustSettings,
    RegistrySettings,
    StorageSettings,
)
from contract.policy import Gates, RolloutPolicy

Environment = Literal["dev", "staging", "prod"]
QualityGates = Annotated[Gates, BeforeValidator(snake_keys)]


class Settings(Block):
    """One stack, parsed. `location` comes from `azure-native:location`."""

    stack: str = Field(description="the stack's name (not a key)")
    location: Annotated[str, one_of("Azure region", REGIONS)] = Field(description="Azure region")
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
    model_trust: ModelTrustSettings = ModelTrustSettings()
    storage: StorageSettings = StorageSettings()
    datastores: dict[Word, DatastoreSettings] = Field(
        default_factory=dict, description="containers of the storage account that jobs reach by name"
    )
    key_vault: KeyVaultSettings = KeyVaultSettings()
    registry: RegistrySettings = RegistrySettings()
    logs: LogSettings = LogSettings()
    clusters: dict[Word, ClusterSettings] = Field(default_factory=dict, description="by name")
    kubernetes: KubernetesSettings = KubernetesSettings()
    endpoints: dict[Word, EndpointSettings] = Field(min_length=1, description="by use case")
    batch_endpoints: dict[Word, BatchEndpointSettings] = Field(
        default_factory=dict, description="by use case: endpoints that score files"
    )
    feature_store: FeatureStoreSettings = FeatureStoreSettings()
    load_testing: LoadTestingSettings = LoadTestingSettings()
    gates: QualityGates = Field(description="lowest metrics of a model")
    policy: Policy = Field(default_factory=RolloutPolicy, description="rollout policy of all endpoints")
    alerts: AlertSettings = AlertSettings()
    availability_test: AvailabilityTestSettings = AvailabilityTestSettings()
    dashboards: DashboardSettings = DashboardSettings()
    budget: BudgetSettings
    cost_export: CostExportSettings = CostExportSettings()
    off_hours: OffHoursSettings = OffHoursSettings()
    events: EventSettings = EventSettings()
    functions: FunctionSettings = FunctionSettings()
    gateway: GatewaySettings = GatewaySettings()
    identity: IdentitySettings = IdentitySettings()
    usage: UsageSettings = UsageSettings()
