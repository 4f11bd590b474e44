"""Settings of the budget and of the cost estimate. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from components.fields import Block, Email


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


class UsageSettings(Block):
    """What the cost estimate assumes; changes nothing in Azure."""

    storage_gb: float = Field(default=50.0, ge=0, description="stored GB")
    private_gb: float = Field(default=100.0, ge=0, description="GB a month through private endpoints")
    logs_gb: float = Field(default=5.0, ge=0, description="ingested GB a month")
    grafana_users: int = Field(default=5, ge=0, description="people who open Grafana in a month")
    prometheus_million_samples: float = Field(default=50.0, ge=0, description="million Prometheus samples a month")
    key_vault_operations: int = Field(default=20_000, ge=0, description="a month")
    events: int = Field(default=50_000, ge=0, description="a month")
    features_gb: float = Field(default=20.0, ge=0, description="GB in the offline store")
    load_test_hours: float = Field(default=50.0, ge=0, description="virtual user hours of load tests a month")
    releases_per_month: float = Field(default=4.0, ge=0, description="rollouts of each endpoint a month")
