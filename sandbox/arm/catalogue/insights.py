"""Microsoft.OperationalInsights and Microsoft.Insights: logs, traces, alerts, diagnostic settings."""

from __future__ import annotations

from sandbox.arm.catalogue.common import duration_seconds, made_once, new_guid, now, one_of, private_keys, versions
from sandbox.arm.catalogue.log_categories import CATEGORIES
from sandbox.arm.checks import check_references, value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Action, Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

LOGS = "Microsoft.OperationalInsights/workspaces"
_LOG_SKUS = ("PerGB2018", "CapacityReservation", "Free", "Standalone", "PerNode", "Standard", "Premium", "LACluster")
_MINUTE, _DAY = 60, 86_400
_METRIC_WINDOWS = tuple(_MINUTE * each for each in (1, 5, 15, 30, 60, 360, 720, 1440))


# Log Analytics


def _validate_logs(change: Change) -> None:
    sku = value_at(change.resource.properties, "sku.name") or "PerGB2018"
    one_of(change, "properties.sku.name", sku, _LOG_SKUS)
    days = change.resource.properties.get("retentionInDays", 30)
    if not isinstance(days, int) or not (30 <= days <= 730 or (days == 7 and sku == "Free")):
        raise AzureError(400, "InvalidParameter", f"'properties.retentionInDays' is {days}; allowed: 30 to 730.")


def _before_logs(change: Change) -> None:
    private_keys(change, ("primarySharedKey", "secondarySharedKey"), 64)
    made_once(change, customerId=new_guid, createdDate=now)
    change.resource.properties["modifiedDate"] = now()


async def _shared_keys(action: Action) -> Json:
    return dict(action.resource.private["keys"])


# Application Insights


def _before_component(change: Change) -> None:
    made_once(change, AppId=new_guid, InstrumentationKey=new_guid, CreationDate=now)


def _computed_component(component: Resource, view: View) -> Json:
    key, region = component.properties["InstrumentationKey"], component.location
    return {
        "ApplicationId": component.name,
        "Name": component.name,
        "TenantId": view.sandbox.settings.tenant_id,
        "ConnectionString": (
            f"InstrumentationKey={key};IngestionEndpoint=https://{region}-1.in.applicationinsights.azure.com/;"
            f"LiveEndpoint=https://{region}.livediagnostics.monitor.azure.com/;"
            f"ApplicationId={component.properties['AppId']}"
        ),
    }


def _validate_component(change: Change) -> None:
    one_of(change, "properties.Application_Type", change.resource.properties.get("Application_Type"), ("web", "other"))
    check_references(change, ("WorkspaceResourceId",))


# Alerts


def _check_times(change: Change) -> None:
    """Azure's limits of how often a rule looks, and how far back."""
    for name in ("evaluationFrequency", "windowSize"):
        text = change.resource.properties.get(name)
        seconds = duration_seconds(str(text)) if text is not None else None
        if text is not None and (seconds is None or not _MINUTE <= seconds <= 2 * _DAY):
            raise AzureError(
                400, "BadRequest", f"'properties.{name}' is '{text}'; allowed: an ISO 8601 duration from PT1M to P2D."
            )
    severity = change.resource.properties.get("severity")
    if severity is not None and severity not in (0, 1, 2, 3, 4):
        raise AzureError(400, "BadRequest", f"'properties.severity' is {severity}; allowed: 0 to 4.")


def _validate_metric_alert(change: Change) -> None:
    _check_times(change)
    for action in change.resource.properties.get("actions") or []:
        _must_exist(change, action.get("actionGroupId"))
    for scope in change.resource.properties["scopes"]:
        _must_exist(change, scope)
    criteria = change.resource.properties["criteria"]
    for name in ("webTestId", "componentId"):
        if criteria.get(name) is not None:
            _must_exist(change, criteria[name])
    if duration_seconds(str(change.resource.properties["windowSize"])) not in _METRIC_WINDOWS:
        raise AzureError(
            400,
            "BadRequest",
            "'properties.windowSize' of a metric alert: allowed are PT1M, PT5M, PT15M, PT30M, PT1H, PT6H, PT12H, P1D.",
        )


