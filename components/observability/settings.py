"""Settings of logs and alerts. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from components.fields import Block, Email

Minutes5 = Literal[5, 10, 15]
Severity = Annotated[int, Field(ge=0, le=4)]


class LogSettings(Block):
    retention_days: int = Field(default=30, ge=30, le=730, description="days that Log Analytics keeps logs")
    daily_cap_gb: float | None = Field(
        default=None, gt=0, description="ingestion stops for the day beyond this; none: no cap"
    )


class AlertRule(Block):
    threshold: float = Field(gt=0, description="the alert fires above this")
    minutes: Literal[5, 10, 15, 30, 60] = Field(description="window that is looked at")
    severity: Severity = Field(description="0 (worst) to 4")


class AlertSettings(Block):
    enabled: bool = Field(default=True, description="create the alert rules")
    emails: tuple[Email, ...] = Field(default=(), description="who is told")
    webhook_url: SecretStr | None = Field(
        default=None, description="https address that is called as well; set it with --secret"
    )
    every_minutes: Minutes5 = Field(default=5, description="how often the error-rate query runs")
    min_requests: int = Field(default=20, ge=1, description="fewer requests in the window: no error-rate alert")
    error_rate: AlertRule = Field(
        default=AlertRule(threshold=0.05, minutes=10, severity=1), description="share of failed requests"
    )
    latency: AlertRule = Field(
        default=AlertRule(threshold=2000, minutes=15, severity=3),
        description="P95 in milliseconds; windows of 5, 15, 30 or 60 minutes",
    )
