"""Cost lines of the Kubernetes cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from contract.outputs import CostLine

if TYPE_CHECKING:
    from components.cost.prices import PriceBook
    from components.settings import Settings


def kubernetes_lines(settings: Settings, book: PriceBook) -> Iterator[CostLine]:
    """The control plane, and each pool's nodes: those that are always there and those that are expected above."""
    kubernetes = settings.kubernetes
    if not kubernetes.enabled:
        return
    hourly = book.kubernetes.tier_hour[kubernetes.tier]
    basis = f"{kubernetes.tier} tier at {hourly:g} USD an hour; list, unverified"
    yield CostLine(component="kubernetes", monthly_usd=round(hourly * book.hours_per_month, 2), basis=basis)
    pools = kubernetes.pools.by_name()
    for name, pool in pools.items():
        price = book.virtual_machines[pool.vm_size].hourly
        hours = pool.min_nodes * book.hours_per_month + pool.node_hours_per_month
        yield CostLine(
            component=f"kubernetes pool {name}",
            monthly_usd=round(hours * price, 2),
            basis=f"{pool.min_nodes} to {pool.max_nodes} x {pool.vm_size}, {hours:g} node hours at {price:g} USD",
        )
    if kubernetes.defender:
        cpus = sum(pool.min_nodes * book.virtual_machines[pool.vm_size].vcpus for pool in pools.values())
        price = book.kubernetes.defender_vcpu_month
        yield CostLine(
            component="kubernetes defender",
            monthly_usd=round(cpus * price, 2),
            basis=f"{cpus} vCPUs at {price:g} USD a month; list, unverified",
        )
