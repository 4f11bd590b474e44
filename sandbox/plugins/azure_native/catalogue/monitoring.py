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

_WEB_TEST_NAMES = {
    name: name[0].upper() + name[1:]
    for name in (
        "configuration", "description", "enabled", "frequency", "locations", "request", "retryEnabled",
        "syntheticMonitorId", "timeout", "validationRules",
    )
} | {"webTestKind": "Kind"}  # fmt: skip


def _capital(*names: str) -> NestedClass:
    """A class whose names begin with a capital on the wire."""
    return NestedClass(rename={name: name[0].upper() + name[1:] for name in names})


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
    row(
        "operationalinsights:QueryPack",
        "Microsoft.OperationalInsights/queryPacks/{queryPackName}",
        immutable=("location",),
        container=True,
    ),
    row(
        "operationalinsights:Query",
        "Microsoft.OperationalInsights/queryPacks/{queryPackName}/queries/{id}",
        inner=("tags",),
        laid_out=True,
    ),
    row(
        "applicationinsights:WebTest",
        "Microsoft.Insights/webtests/{webTestName}",
        rename=_WEB_TEST_NAMES,
        immutable=("location",),
    ),
    row("applicationinsights:Workbook", "Microsoft.Insights/workbooks/{resourceName}", immutable=("location",)),
    row(
        "monitor:AzureMonitorWorkspace",
        "Microsoft.Monitor/accounts/{azureMonitorWorkspaceName}",
        immutable=("location",),
    ),
    row(
        "dashboard:Grafana",
        "Microsoft.Dashboard/grafana/{workspaceName}",
        immutable=("location", "properties.zoneRedundancy"),
    ),
    row("monitor:AutoscaleSetting", "Microsoft.Insights/autoscaleSettings/{autoscaleSettingName}", inner=("name",)),
)  # fmt: skip
NESTED = {
    ("applicationinsights", "WebTestGeolocation"): NestedClass(rename={"location": "Id"}),
    ("applicationinsights", "WebTestPropertiesRequest"): _capital(
        "requestUrl", "headers", "httpVerb", "requestBody", "parseDependentRequests", "followRedirects"
    ),
    ("applicationinsights", "WebTestPropertiesConfiguration"): _capital("webTest"),
    ("applicationinsights", "WebTestPropertiesValidationRules"): NestedClass(
        rename={
            "contentValidation": "ContentValidation",
            "expectedHttpStatusCode": "ExpectedHttpStatusCode",
            "ignoreHttpStatusCode": "IgnoreHttpStatusCode",
            "sSLCheck": "SSLCheck",
            "sSLCertRemainingLifetimeCheck": "SSLCertRemainingLifetimeCheck",
        }
    ),
    **{
        ("monitor", f"{name}Criteria"): NestedClass(rename={"odataType": "odata.type"})
        for name in (
            "MetricAlertMultipleResourceMultipleMetric",
            "MetricAlertSingleResourceMultipleMetric",
            "WebtestLocationAvailability",
        )
    },
}
ACTIONS = {"operationalinsights:getSharedKeys": ("operationalinsights:Workspace", "sharedKeys")}
