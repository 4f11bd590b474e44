"""Settings of logs, alerts, the availability test and dashboards. Part of `components.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from components.fields import Block, Email, Guid, one_of
from components.observability.regions import TEST_LOCATIONS
from components.observability.rules import BY_KEY, Rule

Minutes5 = Literal[5, 10, 15]
Severity = Annotated[int, Field(ge=0, le=4)]
#: Windows that Azure's log alerts take; metric alerts lack 10.
Window = Literal[5, 10, 15, 30, 60, 360, 1440]
TestLocation = Annotated[str, one_of("test location", tuple(TEST_LOCATIONS))]


class LogSettings(Block):
    retention_days: int = Field(default=30, ge=30, le=730, description="days that Log Analytics keeps logs")
    daily_cap_gb: float | None = Field(
        default=None, gt=0, description="ingestion stops for the day beyond this; none: no cap"
    )
    audit: bool = Field(
        default=True,
        description="diagnostic settings of workspace, blobs, vault, registry and topic; prod needs true",
    )


class RuleSettings(Block):
    """One alert rule; what is left out is as `components/observability/rules.py` has it."""

    enabled: bool = Field(default=True, description="create this rule")
    threshold: float | None = Field(default=None, ge=0, description="in the rule's unit: a share, milliseconds, points")
    minutes: Window | None = Field(default=None, description="window that is looked at")
    severity: Severity | None = Field(default=None, description="0 (worst) to 4")


class ReceiverSettings(Block):
    """Who hears of alerts of one severity, besides those who hear of all."""

    emails: tuple[Email, ...] = Field(default=(), description="who is told")
    webhook_url: SecretStr | None = Field(
        default=None, description="https address that is called as well; set it with --secret"
    )


class AlertSettings(ReceiverSettings):
    """The addresses here hear of every alert."""

    enabled: bool = Field(default=True, description="create the alert rules")
    sev1: ReceiverSettings = Field(default=ReceiverSettings(), description="severities 0 and 1: act now")
    sev2: ReceiverSettings = Field(default=ReceiverSettings(), description="severity 2: look today")
    sev3: ReceiverSettings = Field(default=ReceiverSettings(), description="severities 3 and 4, and the budget")
    every_minutes: Minutes5 = Field(default=5, description="how often queries with a window of up to an hour run")
    min_requests: int = Field(default=20, ge=1, description="fewer requests in the window: no verdict on shares")
    availability: RuleSettings = Field(default=RuleSettings(), description="share of requests that got an answer")
    error_rate: RuleSettings = Field(default=RuleSettings(), description="share of failed requests")
    zero_traffic: RuleSettings = Field(default=RuleSettings(), description="requests stopped coming")
    accuracy_drop: RuleSettings = Field(
        default=RuleSettings(), description="accuracy lost since the release, as a share"
    )
    latency: RuleSettings = Field(
        default=RuleSettings(), description="P95 in milliseconds; windows of 5, 15, 30 or 60 minutes"
    )
    drift: RuleSettings = Field(default=RuleSettings(), description="share of features that drift")
    traffic_split: RuleSettings = Field(
        default=RuleSettings(), description="points between the requests seen and the weights that were set"
    )
    failed_jobs: RuleSettings = Field(default=RuleSettings(), description="ML jobs that fail, more than this many")
    storage_availability: RuleSettings = Field(default=RuleSettings(), description="of the storage account, a share")
    kubernetes_cpu: RuleSettings = Field(default=RuleSettings(), description="share of the nodes' CPU in use")
    kubernetes_memory: RuleSettings = Field(default=RuleSettings(), description="share of the nodes' memory in use")
    lock_removed: RuleSettings = Field(default=RuleSettings(), description="somebody removed a management lock")

    def rule(self, key: str) -> Rule:
        """The rule of the table with this stack's figures."""
        chosen: RuleSettings = getattr(self, key.replace("-", "_"))
        return BY_KEY[key].tuned(chosen.threshold, chosen.minutes, chosen.severity, self.every_minutes)

    def is_on(self, key: str) -> bool:
        """Whether the stack has this rule."""
        chosen: RuleSettings = getattr(self, key.replace("-", "_"))
        return self.enabled and chosen.enabled


class AvailabilityTestSettings(Block):
    """Azure calls each endpoint from outside, without a credential: through the gateway if there is one."""

    enabled: bool = Field(
        default=False, description="needs endpoints that the internet reaches, by themselves or through the gateway"
    )
    every_minutes: Minutes5 = Field(default=5, description="how often each location calls")
    locations: tuple[TestLocation, ...] = Field(
        default=("us-va-ash-azr", "us-il-ch1-azr", "us-ca-sjc-azr", "emea-nl-ams-azr", "emea-gb-db3-azr"),
        min_length=1,
        max_length=16,
        description="where the calls come from",
    )
    failing_locations: int = Field(default=3, ge=1, description="so many locations that fail make an alert")
    timeout_seconds: Literal[30, 60, 90, 120] = Field(default=30, description="no answer within this is a failure")
    expected_status: int | None = Field(
        default=None,
        ge=100,
        le=599,
        description="none: 401 of the endpoint, which turns a call without a key away, or 200 of the gateway's health; the model is not asked",
    )


class GrafanaSettings(Block):
    enabled: bool = Field(default=False, description="Managed Grafana over an Azure Monitor (Prometheus) workspace")
    public_access: bool = Field(
        default=True, description="opened from the internet after a sign-in; false: by a private endpoint of your own"
    )
    zone_redundant: bool = Field(default=False, description="instances in several zones; can't be changed later")
    admins: tuple[Guid, ...] = Field(default=(), description="object ids of Entra groups that manage Grafana")
    viewers: tuple[Guid, ...] = Field(default=(), description="object ids of Entra groups that look")


class DashboardSettings(Block):
    saved_queries: bool = Field(default=True, description="a query pack in Log Analytics")
    workbook: bool = Field(default=True, description="a workbook of requests, latency, errors, models and cost")
    slow_ms: int = Field(default=500, ge=1, description="predictions slower than this are listed as slow")
    grafana: GrafanaSettings = GrafanaSettings()
