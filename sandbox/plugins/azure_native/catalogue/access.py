"""Roles, locks, budgets."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row

ROWS = (
    row(
        "authorization:RoleAssignment",
        "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        immutable=("principalId", "scope"),
    ),
    row(
        "authorization:RoleDefinition",
        "{scope}/providers/Microsoft.Authorization/roleDefinitions/{roleDefinitionId}",
        rename={"roleType": "type"},
    ),
    row("authorization:ManagementLockByScope", "{scope}/providers/Microsoft.Authorization/locks/{lockName}"),
    row("consumption:Budget", "{scope}/providers/Microsoft.Consumption/budgets/{budgetName}"),
)  # fmt: skip
