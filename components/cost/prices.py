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

from components.events.costs import functions_lines
from components.feature_store.costs import feature_lines
from components.gateway.costs import gateway_lines
from components.kubernetes.costs import kubernetes_lines
from components.network.costs import model_registry_lines, network_lines
from components.observability.costs import observability_lines
from contract.outputs import Cost, CostLine

if TYPE_CHECKING:
    from components.compute.settings import ClusterSettings
    from components.cost.settings import OffHoursSettings
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


class FunctionPrices(_Frozen):
    gb_second: Usd
    free_gb_seconds: int
    per_million_executions: Usd
    free_executions: int


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


class AutomationPrices(_Frozen):
    job_minute: Usd
    free_job_minutes: int


class KubernetesPrices(_Frozen):
    tier_hour: dict[str, Usd]
    defender_vcpu_month: Usd


class LoadTestingPrices(_Frozen):
    resource_month: Usd
    included_hours: float
    virtual_user_hour: Usd


class GatewayPrices(_Frozen):
    front_door_month: Usd
    front_door_per_10k_requests: Usd
    api_management_month: dict[str, Usd]


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
    kubernetes: KubernetesPrices
    redis_hour: dict[str, Usd]
    load_testing: LoadTestingPrices
    gateway: GatewayPrices
    key_vault_per_10k_operations: Usd
    log_analytics: LogPrices
    event_grid: EventPrices
    functions: FunctionPrices
    alerts: AlertPrices
    automation: AutomationPrices
    grafana: GrafanaPrices

    def cluster_hourly(self, size: str, tier: str) -> float:
        """USD for one node hour of a training cluster."""
        full = self.virtual_machines[size].hourly
        return full * (1 - self.low_priority_discount) if tier == "LowPriority" else full

    def serving_hourly(self, size: str, *, reserved: bool) -> float:
        """USD for one machine hour of an online deployment."""
        machine = self.virtual_machines[size]
        return machine.reserved_1y_hourly if reserved and machine.reserved_1y_hourly is not None else machine.hourly


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


def node_sizes() -> tuple[str, ...]:
    """Machine sizes that a Kubernetes node may have."""
    return tuple(sorted(price_book().virtual_machines))


def estimate(settings: Settings, book: PriceBook | None = None) -> Cost:
    """The stack's monthly cost, line by line; each line says what it assumes."""
    book = book or price_book()
    lines: list[CostLine] = []
    for use_case, endpoint in settings.endpoints.items():
        lines += _endpoint(use_case, endpoint, settings, book)
    lines += [_cluster(name, cluster, book) for name, cluster in settings.clusters.items()]
    lines += [_storage(settings, book), _registry(settings, book), _key_vault(settings, book)]
    lines += [*observability_lines(settings, book), _events(settings, book)]
    lines += [*network_lines(settings, book), *model_registry_lines(settings, book), *gateway_lines(settings, book)]
    lines += _automation(settings, book)
    lines += kubernetes_lines(settings, book)
    lines += functions_lines(settings, book)
    lines += feature_lines(settings, book)
    return Cost(
        monthly_usd=round(sum(line.monthly_usd for line in lines), 2),
        budget_usd=settings.budget.monthly_usd,
        lines=tuple(lines),
        parked_hours=round(_parked_hours(settings.off_hours, book), 1),
    )


def over_budget(cost: Cost) -> str | None:
    """A warning that names the dearest lines; None while the estimate is within the budget."""
    if cost.monthly_usd <= cost.budget_usd:
        return None
    dearest = sorted(cost.lines, key=lambda line: -line.monthly_usd)[:3]
    named = ", ".join(f"{line.component} {line.monthly_usd:,.0f}" for line in dearest)
    return (
        f"estimated {cost.monthly_usd:,.0f} USD a month, {cost.monthly_usd / cost.budget_usd:.0%} of the budget of"
        f" {cost.budget_usd:,.0f}; dearest: {named}. Raise `budget.monthlyUsd`, or switch something off"
    )


def _line(component: str, usd: float, basis: str, **more: float) -> CostLine:
    return CostLine(component=component, monthly_usd=round(usd, 2), basis=basis, **more)


def _parked_hours(off: OffHoursSettings, book: PriceBook) -> float:
    """Hours a month from `stopAt` to `startAt` of weekdays; nobody starts anything between Friday evening and Monday."""
    stop, start = (int(at[:2]) + int(at[3:]) / 60 for at in (off.stop_at, off.start_at))
    nights = 5 * ((start - stop) % 24)
    return (nights + (48 if stop > start else 0)) / (7 * 24) * book.hours_per_month


def _endpoint(use_case: str, endpoint: EndpointSettings, settings: Settings, book: PriceBook) -> list[CostLine]:
    """The plan's figure is kept beside: it takes endpoints outside prod for low-priority machines (docs/adr/0003)."""
    if endpoint.compute == "kubernetes":
        pods = f"{endpoint.instance_count} pod(s) of {endpoint.instance_type}"
        return [_line(f"endpoint {use_case}", 0.0, f"{pods} on the cluster's nodes, which `kubernetes` counts")]
    releases = settings.usage.releases_per_month
    size = book.virtual_machines[endpoint.instance_type]
    hourly, term, saved = size.hourly, "pay as you go", _parked_hours(settings.off_hours, book)
    if endpoint.reserved and size.reserved_1y_hourly is not None:
        # a reservation is paid for whether it is used or not
        hourly, term, saved = size.reserved_1y_hourly, "1-year reservation", 0.0
    planned = hourly if settings.environment == "prod" else size.hourly * (1 - book.low_priority_discount)
    machines = f"{endpoint.instance_count} x {endpoint.instance_type}"
    live = endpoint.instance_count * hourly * book.hours_per_month
    overlap_hours = endpoint.policy.keep_blue_hours + endpoint.policy.bake_minutes * len(endpoint.policy.steps) / 60
    overlap = endpoint.instance_count * size.hourly * overlap_hours * releases
    return [
        _line(
            f"endpoint {use_case}",
            live,
            f"{machines}, {book.hours_per_month} h at {hourly:g} USD ({term}); no low-priority tier",
            plan_usd=round(endpoint.instance_count * planned * book.hours_per_month, 2),
            parking_saves_usd=round(endpoint.instance_count * hourly * saved, 2),
        ),
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


def _automation(settings: Settings, book: PriceBook) -> list[CostLine]:
    if not settings.off_hours.enabled:
        return []
    minutes, prices = 2 * 22 * 2, book.automation
    usd = max(0, minutes - prices.free_job_minutes) * prices.job_minute
    basis = f"{minutes} job minutes, first {prices.free_job_minutes} free; list, unverified"
    return [_line("automation", usd, basis)]
