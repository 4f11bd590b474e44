"""Microsoft.Consumption: budgets."""

from __future__ import annotations

from datetime import datetime

from sandbox.arm.catalogue.common import one_of, versions
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


TYPES = (
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
