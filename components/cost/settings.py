"""Settings of the budget and of the cost estimate. Part of `components.settings`."""

from __future__ import annotations

import zoneinfo
from typing import Annotated

from pydantic import AfterValidator, Field

from components.fields import Block, Email


def _zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError("unknown time zone; allowed: IANA names such as UTC, Europe/Berlin, America/New_York")
    return name


TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
TimeZone = Annotated[str, AfterValidator(_zone)]


class BudgetSettings(Block):
    enabled: bool = Field(default=True, description="create the budget")
    monthly_usd: float = Field(gt=0, description="USD a month for the resource group")
    notify_at: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        default=(80, 90, 100), description="percents that send a notice"
    )
    emails: tuple[Email, ...] = Field(default=(), description="who gets them, besides the action group")
    start_date: str | None = Field(
        default=None, pattern=r"^20\d\d-(0[1-9]|1[0-2])-01$", description="first day of a month; none: this month"
    )


class CostExportSettings(Block):
    """What was really spent, every day as CSV in the stack's storage account. Azure writes it at 00:00 UTC or soon after."""

    enabled: bool = Field(default=False, description="export the resource group's costs every day")
    folder: str = Field(
        default="daily",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$",
        description="folder inside the container cost-exports",
    )


class OffHoursSettings(Block):
    """Weekdays, from `stopAt` to `startAt`: clusters keep no idle node, AKS one node, idle endpoints are parked."""

    enabled: bool = Field(default=False, description="Automation account with the off-hours runbook and its schedules")
    stop_at: TimeOfDay = Field(default="18:00", description="when the off hours begin, Monday to Friday")
    start_at: TimeOfDay = Field(default="06:00", description="when they end, Monday to Friday")
    time_zone: TimeZone = Field(default="UTC", description="what the two times are in; an IANA name")
    park_idle_minutes: int = Field(
        default=0,
        ge=0,
        le=1440,
        description="the Functions app parks endpoints that nobody asked for so long, and brings them back; 0: never",
    )
    runbook_uri: str | None = Field(
        default=None,
        pattern=r"^https://\S+$",
        description="where Azure fetches components/cost/runbooks/off_hours.py from; none: identity.github's branch",
    )


class UsageSettings(Block):
    """What the cost estimate assumes; changes nothing in Azure."""

    storage_gb: float = Field(default=50.0, ge=0, description="stored GB")
    private_gb: float = Field(default=100.0, ge=0, description="GB a month through private endpoints")
    logs_gb: float = Field(default=5.0, ge=0, description="ingested GB a month")
    grafana_users: int = Field(default=5, ge=0, description="people who open Grafana in a month")
    prometheus_million_samples: float = Field(default=50.0, ge=0, description="million Prometheus samples a month")
    key_vault_operations: int = Field(default=20_000, ge=0, description="a month")
    events: int = Field(default=50_000, ge=0, description="a month")
    handled_events: int = Field(default=2_000, ge=0, description="events that the Functions app handles a month")
    features_gb: float = Field(default=20.0, ge=0, description="GB in the offline store")
    load_test_hours: float = Field(default=50.0, ge=0, description="virtual user hours of load tests a month")
    gateway_requests: int = Field(default=1_000_000, ge=0, description="a month, through the gateway")
    releases_per_month: float = Field(default=4.0, ge=0, description="rollouts of each endpoint a month")
