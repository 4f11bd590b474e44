"""The daily export of what was really spent, as CSV, into a container of the stack's storage account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi

from components.base import Placement, child
from components.cost.settings import CostExportSettings
from components.identity.roles import Role, assign
from components.naming import COST_EXPORTS
from components.settings import Settings


def export_containers(settings: Settings) -> Sequence[str]:
    """The containers that the storage account needs for it."""
    return (COST_EXPORTS,) if settings.cost_export.enabled else ()


@dataclass(frozen=True, kw_only=True, slots=True)
class CostExportArgs:
    place: Placement
    settings: CostExportSettings
    storage_account_id: pulumi.Input[str]
    container: pulumi.Resource


class CostExport(pulumi.ComponentResource):
    """ActualCost of the resource group, month to date, every day. Output: `export_name`.

    It writes as an identity of its own, which may write to this container only: that is also what Azure asks for where
    the account has a firewall (docs/adr/0009-spending.md).
    """

    export_name: pulumi.Output[str]

    def __init__(self, name: str, args: CostExportArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:CostExport", name, None, opts)
        self._name, self._args = name, args
        export = self._build()
        self.export_name = export.name
        assign(
            f"{name}-writes",
            Role.BLOB_DATA_CONTRIBUTOR,
            to=export.identity.principal_id,
            scope=args.container.id,  # type: ignore[attr-defined]
            parent=self,
            place=args.place,
            holder=export,
        )
        self.register_outputs({"export_name": self.export_name})

    def _build(self) -> Any:
        from pulumi_azure_native import costmanagement as costs

        place, args = self._args.place, self._args
        destination = costs.ExportDeliveryDestinationArgs(
            resource_id=args.storage_account_id, container=COST_EXPORTS, root_folder_path=args.settings.folder
        )
        first = first_run(datetime.now(UTC))
        return costs.Export(
            self._name,
            export_name=place.names.of("cost export"),
            scope=place.group_id,
            location="global",
            identity=costs.SystemAssignedServiceIdentityArgs(type="SystemAssigned"),
            format="Csv",
            definition=costs.ExportDefinitionArgs(
                type="ActualCost",
                timeframe="MonthToDate",
                data_set=costs.ExportDatasetArgs(granularity="Daily"),
            ),
            delivery_info=costs.ExportDeliveryInfoArgs(destination=destination),
            schedule=costs.ExportScheduleArgs(
                status="Active",
                recurrence="Daily",
                recurrence_period=costs.ExportRecurrencePeriodArgs(from_=first, to="2099-12-31T00:00:00Z"),
            ),
            # the first run lies in the future when it is made, and the clock must not cause an update
            opts=child(self, place, after=[args.container], ignore=["schedule.recurrencePeriod"]),
        )


def first_run(now: datetime) -> str:
    """The next 00:00 UTC, as Azure writes it."""
    return (now + timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")
