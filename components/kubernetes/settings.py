"""Settings of the Kubernetes cluster. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from components.cost.prices import node_sizes
from components.fields import Block, Guid, Word, one_of
from components.network.settings import PrivateCidr, PublicCidr

NodeSize = Annotated[str, one_of("size for nodes (not in the price book)", node_sizes())]
Taint = Annotated[
    str,
    Field(pattern=r"^[\w./-]+(=[\w.-]*)?:(NoSchedule|PreferNoSchedule|NoExecute)$", description="key=value:effect"),
]
Cpu = Annotated[
    str, Field(pattern=r"^([1-9]\d*m|0\.\d*[1-9]\d*|[1-9]\d*(\.\d+)?)$", description="cores, e.g. 2 or 500m")
]
Memory = Annotated[str, Field(pattern=r"^[1-9]\d*(Mi|Gi)$", description="e.g. 4Gi")]

#: Pods of Azure ML tolerate no taint but its own (ml.azure.com/...): with another one, a pool stays empty.
AZURE_ML_TAINT = "ml.azure.com/amlarc=true:NoSchedule"


class PoolSettings(Block):
    """A pool of nodes that the cluster's autoscaler sizes."""

    vm_size: NodeSize = Field(default="Standard_D4s_v3", description="machine size, from components/cost/prices.yaml")
    min_nodes: int = Field(default=1, ge=0, le=1000, description="fewest nodes; only user and gpu may have 0")
    max_nodes: int = Field(default=3, ge=1, le=1000, description="most nodes")
    taints: tuple[Taint, ...] = Field(default=(), description="what keeps other pods away")
    labels: dict[str, str] = Field(default_factory=dict, description="put on the nodes, besides `pool`")
    node_hours_per_month: float = Field(
        default=0.0, ge=0, description="expected use above minNodes, for the cost estimate only"
    )

    @field_validator("max_nodes")
    @classmethod
    def _min_at_most_max(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("min_nodes", 0):
            raise ValueError(f"must be at least minNodes, which is {info.data['min_nodes']}")
        return value


class SystemPoolSettings(PoolSettings):
    taints: tuple[Taint, ...] = Field(
        default=("CriticalAddonsOnly=true:NoSchedule",), description="keeps everything but Kubernetes' own pods away"
    )


class GpuPoolSettings(PoolSettings):
    vm_size: NodeSize = Field(default="Standard_NC4as_T4_v3", description="machine size, with GPUs")
    min_nodes: int = Field(default=0, ge=0, le=1000, description="0: none while nothing asks for a GPU")
    max_nodes: int = Field(default=1, ge=1, le=1000, description="most nodes")
    taints: tuple[Taint, ...] = Field(default=(AZURE_ML_TAINT,), description="keeps other pods than Azure ML's away")
    labels: dict[str, str] = Field(default={"sku": "gpu"}, description="put on the nodes, besides `pool`")


class PoolsSettings(Block):
    system: SystemPoolSettings = Field(default=SystemPoolSettings(), description="Kubernetes' own pods")
    user: PoolSettings = Field(default=PoolSettings(), description="models, jobs, and Azure ML's own pods")
    gpu: GpuPoolSettings | None = Field(default=None, description="pods that ask for GPUs; scales to zero")

    def by_name(self) -> dict[str, PoolSettings]:
        """The pools that there are."""
        pools = {"system": self.system, "user": self.user, "gpu": self.gpu}
        return {name: pool for name, pool in pools.items() if pool is not None}


class InstanceTypeSettings(Block):
    """What a pod of a model gets: the `instanceType` of an endpoint with `compute: kubernetes`."""

    cpu: Cpu = Field(default="2", description="cores; MLflow models need 2 or more")
    memory: Memory = Field(default="4Gi", description="memory; MLflow models need 4Gi or more")
    gpus: int = Field(default=0, ge=0, le=8, description="GPUs; more than none needs pools.gpu, and runs there")


class ExtensionSettings(Block):
    """Azure ML in the cluster."""

    training: bool = Field(default=True, description="jobs may run on the cluster")
    inference: bool = Field(default=True, description="online endpoints may run on the cluster")
    router: Literal["loadBalancer", "clusterIP", "nodePort"] = Field(
        default="loadBalancer", description="how Azure ML's router, which all scoring goes through, is reached"
    )
    internal: bool = Field(default=True, description="the load balancer's address is in the VNet, not on the internet")
    tls_secret: str | None = Field(
        default=None, description="Kubernetes secret in namespace azureml with cert.pem and key.pem"
    )
    tls_name: str | None = Field(default=None, description="the DNS name that the certificate is for")
    allow_insecure: bool = Field(default=False, description="scoring over plain HTTP; never in prod")


class MaintenanceSettings(Block):
    """When Azure may upgrade the cluster; UTC."""

    day: Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] = Field(
        default="Sunday", description="day of the week"
    )
    start: str = Field(default="02:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="HH:MM")
    hours: int = Field(default=4, ge=4, le=24, description="length; Azure asks for 4 to 24")


class KubernetesSettings(Block):
    enabled: bool = Field(default=False, description="an AKS cluster, attached to the workspace")
    version: str = Field(default="1.33", pattern=r"^1\.\d{2}$", description="minor version; Azure picks the patch")
    tier: Literal["Free", "Standard", "Premium"] = Field(
        default="Free", description="of the control plane; Free has no SLA: prod needs Standard or Premium"
    )
    pools: PoolsSettings = PoolsSettings()
    private_cluster: bool = Field(default=False, description="the API server has an address in the VNet only")
    authorized_ranges: tuple[PublicCidr, ...] = Field(
        default=(), max_length=200, description="public ranges that may reach the API server of a public cluster"
    )
    pod_range: PrivateCidr = Field(default="192.168.0.0/16", description="addresses of pods, an overlay")
    service_range: PrivateCidr = Field(
        default="172.16.0.0/16", description="addresses of services, in the cluster only"
    )
    network_policy: Literal["cilium", "azure", "calico"] = Field(
        default="cilium", description="what enforces the network policies of pods"
    )
    admin_groups: tuple[Guid, ...] = Field(default=(), description="Entra groups that administer the cluster")
    # stable and rapid change the minor version, which the next `up` would try to take back
    upgrade_channel: Literal["none", "patch", "node-image"] = Field(
        default="patch", description="what Azure upgrades by itself; minor versions change by `version` only"
    )
    maintenance: MaintenanceSettings = MaintenanceSettings()
    container_insights: bool = Field(
        default=True, description="pods' logs go to Log Analytics; Kubernetes endpoints have no other log"
    )
    defender: bool = Field(default=False, description="Microsoft Defender watches the cluster; billed per vCPU")
    extension: ExtensionSettings = ExtensionSettings()
    namespace: Word = Field(default="azureml-models", description="Kubernetes namespace that models and jobs run in")
    instance_types: dict[Word, InstanceTypeSettings] = Field(
        default={"standard": InstanceTypeSettings()}, min_length=1, description="by name"
    )
