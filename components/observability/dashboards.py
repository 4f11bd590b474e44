"""What people look at: saved queries and a workbook, both made of the texts in `queries/`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.observability.queries import Value, needs, query, title
from components.observability.settings import DashboardSettings

SAVED = ("failed-jobs", "slow-predictions", "error-patterns", "cost", "console-errors")
#: The workbook's tiles: query, how it is drawn, width in percent.
TILES = (
    ("requests", "timechart", 50), ("latency", "timechart", 50), ("traffic-shares", "piechart", 34),
    ("model-health", "table", 66), ("error-patterns", "table", 100), ("slow-predictions", "table", 100),
    ("failed-jobs", "table", 100), ("console-errors", "table", 100), ("cost", "table", 100),
)  # fmt: skip
_DAYS = 7
_MONTH = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class DashboardsArgs:
    place: Placement
    settings: DashboardSettings
    log_analytics_id: pulumi.Input[str]
    #: USD for a GB of logs, for the query `cost`.
    usd_per_gb: float


class Dashboards(pulumi.ComponentResource):
    """A query pack and a workbook. Outputs: `saved_queries` (titles), `query_pack_id`, `workbook_id`; None when left out."""

    saved_queries: tuple[str, ...] = ()
    query_pack_id: pulumi.Output[str] | None = None
    workbook_id: pulumi.Output[str] | None = None

    def __init__(self, name: str, args: DashboardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Dashboards", name, None, opts)
        self._name, self._args = name, args
        if args.settings.saved_queries:
            self.query_pack_id = self._build_pack()
            self.saved_queries = tuple(title(each) for each in SAVED)
        if args.settings.workbook:
            self.workbook_id = self._build_workbook()
        self.register_outputs({"saved_queries": self.saved_queries, "workbook_id": self.workbook_id})

    def _build_pack(self) -> pulumi.Output[str]:
        from pulumi_azure_native import operationalinsights as logs

        place = self._args.place
        pack = logs.QueryPack(
            f"{self._name}-queries",
            query_pack_name=place.names.of("query pack", "queries"),
            resource_group_name=place.resource_group,
            location=place.location,
            tags=place.tags,
            opts=child(self, place),
        )
        for each in SAVED:
            logs.Query(
                f"{self._name}-query-{each}",
                id=place.names.guid("query", each),
                query_pack_name=pack.name,
                resource_group_name=place.resource_group,
                display_name=title(each),
                body=filled(each, self._args.settings, self._args.usd_per_gb),
                related=logs.LogAnalyticsQueryPackQueryPropertiesRelatedArgs(
                    categories=["resources"], resource_types=["microsoft.operationalinsights/workspaces"]
                ),
                opts=child(self, place),
            )
        identifier: pulumi.Output[str] = pack.id
        return identifier

    def _build_workbook(self) -> pulumi.Output[str]:
        from pulumi_azure_native import applicationinsights as insights

        args, place = self._args, self._args.place
        workbook = insights.Workbook(
            f"{self._name}-workbook",
            resource_name_=place.names.guid("workbook"),  # Azure takes nothing but a GUID
            resource_group_name=place.resource_group,
            location=place.location,
            kind="shared",
            category="workbook",
            display_name=f"Model rollouts, {place.names.stack}",
            source_id=args.log_analytics_id,
            serialized_data=pulumi.Output.from_input(args.log_analytics_id).apply(
                lambda logs_id: serialized(args.settings, args.usd_per_gb, logs_id)
            ),
            version="1.0",
            tags=place.tags,
            opts=child(self, place),
        )
        identifier: pulumi.Output[str] = workbook.id
        return identifier


def filled(name: str, settings: DashboardSettings, usd_per_gb: float) -> str:
    """The query with what dashboards give it."""
    known: dict[str, Value] = {
        "days": _MONTH if name == "cost" else _DAYS,
        "slowMs": settings.slow_ms,
        "usdPerGb": float(usd_per_gb),
    }
    return query(name, **{each: known[each] for each in needs(name)})


def serialized(settings: DashboardSettings, usd_per_gb: float, logs_id: str) -> str:
    """The workbook as Azure stores it: a JSON text. The same settings give the same text."""
    heading = {
        "type": 1,
        "name": "heading",
        "content": {"json": f"## Model rollouts\nThe last {_DAYS} days; cost: {_MONTH} days."},
    }
    document = {
        "version": "Notebook/1.0",
        "items": [heading, *(_tile(*each, filled(each[0], settings, usd_per_gb)) for each in TILES)],
        "fallbackResourceIds": [logs_id],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }
    return json.dumps(document, sort_keys=True)


def _tile(name: str, drawn: str, width: int, text: str) -> dict[str, Any]:
    return {
        "type": 3,
        "name": name,
        "customWidth": str(width),
        "content": {
            "version": "KqlItem/1.0",
            "query": text,
            "size": 0,
            "title": title(name),
            "queryType": 0,
            "resourceType": "microsoft.operationalinsights/workspaces",
            "visualization": drawn,
        },
    }
