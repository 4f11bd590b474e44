"""Cost lines of logs, alerts, availability tests and Grafana. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.observability.reachable import managed, tested
from components.observability.rules import RULES, LogRule, MetricRule, Of
from contract.outputs import CostLine

if TYPE_CHECKING:
    from components.cost.prices import PriceBook
    from components.settings import Settings


def observability_lines(settings: Settings, book: PriceBook) -> Iterator[CostLine]:
    """What watching costs a month."""
    yield _logs(settings, book)
    yield _alerts(settings, book)
    if settings.availability_test.enabled:
        yield _tests(settings, book)
    if settings.dashboards.grafana.enabled:
        yield _grafana(settings, book)


def _logs(settings: Settings, book: PriceBook) -> CostLine:
    prices, ingested = book.log_analytics, settings.usage.logs_gb
    billed = max(0.0, ingested - prices.free_gb_month)
    extra_days = max(0, settings.logs.retention_days - prices.included_retention_days)
    kept = ingested * extra_days / 30 * prices.retention_gb_month
    basis = f"{ingested:g} GB, first {prices.free_gb_month:g} free, {prices.ingest_gb:g} USD a GB; kept {settings.logs.retention_days} days"
    return _line("log analytics", billed * prices.ingest_gb + kept, basis)


def _alerts(settings: Settings, book: PriceBook) -> CostLine:
    """Queries by how often they run, metrics by the series; the activity log is free."""
    queries: Counter[int] = Counter()
    series = 0
    for rule in (settings.alerts.rule(rule.key) for rule in RULES if settings.alerts.is_on(rule.key)):
        count = _count(settings, rule.of)
        if isinstance(rule, LogRule):
            queries[rule.every] += count
        elif isinstance(rule, MetricRule):
            series += count
    if settings.availability_test.enabled:
        series += len(tested(settings))
    usd = series * book.alerts.metric_series_month
    usd += sum(count * _query_price(book, every) for every, count in queries.items())
    parts = [f"{count} x log query every {every} min" for every, count in sorted(queries.items()) if count]
    return _line("alerts", usd, ", ".join([*parts, f"{series} x metric series"]))


def _count(settings: Settings, of: Of) -> int:
    """How many alert rules a row of the table makes."""
    if of is Of.ENDPOINT:
        return len(managed(settings))
    if of is Of.KUBERNETES:
        return int(kubernetes_is_on(settings))
    return 1


def kubernetes_is_on(settings: Settings) -> bool:
    """Whether the stack has a Kubernetes cluster."""
    block = getattr(settings, "kubernetes", None)
    return bool(block is not None and block.enabled)


def _query_price(book: PriceBook, every: int) -> float:
    """The price of the longest interval of the book that is no longer than `every`."""
    table = book.alerts.log_query_month
    return table[max((minutes for minutes in table if minutes <= every), default=min(table))]


def _tests(settings: Settings, book: PriceBook) -> CostLine:
    test, prices = settings.availability_test, book.alerts
    calls = len(tested(settings)) * len(test.locations) * book.hours_per_month * 60 // test.every_minutes
    basis = f"{calls:,} calls at {prices.availability_call:g} USD; list, unverified"
    return _line("availability tests", calls * prices.availability_call, basis)


def _grafana(settings: Settings, book: PriceBook) -> CostLine:
    prices, users = book.grafana, settings.usage.grafana_users
    double = 2 if settings.dashboards.grafana.zone_redundant else 1
    usd = double * prices.instance_hour * book.hours_per_month + users * prices.user_month
    usd += settings.usage.prometheus_million_samples * prices.prometheus_per_million_samples
    basis = f"Standard{' in several zones' if double > 1 else ''}, {users} users at {prices.user_month:g} USD"
    samples = f"{settings.usage.prometheus_million_samples:g} million Prometheus samples"
    return _line("grafana", usd, f"{basis}, {samples}; list, unverified")


def _line(component: str, usd: float, basis: str) -> CostLine:
    return CostLine(component=component, monthly_usd=round(usd, 2), basis=basis)
