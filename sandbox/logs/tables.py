"""The tables of a Log Analytics workspace that the sandbox fills, with Azure's columns.

Every table also has TenantId, Type, SourceSystem, _ResourceId and _SubscriptionId. Missing numbers are stored as 0
and missing texts as empty, so that `!=` counts them as Kusto does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: Kusto's types to those of the database.
STORED = {
    "string": "String",
    "int": "Int32",
    "long": "Int64",
    "real": "Float64",
    "bool": "Bool",
    "datetime": "DateTime64(7, 'UTC')",
}
DEFAULTS: dict[str, Any] = {"string": "", "int": 0, "long": 0, "real": 0.0, "bool": False}

_COMMON = "TimeGenerated:datetime _ResourceId:string"
_APP = (
    "OperationName:string OperationId:string ParentId:string AppRoleName:string AppRoleInstance:string"
    " Properties:string ItemCount:int"
)


def _columns(text: str) -> dict[str, str]:
    return {name: kind or "string" for name, _, kind in (word.partition(":") for word in f"{_COMMON} {text}".split())}


TABLES: dict[str, dict[str, str]] = {
    "AmlOnlineEndpointTrafficLog": _columns(
        "OperationName AuthType AzureMLWorkspaceId AzureMLWorkspaceName DeploymentName EndpointName IdentityData Location"
        " Method ModelStatusCode:int ModelStatusReason Path Protocol RequestDurationMs:int RequestPayloadSize:int"
        " RequestThrottlingDelayMs:int ResponseCode:int ResponseCodeReason ResponseDurationMs:int ResponsePayloadSize:int"
        " ResponseThrottlingDelayMs:int TotalDurationMs:int TraceId UserAgent XMSClientRequestId XRequestId"
    ),
    "AmlOnlineEndpointConsoleLog": _columns(
        "OperationName ContainerImageName ContainerName DeploymentName InstanceId Message"
    ),
    "AmlOnlineEndpointEventLog": _columns("OperationName DeploymentName InstanceId Message Name"),
    "AppRequests": _columns(f"{_APP} Id Name Url ResultCode Success:bool DurationMs:real"),
    "AppExceptions": _columns(f"{_APP} ProblemId ExceptionType OuterMessage InnermostMessage SeverityLevel:int"),
    "AppTraces": _columns(f"{_APP} Message SeverityLevel:int"),
    "AzureActivity": _columns(
        "OperationNameValue ActivityStatusValue ActivitySubstatusValue Caller CategoryValue CorrelationId Level"
        " ResourceGroup ResourceProviderValue Properties"
    ),
    "AzureMetrics": _columns(
        "MetricName ResourceId ResourceGroup ResourceProvider Resource UnitName TimeGrain"
        " Average:real Count:real Maximum:real Minimum:real Total:real"
    ),
}


def definition(name: str) -> str:
    """SQL that makes the table `logs.<name>`."""
    columns = ", ".join(f"`{column}` {STORED[kind]}" for column, kind in TABLES[name].items())
    return f"CREATE TABLE IF NOT EXISTS logs.`{name}` ({columns}) ENGINE = MergeTree ORDER BY TimeGenerated"


def view(name: str, customer_id: str, condition: str) -> str:
    """SQL that makes `shown.<name>`: what a query sees. Numbers and times are nullable, so that the
    maximum of nothing is null, not 0."""
    nullable = [
        f"toNullable(`{column}`) AS `{column}`" if kind != "string" else f"`{column}`"
        for column, kind in TABLES[name].items()
    ]
    constant = [
        f"'{customer_id}' AS TenantId",
        f"'{name}' AS Type",
        "'Azure' AS SourceSystem",
        "splitByChar('/', `_ResourceId`)[3] AS _SubscriptionId",
    ]
    columns = ", ".join([*nullable, *constant])
    # Names come from TABLES, the condition from the query's own times; both are made here.
    return " ".join(
        (f"CREATE VIEW shown.`{name}` AS", f"SELECT {columns}", f"FROM logs.`{name}`", f"WHERE {condition}")
    )


def check(name: str, columns: Iterable[str]) -> None:
    """ValueError names a table that isn't known, or columns that it lacks."""
    if name not in TABLES:
        raise ValueError(f"there is no table {name}; known: {', '.join(TABLES)}")
    if unknown := sorted(set(columns) - set(TABLES[name])):
        raise ValueError(f"{name} has no column {', '.join(unknown)}")


def complete(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with every column."""
    given = {column: value for column, value in row.items() if value is not None}
    return {column: given.get(column, DEFAULTS.get(kind)) for column, kind in TABLES[name].items()}
