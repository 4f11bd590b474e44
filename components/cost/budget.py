"""The stack's monthly budget, with notices as it fills up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pulumi

from components.base import Placement, child
from components.cost.settings import BudgetSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetArgs:
    place: Placement
    settings: BudgetSettings
    action_group_id: pulumi.Input[str]


class Budget(pulumi.ComponentResource):
    """A cost budget of the resource group; e-mails and the action group hear of it. Output: `budget_id`."""

    budget_id: pulumi.Output[str]

    def __init__(self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Budget", name, None, opts)
        self._name, self._args = name, args
        self.budget_id = self._build()
        self.register_outputs({"budget_id": self.budget_id})

    def _build(self) -> pulumi.Output[str]:
        from pulumi_azure_native import consumption

        place, settings = self._args.place, self._args.settings
        budget = consumption.Budget(
            self._name,
            budget_name=place.names.of("budget"),
            scope=place.group_id,
            amount=settings.monthly_usd,
            category="Cost",
            time_grain="Monthly",
            time_period=consumption.BudgetTimePeriodArgs(start_date=start_of(settings, datetime.now(UTC))),
            notifications={f"actual-{percent}": self._notice(percent) for percent in settings.notify_at},
            # a budget keeps the month it began in: Azure refuses an earlier one, and the clock must not cause an update
            opts=child(self, place, ignore=() if settings.start_date else ("timePeriod",)),
        )
        identifier: pulumi.Output[str] = budget.id
        return identifier

    def _notice(self, percent: int) -> Any:
        from pulumi_azure_native import consumption

        return consumption.NotificationArgs(
            enabled=True,
            operator="GreaterThanOrEqualTo",
            threshold=percent,
            threshold_type="Actual",
            contact_emails=list(self._args.settings.emails),
            contact_groups=[self._args.action_group_id],
        )


def start_of(settings: BudgetSettings, now: datetime) -> str:
    """The budget's first day, as Azure writes it: the stack file's, or the first of this month."""
    day = settings.start_date or now.strftime("%Y-%m-01")
    return f"{day}T00:00:00Z"