def _validate_activity_alert(change: Change) -> None:
    """Leaf conditions name a field; `category` must be one of them."""
    leaves = value_at(change.resource.properties, "condition.allOf") or []
    if not any(str(each.get("field", "")).lower() == "category" for each in leaves):
        raise AzureError(
            400, "BadRequest", "'properties.condition.allOf' must have a condition on the field 'category'."
        )
    for group in value_at(change.resource.properties, "actions.actionGroups") or []:
        _must_exist(change, group.get("actionGroupId"))
    for scope in change.resource.properties["scopes"]:
        _must_exist(change, scope)


def _validate_query_rule(change: Change) -> None:
    _check_times(change)
    for group in value_at(change.resource.properties, "actions.actionGroups") or []:
        _must_exist(change, group)
    often, window = (
        duration_seconds(str(change.resource.properties.get(name, "")))
        for name in ("evaluationFrequency", "windowSize")
    )
    if often is not None and window is not None and often > window:
        raise AzureError(
            400, "BadRequest", "'properties.evaluationFrequency' must not be longer than 'properties.windowSize'."
        )
    for scope in change.resource.properties["scopes"]:
        _must_exist(change, scope)


def _must_exist(change: Change, resource_id: object) -> None:
    target = str(resource_id or "")
    is_subscription = target.lower().strip("/").count("/") == 1 and target.lower().startswith("/subscriptions/")
    if not is_subscription and change.arm.get(target) is None:
        raise AzureError(
            400,
            "ResourceNotFound",
            f"'{change.resource.name}' refers to the resource '{target}', which does not exist.",
        )


def _validate_action_group(change: Change) -> None:
    short = change.resource.properties["groupShortName"]
    if not 1 <= len(short) <= 12:
        raise AzureError(
            400, "InvalidGroupShortName", f"'properties.groupShortName' is '{short}'; allowed: 1 to 12 characters."
        )


def _validate_diagnostics(change: Change) -> None:
    targets = ("workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId")
    if not any(change.resource.properties.get(name) for name in targets):
        raise AzureError(400, "BadRequest", f"At least one data sink needs to be specified: {', '.join(targets)}.")
    check_references(change, ("workspaceId", "storageAccountId"))
    allowed = CATEGORIES.get(parse(parse(change.resource.id).scope).type.lower())
    for log in change.resource.properties.get("logs") or []:
        if allowed is not None and log.get("category") is not None and log["category"] not in allowed:
            raise AzureError(
                400,
                "BadRequest",
                f"Category '{log['category']}' is not supported; supported: {', '.join(sorted(allowed)) or 'none'}.",
            )


# Autoscale


def _validate_autoscale(change: Change) -> None:
    """The target must be there, and each profile must make sense. The sandbox keeps settings; it does not act on them."""
    properties = change.resource.properties
    _must_exist(change, properties.get("targetResourceUri"))
    for other in change.arm.of_type(change.resource.type):
        same = str(other.properties.get("targetResourceUri")).lower() == str(properties["targetResourceUri"]).lower()
        if same and other.key != change.resource.key:
            raise AzureError(409, "Conflict", f"The target already has the autoscale setting '{other.name}'.")
    for profile in properties["profiles"]:
        _validate_profile(change, profile)


