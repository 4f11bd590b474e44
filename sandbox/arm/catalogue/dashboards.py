"""What people look at: query packs, workbooks, availability tests, Azure Monitor workspaces, Managed Grafana."""

from __future__ import annotations

import json
import uuid

from sandbox.arm.catalogue.common import made_once, new_guid, now, one_of, versions
from sandbox.arm.checks import check_references, value_at
from sandbox.arm.model import Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

PACK = "Microsoft.OperationalInsights/queryPacks"
_PACK_VERSIONS = versions("2019-09-01 2019-09-01-preview 2023-09-01 2025-02-01 2025-07-01")
_HIDDEN_LINK = "hidden-link:"


# Log Analytics


def _before_pack(change: Change) -> None:
    made_once(change, queryPackId=new_guid, timeCreated=now)
    change.resource.properties["timeModified"] = now()


def _validate_query(change: Change) -> None:
    _needs_guid(change)
    body = str(change.resource.properties["body"])
    if not body.strip() or len(body) > 65_536:
        raise AzureError(400, "InvalidParameter", "'properties.body' must have 1 to 65,536 characters.")


def _before_query(change: Change) -> None:
    made_once(change, timeCreated=now, author=lambda: change.caller.object_id)
    change.resource.properties |= {"id": change.resource.name, "timeModified": now()}


def _needs_guid(change: Change) -> None:
    try:
        uuid.UUID(change.resource.name)
    except ValueError:
        raise AzureError(400, "InvalidResourceName", f"'{change.resource.name}' must be a GUID.") from None


# Application Insights


def _validate_workbook(change: Change) -> None:
    _needs_guid(change)
    try:
        document = json.loads(change.resource.properties["serializedData"])
    except ValueError as error:
        raise AzureError(400, "BadRequest", f"'properties.serializedData' is no JSON: {error}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise AzureError(400, "BadRequest", "'properties.serializedData' must be a workbook: an object with 'items'.")
    source = change.resource.properties.get("sourceId")
    if source and str(source).startswith("/"):
        check_references(change, ("sourceId",))


def _before_workbook(change: Change) -> None:
    made_once(change, userId=lambda: change.caller.object_id)
    change.resource.properties |= {"timeModified": now(), "revision": new_guid().replace("-", "")}


def _validate_test(change: Change) -> None:
    properties = change.resource.properties
    links = [tag for tag in change.resource.tags or {} if tag.startswith(_HIDDEN_LINK)]
    if len(links) != 1:
        raise AzureError(
            400, "BadRequest", f"An availability test needs one tag '{_HIDDEN_LINK}<id of the component>': 'Resource'."
        )
    if change.arm.get(links[0].removeprefix(_HIDDEN_LINK)) is None:
        raise AzureError(400, "BadRequest", f"The component of the tag '{links[0]}' does not exist.")
    one_of(change, "kind", change.resource.kind, ("ping", "multistep", "standard"))
    one_of(change, "properties.Kind", properties.get("Kind"), (change.resource.kind,))
    one_of(change, "properties.Frequency", properties.get("Frequency"), (300, 600, 900))
    one_of(change, "properties.Timeout", properties.get("Timeout"), (30, 60, 90, 120))
    if change.resource.kind == "standard":
        address = str(value_at(properties, "Request.RequestUrl") or "")
        if not address.startswith(("https://", "http://")):
            raise AzureError(400, "BadRequest", f"'properties.Request.RequestUrl' is '{address}', no address.")


# Azure Monitor workspaces


def _computed_account(account: Resource, view: View) -> Json:
    host = f"{account.name}-{account.properties['accountId'][:4]}.{account.location}.prometheus.monitor.azure.com"
    return {
        "metrics": {
            "internalId": f"mac_{account.properties['accountId']}",
            "prometheusQueryEndpoint": f"https://{host}",
        }
    }


def _before_account(change: Change) -> None:
    made_once(change, accountId=new_guid)


# Managed Grafana

_SWITCHES = ("apiKey", "deterministicOutboundIP", "publicNetworkAccess", "zoneRedundancy")


def _validate_grafana(change: Change) -> None:
    one_of(change, "sku.name", (change.resource.sku or {}).get("name"), ("Standard", "Essential"))
    for name in _SWITCHES:
        if change.resource.properties.get(name) is not None:
            one_of(change, f"properties.{name}", change.resource.properties[name], ("Enabled", "Disabled"))
    integrations = value_at(change.resource.properties, "grafanaIntegrations.azureMonitorWorkspaceIntegrations") or []
    for each in integrations:
        target = str(each.get("azureMonitorWorkspaceResourceId", ""))
        if change.arm.get(target) is None:
            raise AzureError(400, "InvalidResourceReference", f"The monitor workspace '{target}' does not exist.")


def _computed_grafana(grafana: Resource, view: View) -> Json:
    return {"endpoint": f"https://{grafana.name}.{grafana.location}.grafana.azure.com", "grafanaVersion": "11.2.2"}


TYPES = (
    ResourceType(
        name=PACK,
        versions=_PACK_VERSIONS,
        name_rule=(r"[A-Za-z0-9][\w-]{0,254}", "1-255 letters, digits, - and _"),
        before_put=_before_pack,
    ),
    ResourceType(
        name=f"{PACK}/queries",
        versions=_PACK_VERSIONS,
        location="none",
        taggable=False,
        provisioned=False,
        required=("displayName", "body"),
        validate=_validate_query,
        before_put=_before_query,
    ),
    ResourceType(
        name="Microsoft.Insights/webtests",
        versions=versions("2015-05-01 2018-05-01-preview 2020-10-05-preview 2022-06-15"),
        required=("SyntheticMonitorId", "Locations"),
        defaults={"Frequency": 300, "Timeout": 30, "Kind": "ping"},
        validate=_validate_test,
    ),
    ResourceType(
        name="Microsoft.Insights/workbooks",
        versions=versions("2018-06-17-preview 2020-10-20 2021-03-08 2021-08-01 2022-04-01 2023-06-01"),
        required=("displayName", "serializedData", "category"),
        provisioned=False,
        validate=_validate_workbook,
        before_put=_before_workbook,
    ),
    ResourceType(
        name="Microsoft.Monitor/accounts",
        versions=versions("2021-06-03-preview 2023-04-03 2023-10-01-preview 2024-10-03-preview 2025-05-03-preview"),
        name_rule=(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]", "4-63 letters, digits and dashes"),
        defaults={"publicNetworkAccess": "Enabled"},
        before_put=_before_account,
        computed=_computed_account,
    ),
    ResourceType(
        name="Microsoft.Dashboard/grafana",
        versions=versions(
            "2022-08-01 2022-10-01-preview 2023-09-01 2023-10-01-preview 2024-10-01 2024-11-01-preview 2025-08-01"
        ),
        long=True,
        name_rule=(r"[A-Za-z][A-Za-z0-9-]{0,21}[A-Za-z0-9]", "2-23 letters, digits and dashes"),
        global_name="NameNotAvailable",
        immutable=("properties.zoneRedundancy",),
        defaults={"apiKey": "Disabled", "publicNetworkAccess": "Enabled", "zoneRedundancy": "Disabled"},
        validate=_validate_grafana,
        computed=_computed_grafana,
    ),
)
