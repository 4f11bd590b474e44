"""Cost exports, and the Automation account of the off hours."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row

_ACCOUNT = "Microsoft.Automation/automationAccounts/{automationAccountName}"
ROWS = (
    row("costmanagement:Export", "{scope}/providers/Microsoft.CostManagement/exports/{exportName}"),
    row("automation:AutomationAccount", _ACCOUNT, inner=("sku",), immutable=("location",)),
    row("automation:Runbook", f"{_ACCOUNT}/runbooks/{{runbookName}}", immutable=("location", "runbookType")),
    row("automation:Schedule", f"{_ACCOUNT}/schedules/{{scheduleName}}"),
    row(
        "automation:JobSchedule",
        f"{_ACCOUNT}/jobSchedules/{{jobScheduleId}}",
        # Azure has no update of a link
        immutable=("runbook", "schedule", "parameters", "runOn"),
    ),
)
