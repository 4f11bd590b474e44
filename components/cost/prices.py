"""What a stack costs a month: a dated price book and a pure estimate from the settings.

Managed online endpoints run on dedicated machines around the clock: no low-priority tier, no scale to
zero (docs/adr/0003-costs.md). Clusters cost the node hours that the settings expect.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

from components.feature_store.costs import feature_lines
from components.network.costs import model_registry_lines, network_lines
from components.observability.costs import observability_lines
from contract.outputs import Cost, CostLine

if TYPE_CHECKING:
    from components.compute.settings import ClusterSettings
    from components.serving.settings import EndpointSettings
    from components.settings import Settings

Usd = Annotated[float, Field(ge=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VirtualMachine(_Frozen):
    """One size. Prices are USD per hour."""

    hourly: Usd
    reserved_1y_hourly: Usd | None = None
    vcpus: int
    memory_gib: int
    gpus: int = 0
    serving: bool
    training: bool
    source: str


class LogPrices(_Frozen):
    ingest_gb: Usd
    free_gb_month: float
    included_retention_days: int
    retention_gb_month: Usd


class EventPrices(_Frozen):
    per_million_operations: Usd
    free_operations: int


class AlertPrices(_Frozen):
    metric_series_month: Usd
    log_query_month: dict[int, Usd]
    availability_call: Usd


class GrafanaPrices(_Frozen):
    instance_hour: Usd
    user_month: Usd
    prometheus_per_million_samples: Usd


class NetworkPrices(_Frozen):
    private_endpoint_hour: Usd
    private_endpoint_gb: Usd
    dns_zone_month: Usd
    firewall_hour: dict[str, Usd]


class LoadTestingPrices(_Frozen):
    resource_month: Usd
    included_hours: float
    virtual_user_hour: Usd


class PriceBook(_Frozen):
    """The figures of prices.yaml."""

    as_of: str
    currency: str
    region: str
    hours_per_month: int
    virtual_machines: dict[str, VirtualMachine]
    low_priority_discount: Annotated[float, Field(ge=0, lt=1)]
    storage_gb_month: dict[str, Usd]
    registry_day: dict[str, Usd]
    network: NetworkPrices
    redis_hour: dict[str, Usd]
    load_testing: LoadTestingPrices
    key_vault_per_10k_operations: Usd
    log_analytics: LogPrices
    event_grid: EventPrices
    alerts: AlertPrices
    grafana: GrafanaPrices

    def cluster_hourly(self, size: str, tier: str) -> float:
        """USD for one node hour of a training cluster."""
        full = self.virtual_machines[size].hourly
        return full * (1 - self.low_priority_discount) if tier == "LowPriority" else full


@cache
def price_book() -> PriceBook:
    """The price book that ships with the program."""
    return PriceBook.model_validate(yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text("utf-8")))


def serving_sizes() -> tuple[str, ...]:
    """Machine sizes that an online deployment may use."""
    return tuple(sorted(name for name, size in price_book().virtual_machines.items() if size.serving))


def training_sizes() -> tuple[str, ...]:
    """Machine sizes that a cluster may use."""
    return tuple(sorted(name for name, size in price_book().virtual_machines.items() if size.training))


def estimate(settings: Settings, book: PriceBook | None = None) -> Cost:
    """The stack's monthly cost, line by line; each line says what it assumes."""
    book = book or price_book()
    lines: list[CostLine] = []
    for use_case, endpoint in settings.endpoints.items():
        lines += _endpoint(use_case, endpoint, settings.usage.releases_per_month, book)
    lines += [_cluster(name, cluster, book) for name, cluster in settings.clusters.items()]
    lines += [_storage(settings, book), _registry(settings, book), _key_vault(settings, book)]
    lines += [*observability_lines(settings, book), _events(settings, book)]
    lines += [*network_lines(settings, book), *model_registry_lines(settings, book)]
    lines += feature_lines(settings, book)
    return Cost(
        monthly_usd=round(sum(line.monthly_usd for line in lines), 2),
        budget_usd=settings.budget.monthly_usd,
        lines=tuple(lines),
    )


def _line(component: str, usd: float, basis: str) -> CostLine:
    return CostLine(component=component, monthly_usd=round(usd, 2), basis=basis)


def _endpoint(use_case: str, endpoint: EndpointSettings, releases: float, book: PriceBook) -> list[CostLine]:
    size = book.virtual_machines[endpoint.instance_type]
    hourly, term = size.hourly, "pay as you go"
    if endpoint.reserved and size.reserved_1y_hourly is not None:
        hourly, term = size.reserved_1y_hourly, "1-year reservation"
    machines = f"{endpoint.instance_count} x {endpoint.instance_type}"
    live = endpoint.instance_count * hourly * book.hours_per_month
    overlap_hours = endpoint.policy.keep_blue_hours + endpoint.policy.bake_minutes * len(endpoint.policy.steps) / 60
    overlap = endpoint.instance_count * size.hourly * overlap_hours * releases
    return [
        _line(f"endpoint {use_case}", live, f"{machines}, {book.hours_per_month} h at {hourly:g} USD ({term}); no low-priority tier"),
        _line(
            f"endpoint {use_case}, second deployment",
            overlap,
            f"{machines} beside it for {overlap_hours:g} h a release, {releases:g} releases",
        ),
    ]  # fmt: skip


def _cluster(name: str, cluster: ClusterSettings, book: PriceBook) -> CostLine:
    hourly = book.cluster_hourly(cluster.vm_size, cluster.tier)
    idle = cluster.min_nodes * book.hours_per_month
    hours = max(cluster.node_hours_per_month, idle)
    note = f"{hours:g} node hours of {cluster.vm_size} at {hourly:g} USD ({cluster.tier})"
    return _line(f"cluster {name}", hours * hourly, f"{note}; {cluster.min_nodes} nodes when idle")


def _storage(settings: Settings, book: PriceBook) -> CostLine:
    price, size = book.storage_gb_month[settings.storage.sku], settings.usage.storage_gb
    return _line("storage", price * size, f"{size:g} GB of {settings.storage.sku} at {price:g} USD")


def _registry(settings: Settings, book: PriceBook) -> CostLine:
    price = book.registry_day[settings.registry.sku]
    days = book.hours_per_month / 24
    return _line("container registry", price * days, f"{settings.registry.sku}, {days:.1f} days at {price:g} USD")


def _key_vault(settings: Settings, book: PriceBook) -> CostLine:
    tens = settings.usage.key_vault_operations / 10_000
    price = book.key_vault_per_10k_operations
    return _line(
        "key vault", tens * price, f"{settings.usage.key_vault_operations:,} operations at {price:g} USD per 10,000"
    )


def _events(settings: Settings, book: PriceBook) -> CostLine:
    billed = max(0, settings.usage.events - book.event_grid.free_operations)
    usd = billed / 1_000_000 * book.event_grid.per_million_operations
    return _line(
        "event grid", usd, f"{settings.usage.events:,} operations, first {book.event_grid.free_operations:,} free"
    )