def _validate_profile(change: Change, profile: Json) -> None:
    given = profile.get("capacity") or {}
    try:
        low, start, high = (int(given[name]) for name in ("minimum", "default", "maximum"))
    except (KeyError, ValueError):
        raise AzureError(400, "BadRequest", "'capacity' needs minimum, default and maximum, each a number.") from None
    if not 0 <= low <= start <= high:
        raise AzureError(
            400, "BadRequest", f"'capacity' is {low}, {start}, {high}; allowed: minimum <= default <= maximum."
        )
    for rule in profile.get("rules") or []:
        trigger, action = rule.get("metricTrigger") or {}, rule.get("scaleAction") or {}
        _must_exist(change, trigger.get("metricResourceUri"))
        window = duration_seconds(str(trigger.get("timeWindow")))
        if window is None or not 5 * _MINUTE <= window <= _DAY // 2:
            raise AzureError(
                400, "BadRequest", f"'timeWindow' is '{trigger.get('timeWindow')}'; allowed: PT5M to PT12H."
            )
        one_of(change, "scaleAction.direction", action.get("direction"), ("None", "Increase", "Decrease"))


TYPES = (
    ResourceType(
        name=LOGS,
        versions=versions(
            "2020-03-01-preview 2020-08-01 2020-10-01 2021-06-01 2021-12-01-preview 2022-10-01 2023-09-01 2025-02-01 2025-07-01"
        ),
        long=True,
        name_rule=(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]", "4-63 letters, digits and dashes"),
        defaults={
            "sku": {"name": "PerGB2018"},
            "retentionInDays": 30,
            "publicNetworkAccessForIngestion": "Enabled",
            "publicNetworkAccessForQuery": "Enabled",
        },
        validate=_validate_logs,
        before_put=_before_logs,
        actions={"sharedKeys": _shared_keys, "listKeys": _shared_keys},
    ),
    ResourceType(
        name="Microsoft.Insights/components",
        versions=versions("2015-05-01 2018-05-01-preview 2020-02-02 2020-02-02-preview"),
        required=("Application_Type",),
        defaults={"RetentionInDays": 90, "IngestionMode": "LogAnalytics", "Flow_Type": "Bluefield"},
        validate=_validate_component,
        before_put=_before_component,
        computed=_computed_component,
    ),
    ResourceType(
        name="Microsoft.Insights/actionGroups",
        versions=versions(
            "2018-03-01 2019-06-01 2021-09-01 2022-06-01 2023-01-01 2023-09-01-preview 2024-10-01-preview"
        ),
        location="global",
        required=("groupShortName",),
        defaults={"enabled": True},
        provisioned=False,
        validate=_validate_action_group,
    ),
    ResourceType(
        name="Microsoft.Insights/metricAlerts",
        versions=versions("2018-03-01 2024-03-01-preview 2026-01-01"),
        location="global",
        required=("scopes", "criteria", "evaluationFrequency", "windowSize"),
        defaults={"autoMitigate": True},
        provisioned=False,
        validate=_validate_metric_alert,
    ),
    ResourceType(
        name="Microsoft.Insights/scheduledQueryRules",
        versions=versions(
            "2021-08-01 2022-06-15 2022-08-01-preview 2023-03-15-preview 2023-12-01 2025-01-01-preview 2026-03-01"
        ),
        required=("scopes", "criteria"),
        provisioned=False,
        validate=_validate_query_rule,
    ),
    ResourceType(
        name="Microsoft.Insights/activityLogAlerts",
        versions=versions("2020-10-01 2026-01-01"),
        location="global",
        required=("scopes", "condition", "actions"),
        provisioned=False,
        validate=_validate_activity_alert,
    ),
    ResourceType(
        name="Microsoft.Insights/autoscaleSettings",
        versions=versions("2015-04-01 2021-05-01-preview 2022-10-01"),
        required=("profiles", "targetResourceUri"),
        provisioned=False,
        validate=_validate_autoscale,
    ),
    ResourceType(
        name="Microsoft.Insights/diagnosticSettings",
        versions=versions("2017-05-01-preview 2021-05-01-preview"),
        scopes=frozenset({"extension"}),
        listing="scope",
        location="none",
        taggable=False,
        provisioned=False,
        validate=_validate_diagnostics,
    ),
)
