"""What the cluster's settings need of each other, of the network's and of the endpoints'. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from components.config_errors import Problem, missing
from components.cost.prices import price_book
from components.kubernetes.settings import KubernetesSettings, PoolSettings
from components.serving.settings import EndpointSettings
from components.settings import Settings
from contract.outputs import PodResources

_AZURE_ML = "ml.azure.com/"
#: Azure ML's own pods ask for that much (inference and training, for tests).
_LEAST_CPUS, _LEAST_MEMORY_GIB = 4, 14


def problems_of_kubernetes(settings: Settings) -> Iterator[Problem]:
    """Every problem of these blocks that needs more than one value to be seen."""
    yield from _endpoints(settings)
    if not settings.kubernetes.enabled:
        return
    yield from _pools(settings)
    yield from _api_server(settings)
    yield from _ranges(settings)
    yield from _extension(settings)
    yield from _instance_types(settings)
    if settings.environment == "prod":
        yield from _prod(settings)


def _endpoints(settings: Settings) -> Iterator[Problem]:
    for use_case, endpoint in settings.endpoints.items():
        if endpoint.compute == "kubernetes":
            yield from _on_the_cluster(f"endpoints.{use_case}", endpoint, settings.kubernetes)
        elif endpoint.resources is not None:
            key = f"endpoints.{use_case}.resources"
            yield Problem(key, endpoint.resources.model_dump(exclude_none=True), "only with compute: kubernetes")


def _on_the_cluster(key: str, endpoint: EndpointSettings, kubernetes: KubernetesSettings) -> Iterator[Problem]:
    if not kubernetes.enabled:
        yield Problem(f"{key}.compute", "kubernetes", "needs kubernetes.enabled: true")
    elif not kubernetes.extension.inference:
        yield Problem(f"{key}.compute", "kubernetes", "needs kubernetes.extension.inference: true")
    if endpoint.instance_type not in kubernetes.instance_types:
        allowed = f"one of kubernetes.instanceTypes: {', '.join(sorted(kubernetes.instance_types))}"
        yield Problem(f"{key}.instanceType", endpoint.instance_type, allowed)
    if endpoint.auth_mode == "AADToken":
        yield Problem(f"{key}.authMode", "AADToken", "Kubernetes endpoints take Key or AMLToken")
    if endpoint.reserved:
        yield Problem(f"{key}.reserved", True, "only with compute: managed; a cluster's nodes are bought by the pool")
    if endpoint.scale is not None and endpoint.scale.latency_ms is not None:
        allowed = "only with compute: managed; pods follow the share of them that is busy"
        yield Problem(f"{key}.scale.latencyMs", endpoint.scale.latency_ms, allowed)
    if endpoint.resources is not None:
        yield from _resources(f"{key}.resources", endpoint.resources, kubernetes)


def _resources(key: str, wanted: PodResources, kubernetes: KubernetesSettings) -> Iterator[Problem]:
    if wanted.gpus and kubernetes.pools.gpu is None:
        yield Problem(f"{key}.gpus", wanted.gpus, "needs kubernetes.pools.gpu")
    if wanted.gpus and (wanted.cpu_limit is None or wanted.memory_limit is None):
        yield missing(f"{key}.cpuLimit", "is missing; a pod with GPUs needs cpuLimit and memoryLimit")


def _pools(settings: Settings) -> Iterator[Problem]:
    pools, sizes = settings.kubernetes.pools, price_book().virtual_machines
    key = "kubernetes.pools"
    for name, pool in pools.by_name().items():
        if name != "system":
            yield from _foreign_taints(f"{key}.{name}", pool)
    if pools.system.min_nodes < 1:
        yield Problem(f"{key}.system.minNodes", 0, "1 or more: the cluster's own pods always run")
    if pools.user.min_nodes < 1:
        yield Problem(f"{key}.user.minNodes", 0, "1 or more: Azure ML's own pods always run there")
    user = sizes[pools.user.vm_size]
    if user.vcpus < _LEAST_CPUS or user.memory_gib < _LEAST_MEMORY_GIB:
        allowed = f"Azure ML's own pods need {_LEAST_CPUS} vCPUs and {_LEAST_MEMORY_GIB} GiB"
        yield Problem(f"{key}.user.vmSize", pools.user.vm_size, allowed)
    for name, plain in (("system", pools.system), ("user", pools.user)):
        if sizes[plain.vm_size].gpus:
            yield Problem(f"{key}.{name}.vmSize", plain.vm_size, "has GPUs; that is what pools.gpu is for")
    if pools.gpu is not None and not sizes[pools.gpu.vm_size].gpus:
        with_gpus = ", ".join(sorted(name for name, size in sizes.items() if size.gpus))
        yield Problem(f"{key}.gpu.vmSize", pools.gpu.vm_size, f"has no GPU; allowed: {with_gpus}")


def _foreign_taints(key: str, pool: PoolSettings) -> Iterator[Problem]:
    for taint in pool.taints:
        if not taint.startswith(_AZURE_ML):
            allowed = f"Azure ML's pods tolerate its own taints only ({_AZURE_ML}...); the pool would stay empty"
            yield Problem(f"{key}.taints", taint, allowed)


def _api_server(settings: Settings) -> Iterator[Problem]:
    kubernetes = settings.kubernetes
    if kubernetes.private_cluster and kubernetes.authorized_ranges:
        allowed = "not with kubernetes.privateCluster: true, which no public address reaches"
        yield Problem("kubernetes.authorizedRanges", list(kubernetes.authorized_ranges), allowed)
    if kubernetes.private_cluster and not settings.network.enabled:
        yield Problem(
            "kubernetes.privateCluster", True, "needs network.enabled: true, or nobody reaches the API server"
        )


def _ranges(settings: Settings) -> Iterator[Problem]:
    kubernetes, space = settings.kubernetes, IPv4Network(settings.network.address_space)
    pods, services = IPv4Network(kubernetes.pod_range), IPv4Network(kubernetes.service_range)
    if services.prefixlen < 12:
        yield Problem("kubernetes.serviceRange", kubernetes.service_range, "Azure's largest service range is a /12")
    for key, cidr in (("podRange", pods), ("serviceRange", services)):
        if cidr.overlaps(space):
            yield Problem(f"kubernetes.{key}", str(cidr), f"overlaps network.addressSpace, which is {space}")
    if pods.overlaps(services):
        yield Problem("kubernetes.serviceRange", str(services), f"overlaps kubernetes.podRange, which is {pods}")


def _extension(settings: Settings) -> Iterator[Problem]:
    extension, key = settings.kubernetes.extension, "kubernetes.extension"
    if not extension.inference and not extension.training:
        yield Problem(f"{key}.inference", False, "the cluster would serve nothing: inference, training or both")
    if not extension.inference:
        return
    if settings.network.enabled and extension.router == "loadBalancer" and not extension.internal:
        allowed = "not with network.enabled: true, whose subnet for nodes is closed to the internet"
        yield Problem(f"{key}.internal", False, allowed)
    if extension.allow_insecure and extension.tls_secret is not None:
        yield Problem(f"{key}.allowInsecure", True, "not with tlsSecret; choose one")
    if not extension.allow_insecure:
        for name, value in (("tlsSecret", extension.tls_secret), ("tlsName", extension.tls_name)):
            if value is None:
                yield missing(
                    f"{key}.{name}", "is missing; scoring over HTTPS needs it (or allowInsecure: true, for tests)"
                )


def _instance_types(settings: Settings) -> Iterator[Problem]:
    for name, kind in settings.kubernetes.instance_types.items():
        if kind.gpus and settings.kubernetes.pools.gpu is None:
            yield Problem(f"kubernetes.instanceTypes.{name}.gpus", kind.gpus, "needs kubernetes.pools.gpu")


def _prod(settings: Settings) -> Iterator[Problem]:
    kubernetes = settings.kubernetes
    if not kubernetes.private_cluster and not kubernetes.authorized_ranges:
        yield Problem("kubernetes.privateCluster", False, "prod needs true, or kubernetes.authorizedRanges")
    if kubernetes.tier == "Free":
        yield Problem("kubernetes.tier", "Free", "prod needs Standard or Premium: Free has no SLA")
    if kubernetes.extension.inference and kubernetes.extension.allow_insecure:
        yield Problem("kubernetes.extension.allowInsecure", True, "prod needs false")
