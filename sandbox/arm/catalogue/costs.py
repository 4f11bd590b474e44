"""Microsoft.Consumption: budgets. Microsoft.CostManagement: exports, which are kept and never run: nothing is spent here."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.arm.catalogue.common import one_of, versions
from sandbox.arm.checks import value_at
from sandbox.arm.model import Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

_GRAINS = ("Monthly", "Quarterly", "Annually", "BillingMonth", "BillingQuarter", "BillingAnnual")
_MOST_NOTIFICATIONS = 5


def _validate(change: Change) -> None:
    properties = change.resource.properties
    one_of(change, "properties.category", properties["category"], ("Cost", "ReservationUtilization"))
    one_of(change, "properties.timeGrain", properties["timeGrain"], _GRAINS)
    if not isinstance(properties["amount"], int | float) or properties["amount"] <= 0:
        raise AzureError(400, "400", f"'properties.amount' is {properties['amount']}; it must be over 0.")
    _check_period(properties["timePeriod"])
    notifications = properties.get("notifications") or {}
    if len(notifications) > _MOST_NOTIFICATIONS:
        raise AzureError(
            400, "400", f"A budget has at most {_MOST_NOTIFICATIONS} notifications, not {len(notifications)}."
        )
    for name, notification in notifications.items():
        _check_notification(name, notification)


def _check_period(period: Json) -> None:
    try:
        start = datetime.fromisoformat(str(period["startDate"]).replace("Z", "+00:00"))
    except (KeyError, ValueError) as error:
        raise AzureError(400, "400", "'properties.timePeriod.startDate' must be a date such as 2026-01-01.") from error
    if start.day != 1:
        raise AzureError(400, "400", "'properties.timePeriod.startDate' must be the first of a month.")


def _check_notification(name: str, notification: Json) -> None:
    threshold = notification.get("threshold")
    if not isinstance(threshold, int | float) or not 0 < threshold <= 1000:
        raise AzureError(
            400, "400", f"The threshold of notification '{name}' is {threshold}; allowed: over 0 to 1000 percent."
        )
    people = ("contactEmails", "contactRoles", "contactGroups")
    if not any(notification.get(who) for who in people):
        raise AzureError(400, "400", f"Notification '{name}' tells nobody: one of {', '.join(people)} is needed.")


def _computed(budget: Resource, view: View) -> Json:
    return {"currentSpend": {"amount": 0, "unit": "USD"}}


def _shown(document: Json, budget: Resource, view: View) -> Json:
    return {**document, "eTag": document.pop("etag")}


def _validate_export(change: Change) -> None:
    properties = change.resource.properties
    one_of(change, "properties.format", properties.get("format", "Csv"), ("Csv", "Parquet"))
    definition = properties["definition"]
    kinds = ("Usage", "ActualCost", "AmortizedCost", "FocusCost", "PriceSheet", "ReservationDetails")
    one_of(change, "properties.definition.type", definition.get("type"), kinds)
    frames = ("MonthToDate", "BillingMonthToDate", "TheLastMonth", "TheLastBillingMonth", "WeekToDate", "Custom")
    one_of(change, "properties.definition.timeframe", definition.get("timeframe"), frames)
    destination = value_at(properties, "deliveryInfo.destination") or {}
    account = str(destination.get("resourceId", ""))
    for needed in (account, f"{account}/blobServices/default/containers/{destination.get('container')}"):
        if change.arm.get(needed) is None:
            raise AzureError(400, "400", f"The export's destination '{needed}' does not exist.")
    if value_at(change.resource.identity or {}, "type") == "SystemAssigned" and not change.resource.location:
        raise AzureError(400, "400", "An export with a managed identity needs a 'location'.")
    _check_schedule(change, properties.get("schedule"))


def _check_schedule(change: Change, schedule: Json | None) -> None:
    if schedule is None:
        return
    one_of(
        change, "properties.schedule.recurrence", schedule.get("recurrence"), ("Daily", "Weekly", "Monthly", "Annually")
    )
    period = schedule.get("recurrencePeriod")
    before = value_at(change.before.properties, "schedule.recurrencePeriod") if change.before else None
    if period is None or period == before:
        return
    start, end = (_day(period.get(name)) for name in ("from", "to"))
    if start <= datetime.now(UTC) or end <= start:
        raise AzureError(400, "400", "'schedule.recurrencePeriod' must begin in the future and end after that.")


def _day(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise AzureError(400, "400", f"'schedule.recurrencePeriod' has '{text}', which is no time.") from error


def _computed_export(export: Resource, view: View) -> Json:
    return {"nextRunTimeEstimate": value_at(export.properties, "schedule.recurrencePeriod.from")}


TYPES = (
    ResourceType(
        name="Microsoft.CostManagement/exports",
        versions=versions("2023-08-01 2023-11-01 2024-08-01 2024-10-01-preview 2025-03-01"),
        scopes=frozenset({"group", "subscription"}),
        listing="scope",
        location="global",
        taggable=False,
        provisioned=False,
        patchable=False,
        keys=frozenset({"eTag"}),
        required=("definition", "deliveryInfo"),
        defaults={"format": "Csv"},
        name_rule=(r"[A-Za-z0-9-]{3,24}", "3-24 letters, digits and dashes"),
        validate=_validate_export,
        computed=_computed_export,
        shown=_shown,
    ),
    ResourceType(
        name="Microsoft.Consumption/budgets",
        versions=versions("2019-10-01 2021-10-01 2023-05-01 2023-11-01 2024-08-01"),
        scopes=frozenset({"group", "subscription"}),
        listing="scope",
        location="none",
        taggable=False,
        provisioned=False,
        patchable=False,
        keys=frozenset({"eTag"}),
        required=("amount", "category", "timeGrain", "timePeriod"),
        name_rule=(r"[\w-]{1,63}", "1-63 letters, digits, _ and -"),
        validate=_validate,
        computed=_computed,
        shown=_shown,
    ),
)
