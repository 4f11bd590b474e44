"""The alert table: one row a rule, with the figures that a stack has unless it says otherwise. Pure.

A share is written as a share (0.05), also where Azure's metric counts in percent: `scale` turns it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

Operator = Literal["GreaterThan", "LessThan"]
Unit = Literal["share", "milliseconds", "points", "count", "none"]
#: Metric alerts have no window of 10 minutes.
METRIC_WINDOWS = (5, 15, 30, 60, 360, 1440)


class Of(Enum):
    """What a rule watches."""

    ENDPOINT = "each online endpoint"
    WORKSPACE = "the workspace"
    STORAGE = "the storage account"
    KUBERNETES = "the Kubernetes cluster"
    GROUP = "the resource group"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What every rule has. `title` may name the threshold and the minutes."""

    key: str
    of: Of
    severity: int
    title: str
    unit: Unit = "none"
    threshold: float = 0.0
    minutes: int = 5
    operator: Operator = "GreaterThan"
    #: How often Azure looks, in minutes.
    every: int = 5

    def tuned(self, threshold: float | None, minutes: int | None, severity: int | None, every: int) -> Rule:
        """The same rule with a stack's own figures; `every` is for queries over short windows."""
        window = self.minutes if minutes is None else minutes
        return replace(
            self,
            threshold=self.threshold if threshold is None else threshold,
            minutes=window,
            severity=self.severity if severity is None else severity,
            every=every if isinstance(self, LogRule) and self.every <= 15 else self.every,
        )

    @property
    def group(self) -> str:
        """The action group that hears of it."""
        return group_of(self.severity)

    def describe(self) -> str:
        """The title with the figures in it."""
        return self.title.format(threshold=self.threshold, minutes=self.minutes)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRule(Rule):
    """A query of `queries/<key>.kql`: it gives one row with `column`, or none where there is no verdict."""

    column: str
    #: Minutes that the query itself looks back, where that is more than the window.
    reach: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricRule(Rule):
    """A platform metric of the resource."""

    namespace: str
    metric: str
    aggregation: Literal["Average", "Total", "Maximum"] = "Average"
    scale: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivityRule(Rule):
    """An operation in the activity log that succeeded."""

    operation: str


def group_of(severity: int) -> str:
    """sev1 for what can't wait, sev2, sev3 for the rest."""
    return {0: "sev1", 1: "sev1", 2: "sev2"}.get(severity, "sev3")


GROUPS = ("sev1", "sev2", "sev3")
ENDPOINTS = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints"
_AKS = "Microsoft.ContainerService/managedClusters"

RULES: tuple[Rule, ...] = (
    LogRule(
        key="availability", of=Of.ENDPOINT, severity=1, unit="share", threshold=0.99, minutes=15, operator="LessThan",
        column="Availability", title="under {threshold:.0%} of requests answered in {minutes} min",
    ),
    LogRule(
        key="error-rate", of=Of.ENDPOINT, severity=1, unit="share", threshold=0.05, minutes=10,
        column="ErrorRate", title="over {threshold:.0%} of requests fail in {minutes} min",
    ),
    LogRule(
        key="zero-traffic", of=Of.ENDPOINT, severity=1, unit="count", threshold=1, minutes=15, operator="LessThan", reach=1440,
        column="Recent", title="fewer than {threshold:g} requests in {minutes} min, and there were some in the day before",
    ),
    LogRule(
        key="accuracy-drop", of=Of.ENDPOINT, severity=2, unit="share", threshold=0.05, minutes=1440, every=60,
        column="Drop", title="accuracy over {threshold:.0%} below the release's",
    ),
    MetricRule(
        key="latency", of=Of.ENDPOINT, severity=3, unit="milliseconds", threshold=2000, minutes=15, every=1,
        namespace=ENDPOINTS, metric="RequestLatency_P95", title="P95 over {threshold:g} ms for {minutes} min",
    ),
    LogRule(
        key="drift", of=Of.ENDPOINT, severity=3, unit="share", threshold=0.15, minutes=1440, every=60,
        column="Drifting", title="over {threshold:.0%} of features drift",
    ),
    LogRule(
        key="traffic-split", of=Of.ENDPOINT, severity=3, unit="points", threshold=10, minutes=15,
        column="OffBy", title="requests are over {threshold:g} points off the weights in {minutes} min",
    ),
    MetricRule(
        key="failed-jobs", of=Of.WORKSPACE, severity=3, unit="count", threshold=0, minutes=5, aggregation="Total",
        namespace="Microsoft.MachineLearningServices/workspaces", metric="Failed Runs",
        title="more than {threshold:g} ML jobs failed in {minutes} min",
    ),
    MetricRule(
        key="storage-availability", of=Of.STORAGE, severity=2, unit="share", threshold=0.99, minutes=15, operator="LessThan",
        namespace="Microsoft.Storage/storageAccounts", metric="Availability", scale=100,
        title="storage under {threshold:.0%} available for {minutes} min",
    ),
    MetricRule(
        key="kubernetes-cpu", of=Of.KUBERNETES, severity=3, unit="share", threshold=0.8,
        namespace=_AKS, metric="node_cpu_usage_percentage", scale=100, title="nodes' CPU over {threshold:.0%} for {minutes} min",
    ),
    MetricRule(
        key="kubernetes-memory", of=Of.KUBERNETES, severity=3, unit="share", threshold=0.8,
        namespace=_AKS, metric="node_memory_working_set_percentage", scale=100,
        title="nodes' memory over {threshold:.0%} for {minutes} min",
    ),
    ActivityRule(
        key="lock-removed", of=Of.GROUP, severity=1, operation="Microsoft.Authorization/locks/delete",
        title="a management lock was removed",
    ),
)  # fmt: skip
BY_KEY = {rule.key: rule for rule in RULES}


def iso(minutes: int) -> str:
    """Minutes as Azure writes windows: PT15M, PT1H, P1D."""
    if minutes % 1440 == 0:
        return f"P{minutes // 1440}D"
    return f"PT{minutes // 60}H" if minutes % 60 == 0 else f"PT{minutes}M"
