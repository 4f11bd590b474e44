"""Everything that watches the platform, put together: alerts, diagnostic settings, tests from outside, dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.base import Placement
from components.cost.prices import price_book
from components.observability.alerts import Alerts, AlertsArgs
from components.observability.availability import Availability, AvailabilityArgs, Door
from components.observability.dashboards import Dashboards, DashboardsArgs
from components.observability.diagnostics import Diagnostics, DiagnosticsArgs
from components.observability.grafana import Grafana, GrafanaArgs
from components.observability.logs import Observability
from components.observability.rules import Of
from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedEndpoint:
    name: str
    id: pulumi.Input[str]
    #: Where it is asked from outside; None: the internet does not reach it.
    door: Door | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """ARM ids of what is watched; None where the stack has no such thing."""

    endpoints: Mapping[str, WatchedEndpoint]
    workspace_id: pulumi.Input[str]
    storage_id: pulumi.Input[str]
    vault_id: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    topic_id: pulumi.Input[str]
    kubernetes_id: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """What was made of it; None or empty where the stack has it off."""

    alert_ids: dict[str, pulumi.Output[str]] = field(default_factory=dict)
    diagnostics: Diagnostics | None = None
    availability: Availability | None = None
    dashboards: Dashboards
    grafana: Grafana | None = None

    @property
    def below_data(self) -> tuple[pulumi.Resource | None, ...]:
        """What lies below resources that hold data: locks come after it."""
        return (self.diagnostics, self.grafana)


def build_watch(settings: Settings, place: Placement, seen: Observability, watched: Watched) -> Watch:
    """Declare it all."""
    dashboards = DashboardsArgs(
        place=place,
        settings=settings.dashboards,
        log_analytics_id=seen.log_analytics_id,
        usd_per_gb=price_book().log_analytics.ingest_gb,
    )
    availability = _availability(settings, place, seen, watched)
    alert_ids = _alerts(settings, place, seen, watched)
    if availability is not None:
        alert_ids |= {f"{name}-unreachable": each for name, each in availability.alert_ids.items()}
    return Watch(
        alert_ids=alert_ids,
        diagnostics=_diagnostics(settings, place, seen, watched),
        availability=availability,
        dashboards=Dashboards("dashboards", dashboards),
        grafana=_grafana(settings, place, seen, watched),
    )


def _alerts(
    settings: Settings, place: Placement, seen: Observability, watched: Watched
) -> dict[str, pulumi.Output[str]]:
    """Ids by `<use case>-<rule>`, or by `<rule>` for those of the platform."""
    if not settings.alerts.enabled:
        return {}

    def made(name: str, targets: Mapping[Of, pulumi.Input[str]], use_case: str = "") -> dict[str, pulumi.Output[str]]:
        args = AlertsArgs(
            place=place,
            settings=settings.alerts,
            targets=targets,
            log_analytics_id=seen.log_analytics_id,
            action_group_ids=seen.action_group_ids,
            use_case=use_case,
            endpoint_name=watched.endpoints[use_case].name if use_case else "",
        )
        prefix = f"{use_case}-" if use_case else ""
        return {f"{prefix}{rule}": each for rule, each in Alerts(name, args).alert_ids.items()}

    platform: dict[Of, pulumi.Input[str]] = {
        Of.WORKSPACE: watched.workspace_id,
        Of.STORAGE: watched.storage_id,
        Of.GROUP: place.group_id,
    }
    if watched.kubernetes_id is not None:
        platform[Of.KUBERNETES] = watched.kubernetes_id
    found = made("platform-alerts", platform)
    for use_case, endpoint in watched.endpoints.items():
        found |= made(f"alerts-{use_case}", {Of.ENDPOINT: endpoint.id}, use_case)
    return found


def _diagnostics(settings: Settings, place: Placement, seen: Observability, watched: Watched) -> Diagnostics | None:
    if not settings.logs.audit:
        return None
    args = DiagnosticsArgs(
        place=place,
        log_analytics_id=seen.log_analytics_id,
        targets={
            "workspace": watched.workspace_id,
            "blobs": pulumi.Output.concat(watched.storage_id, "/blobServices/default"),
            "vault": watched.vault_id,
            "registry": watched.registry_id,
            "topic": watched.topic_id,
        },
    )
    return Diagnostics("diagnostics", args)


def _availability(settings: Settings, place: Placement, seen: Observability, watched: Watched) -> Availability | None:
    if not settings.availability_test.enabled:
        return None
    args = AvailabilityArgs(
        place=place,
        settings=settings.availability_test,
        app_insights_id=seen.app_insights_id,
        action_group_id=seen.action_group_ids["sev1"],
        doors={use_case: each.door for use_case, each in watched.endpoints.items() if each.door is not None},
    )
    return Availability("availability", args)


def _grafana(settings: Settings, place: Placement, seen: Observability, watched: Watched) -> Grafana | None:
    if not settings.dashboards.grafana.enabled:
        return None
    sources = {"logs": seen.log_analytics_id, "insights": seen.app_insights_id, "workspace": watched.workspace_id}
    return Grafana("grafana", GrafanaArgs(place=place, settings=settings.dashboards.grafana, sources=sources))
