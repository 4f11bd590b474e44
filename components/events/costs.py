"""Cost line of the Functions app. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.events.settings import OFF_HOURS_MINUTES
from contract.outputs import CostLine

if TYPE_CHECKING:
    from components.cost.prices import PriceBook
    from components.settings import Settings

#: Seconds that one event, one tick, and one look at the live endpoints is assumed to take.
_SECONDS_PER_EVENT, _SECONDS_PER_TICK, _SECONDS_PER_LOOK = 1.0, 5.0, 2.0


def functions_lines(settings: Settings, book: PriceBook) -> Iterator[CostLine]:
    """Flex Consumption: GB-seconds and executions beyond what each month gives free. No instance is kept ready."""
    functions, prices = settings.functions, book.functions
    if not functions.enabled:
        return
    ticks = book.hours_per_month * 60 / functions.tick_minutes if functions.tick_minutes else 0.0
    looks = 0.0
    if functions.weight_minutes:
        looks += book.hours_per_month * 60 / functions.weight_minutes
    if settings.off_hours.park_idle_minutes:
        looks += book.hours_per_month * 60 / OFF_HOURS_MINUTES
    seconds = settings.usage.handled_events * _SECONDS_PER_EVENT + ticks * _SECONDS_PER_TICK + looks * _SECONDS_PER_LOOK
    gb_seconds = seconds * functions.memory_mb / 1024
    runs = settings.usage.handled_events + ticks + looks
    usd = max(0.0, gb_seconds - prices.free_gb_seconds) * prices.gb_second
    usd += max(0.0, runs - prices.free_executions) / 1_000_000 * prices.per_million_executions
    basis = (
        f"Flex Consumption, {runs:,.0f} runs and {gb_seconds:,.0f} GB-s,"
        f" first {prices.free_gb_seconds:,} GB-s and {prices.free_executions:,} runs free; list, unverified"
    )
    yield CostLine(component="functions", monthly_usd=round(usd, 2), basis=basis)
