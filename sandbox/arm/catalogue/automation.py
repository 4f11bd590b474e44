"""Microsoft.Automation: accounts, runbooks, schedules and the links between them. Nothing runs by itself here."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

from sandbox.arm.catalogue.common import made_once, now, one_of, versions
from sandbox.arm.checks import value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

ACCOUNT = "Microsoft.Automation/automationAccounts"
VERSIONS = versions("2022-08-08 2023-05-15-preview 2023-11-01 2024-10-23")
_RUNBOOKS = (
    "Script", "Graph", "PowerShellWorkflow", "PowerShell", "GraphPowerShellWorkflow", "GraphPowerShell", "Python2",
    "Python3", "Python", "PowerShell72",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_LEAD = timedelta(minutes=5)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def _refuse(text: str) -> AzureError:
    return AzureError(400, "BadRequest", text)


def _validate_account(change: Change) -> None:
    one_of(change, "properties.sku.name", value_at(change.resource.properties, "sku.name"), ("Basic", "Free"))


def _before_account(change: Change) -> None:
    made_once(change, creationTime=now)
    change.resource.properties |= {"lastModifiedTime": now(), "state": "Ok"}


def _validate_runbook(change: Change) -> None:
    properties = change.resource.properties
    one_of(change, "properties.runbookType", properties["runbookType"], _RUNBOOKS)
    link = properties.get("publishContentLink")
    if (link is None) == (properties.get("draft") is None):
        raise _refuse(f"Runbook '{change.resource.name}' needs either 'publishContentLink' or 'draft'.")
    if link is None:
        return
    if not str(link.get("uri", "")).startswith("https://"):
        raise _refuse(f"'properties.publishContentLink.uri' is '{link.get('uri')}'; an https:// address is needed.")
    digest = link.get("contentHash")
    if digest is not None and (
        str(digest.get("algorithm", "")).lower() != "sha256" or not _SHA256.fullmatch(str(digest.get("value", "")))
    ):
        raise _refuse("'properties.publishContentLink.contentHash' must be a SHA256 in hexadecimal digits.")


def _before_runbook(change: Change) -> None:
    """The text itself is not fetched: the sandbox has no internet."""
    made_once(change, creationTime=now)
    published = change.resource.properties.get("publishContentLink") is not None
    change.resource.properties |= {
        "state": "Published" if published else "New",
        "lastModifiedTime": now(),
        "lastModifiedBy": change.caller.client_id,
    }


def _computed_runbook(runbook: Resource, view: View) -> Json:
    return {"jobCount": 0, "parameters": {}, "outputTypes": [], "logActivityTrace": 0}


def _validate_schedule(change: Change) -> None:
    properties = change.resource.properties
    one_of(
        change, "properties.frequency", properties["frequency"], ("OneTime", "Day", "Hour", "Week", "Month", "Minute")
    )
    zone = properties.get("timeZone", "UTC")
    if zone not in available_timezones():
        raise _refuse(f"'properties.timeZone' is '{zone}'; an IANA name is needed.")
    for day in value_at(properties, "advancedSchedule.weekDays") or []:
        one_of(change, "properties.advancedSchedule.weekDays", day, _DAYS)
    start = _moment(properties["startTime"])
    unchanged = change.before is not None and change.before.properties.get("startTime") == properties["startTime"]
    if not unchanged and start < datetime.now(UTC) + _LEAD:
        raise _refuse(
            f"The start time of the schedule must be at least 5 minutes after now; it is {start.isoformat()}."
        )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise _refuse(
            f"'properties.startTime' is '{text}'; a time such as 2026-01-01T18:00:00+00:00 is needed."
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _computed_schedule(schedule: Resource, view: View) -> Json:
    return {"isEnabled": True, "startTimeOffsetMinutes": 0, "expiryTimeOffsetMinutes": 0}


def _validate_link(change: Change) -> None:
    """The account must have both, and the runbook must be published."""
    account = parse(change.resource.id).parent
    found = {kind: _linked(change, account, kind) for kind in ("runbook", "schedule")}
    if found["runbook"].properties.get("state") != "Published":
        raise _refuse(f"The runbook '{found['runbook'].name}' must be published before it is linked to a schedule.")
    try:
        uuid.UUID(change.resource.name)
    except ValueError as error:
        raise _refuse(f"The job schedule id '{change.resource.name}' is not a GUID.") from error
    if change.before is not None:
        raise AzureError(409, "Conflict", f"The job schedule '{change.resource.name}' exists; it can't be changed.")


def _linked(change: Change, account: str, kind: str) -> Resource:
    name = value_at(change.resource.properties, f"{kind}.name")
    found = change.arm.get(f"{account}/{kind}s/{name}") if name else None
    if found is None:
        raise AzureError(404, "NotFound", f"The {kind} '{name}' does not exist in '{account}'.")
    return found


def _computed_link(link: Resource, view: View) -> Json:
    return {"jobScheduleId": link.name}


def _part(name: str, **differences: object) -> ResourceType:
    fixed: dict[str, object] = {
        "versions": VERSIONS,
        "location": "none",
        "taggable": False,
        "provisioned": False,
    }
    return ResourceType(name=f"{ACCOUNT}/{name}", **(fixed | differences))  # type: ignore[arg-type]


TYPES = (
    ResourceType(
        name=ACCOUNT,
        versions=VERSIONS,
        provisioned=False,
        name_rule=(r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]", "6-50 letters, digits and dashes, starting with a letter"),
        defaults={"publicNetworkAccess": True, "disableLocalAuth": False, "encryption": {"keySource": "Microsoft.Automation"}},
        required=("sku",),
        validate=_validate_account,
        before_put=_before_account,
        computed=lambda account, view: {"privateEndpointConnections": []},
    ),
    _part(
        "runbooks",
        location="required",
        taggable=True,
        name_rule=(r"[A-Za-z][\w-]{0,62}", "1-63 letters, digits, _ and -, starting with a letter"),
        required=("runbookType",),
        immutable=("properties.runbookType",),
        defaults={"logProgress": False, "logVerbose": False},
        validate=_validate_runbook,
        before_put=_before_runbook,
        computed=_computed_runbook,
    ),
    _part(
        "schedules",
        name_rule=(r"[^<>*%&:\\?.+/]{1,128}", "1-128 characters, none of < > * % & : \\ ? . + /"),
        required=("startTime", "frequency"),
        validate=_validate_schedule,
        before_put=lambda change: made_once(change, creationTime=now),
        computed=_computed_schedule,
    ),
    _part(
        "jobSchedules",
        required=("runbook", "schedule"),
        patchable=False,
        validate=_validate_link,
        computed=_computed_link,
    ),
)  # fmt: skip
