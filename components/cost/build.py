"""A stack's spending: its budget, the daily export of what was spent, the off hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement
from components.cost.budget import Budget, BudgetArgs
from components.cost.export import CostExport, CostExportArgs
from components.cost.off_hours import OffHours, OffHoursArgs
from components.cost.problems import runbook_uri
from components.foundation import Foundation
from components.naming import COST_EXPORTS
from components.observability.logs import Observability
from components.settings import Settings
from components.workspace.storage import Storage
from components.workspace.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """None where the stack has switched one off."""

    budget: Budget | None
    export: CostExport | None
    off_hours: OffHours | None

    @property
    def parts(self) -> tuple[pulumi.Resource | None, ...]:
        """What has to be gone before the resources that it is about."""
        return (self.export, self.off_hours)

    def outputs(self) -> dict[str, Any]:
        """In the contract's shape: `contract.outputs.Spending`."""
        return {
            "export_name": self.export.export_name if self.export else "",
            "export_container": COST_EXPORTS if self.export else "",
            "automation_account": self.off_hours.account_name if self.off_hours else "",
            "runbook": self.off_hours.runbook_name if self.off_hours else "",
            "schedules": self.off_hours.schedules if self.off_hours else {},
        }


def build_spending(
    settings: Settings,
    place: Placement,
    seen: Observability,
    foundation: Foundation,
    kubernetes_id: pulumi.Input[str] | None = None,
) -> Spending:
    """Declare all of it. `kubernetes_id`: the AKS cluster, where the stack has one."""
    budget = None
    if settings.budget.enabled:
        args = BudgetArgs(place=place, settings=settings.budget, action_group_id=seen.action_group_id)
        budget = Budget("budget", args)
    return Spending(
        budget=budget,
        export=_export(settings, place, foundation.storage),
        off_hours=_off_hours(settings, place, foundation.workspace, kubernetes_id),
    )


def _export(settings: Settings, place: Placement, storage: Storage) -> CostExport | None:
    if not settings.cost_export.enabled:
        return None
    args = CostExportArgs(
        place=place,
        settings=settings.cost_export,
        storage_account_id=storage.account_id,
        container=storage.containers[COST_EXPORTS],
    )
    return CostExport("cost-export", args)


def _off_hours(
    settings: Settings,
    place: Placement,
    workspace: Workspace,
    kubernetes_id: pulumi.Input[str] | None,
) -> OffHours | None:
    if not settings.off_hours.enabled:
        return None
    args = OffHoursArgs(
        place=place,
        settings=settings.off_hours,
        workspace_id=workspace.workspace_id,
        runbook_uri=runbook_uri(settings) or "",
        kubernetes_id=kubernetes_id,
    )
    return OffHours("off-hours", args)
