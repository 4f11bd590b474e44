"""Logs, traces, alerts, diagnostic settings."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import NestedClass, row

_INSIGHTS_NAMES = {
    name[0].lower() + name[1:]: name
    for name in (
        "AppId", "ApplicationId", "ConnectionString", "CreationDate", "DisableIpMasking", "DisableLocalAuth",
        "ForceCustomerStorageForProfiler", "HockeyAppId", "HockeyAppToken", "ImmediatePurgeDataOn30Days",
        "IngestionMode", "InstrumentationKey", "PrivateLinkScopedResources", "RetentionInDays",
        "SamplingPercentage", "TenantId", "WorkspaceResourceId",
    )
} | {
    "applicationType": "Application_Type", "flowType": "Flow_Type", "requestSource": "Request_Source",
    "laMigrationDate": "LaMigrationDate",
}  # fmt: skip

ROWS = (
    row(
        "operationalinsights:Workspace",
        "Microsoft.OperationalInsights/workspaces/{workspaceName}",
        inner=("sku",),
        immutable=("location",),
    ),
    row(
        "applicationinsights:Component",
        "Microsoft.Insights/components/{resourceName}",
        rename=_INSIGHTS_NAMES,
        immutable=("location",),
    ),
    row("monitor:ActionGroup", "Microsoft.Insights/actionGroups/{actionGroupName}", immutable=("location",)),
    row("monitor:MetricAlert", "Microsoft.Insights/metricAlerts/{ruleName}", immutable=("location",)),
    row("monitor:ActivityLogAlert", "Microsoft.Insights/activityLogAlerts/{activityLogAlertName}"),
    row(
        "monitor:ScheduledQueryRule",
        "Microsoft.Insights/scheduledQueryRules/{ruleName}",
        immutable=("location", "kind"),
    ),
    row("monitor:DiagnosticSetting", "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}"),
    row("monitor:AutoscaleSetting", "Microsoft.Insights/autoscaleSettings/{autoscaleSettingName}", inner=("name",)),
)  # fmt: skip
NESTED = {
    ("monitor", f"{name}Criteria"): NestedClass(rename={"odataType": "odata.type"})
    for name in (
        "MetricAlertMultipleResourceMultipleMetric",
        "MetricAlertSingleResourceMultipleMetric",
        "WebtestLocationAvailability",
    )
}
ACTIONS = {"operationalinsights:getSharedKeys": ("operationalinsights:Workspace", "sharedKeys")}
