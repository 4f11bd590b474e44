"""Microsoft.Web: plans, Functions apps, their functions and deployments. Running them is `sandbox.functions`' work."""

from __future__ import annotations

from typing import Any

from sandbox.arm.catalogue.common import now, one_of, versions
from sandbox.arm.checks import check_references, value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

PLAN = "Microsoft.Web/serverfarms"
SITE = "Microsoft.Web/sites"
FUNCTION = f"{SITE}/functions"
EXTENSION = f"{SITE}/extensions"
VERSIONS = versions("2022-09-01 2023-01-01 2023-12-01 2024-04-01 2024-11-01 2025-03-01 2025-05-01")
_FLEX = "FlexConsumption"
#: Sku name to tier, of the plans that run functions.
_SKUS = {"FC1": _FLEX, "EP1": "ElasticPremium", "EP2": "ElasticPremium", "EP3": "ElasticPremium", "Y1": "Dynamic"}
#: The platform sets them itself on Flex Consumption, and refuses them from others.
_NOT_ON_FLEX = frozenset(
    {"FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_CONTENTSHARE",
     "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "WEBSITE_VNET_ROUTE_ALL"}
)  # fmt: skip
_FLEX_MEMORY = (512, 2048, 4096)
_DELEGATION = {_FLEX: "Microsoft.App/environments"}
_DOORS = ("scm", "ftp")


def _bad(text: str, code: str = "BadRequest") -> AzureError:
    return AzureError(400, code, text)


def _validate_plan(change: Change) -> None:
    sku = change.resource.sku or {}
    one_of(change, "sku.name", sku.get("name"), tuple(_SKUS))
    if sku.get("tier", _SKUS[sku["name"]]) != _SKUS[sku["name"]]:
        raise _bad(
            f"'sku.tier' of '{change.resource.name}' is '{sku['tier']}'; {sku['name']} is of {_SKUS[sku['name']]}."
        )
    if _SKUS[sku["name"]] == _FLEX and not change.resource.properties.get("reserved"):
        raise _bad("Flex Consumption runs on Linux: 'properties.reserved' must be true.")


def _may_delete_plan(change: Change) -> None:
    users = [
        site.name for site in change.arm.of_type(SITE) if _same(site.properties.get("serverFarmId"), change.resource.id)
    ]
    if users:
        raise AzureError(
            409,
            "Conflict",
            f"Server farm '{change.resource.name}' cannot be deleted because it has web app(s) {', '.join(users)}"
            " assigned to it.",
        )


def _validate_site(change: Change) -> None:
    site, properties = change.resource, change.resource.properties
    check_references(change, ("serverFarmId", "virtualNetworkSubnetId"))
    identity, own = (
        properties.get("keyVaultReferenceIdentity"),
        (site.identity or {}).get("userAssignedIdentities") or {},
    )
    if identity not in (None, "SystemAssigned") and identity.lower() not in {each.lower() for each in own}:
        raise _bad(f"'keyVaultReferenceIdentity' of '{site.name}' is not among its identities: {identity}.")
    plan = change.arm.get(str(properties["serverFarmId"]))
    tier = _SKUS.get(str((plan.sku or {}).get("name"))) if plan else None
    config = properties.get("siteConfig") or {}
    one_of(
        change,
        "properties.siteConfig.ftpsState",
        config.get("ftpsState", "FtpsOnly"),
        ("AllAllowed", "FtpsOnly", "Disabled"),
    )
    one_of(
        change, "properties.siteConfig.minTlsVersion", config.get("minTlsVersion", "1.2"), ("1.0", "1.1", "1.2", "1.3")
    )
    if tier == _FLEX:
        _validate_flex(change)
    _validate_subnet(change, tier)


def _validate_flex(change: Change) -> None:
    site, properties = change.resource, change.resource.properties
    app = properties.get("functionAppConfig") or {}
    for path in (
        "deployment.storage.value",
        "deployment.storage.authentication.type",
        "runtime.name",
        "runtime.version",
    ):
        if not value_at(app, path):
            raise _bad(f"'properties.functionAppConfig.{path}' of '{site.name}' is missing; Flex Consumption needs it.")
    memory = value_at(app, "scaleAndConcurrency.instanceMemoryMB")
    if memory is not None:
        one_of(change, "properties.functionAppConfig.scaleAndConcurrency.instanceMemoryMB", memory, _FLEX_MEMORY)
    given = {str(each.get("name")) for each in (properties.get("siteConfig") or {}).get("appSettings") or []}
    if refused := sorted(given & _NOT_ON_FLEX):
        raise _bad(f"The app setting {refused[0]} is not allowed for Flex Consumption sites.")


def _validate_subnet(change: Change, tier: str | None) -> None:
    subnet = change.arm.get(str(change.resource.properties.get("virtualNetworkSubnetId") or ""))
    wanted = _DELEGATION.get(tier or "", "Microsoft.Web/serverFarms")
    if subnet is None:
        return
    services = {value_at(each, "properties.serviceName") for each in subnet.properties.get("delegations") or []}
    if wanted not in services:
        raise _bad(
            f"The subnet '{subnet.name}' of '{change.resource.name}' is not delegated to {wanted}.",
            "SubnetNotDelegated",
        )


def _computed_site(site: Resource, view: View) -> Json:
    host = f"{site.name}.azurewebsites.net"
    return {
        "state": "Running",
        "defaultHostName": host,
        "hostNames": [host],
        "enabledHostNames": [host, f"{site.name}.scm.azurewebsites.net"],
        "usageState": "Normal",
    }


async def _after_site(change: Change) -> None:
    if (functions := _runner(change)) is not None:
        await functions.changed(change.resource)


async def _before_site_delete(change: Change) -> None:
    if (functions := _runner(change)) is not None:
        await functions.removed(change.resource)


def _validate_function(change: Change) -> None:
    raise _bad("Functions come from the code that is deployed to the site, not from ARM.", "MethodNotAllowed")


def _validate_door(change: Change) -> None:
    one_of(change, "name", change.resource.name, _DOORS)


def _validate_extension(change: Change) -> None:
    one_of(change, "name", change.resource.name.lower(), ("onedeploy",))
    one_of(change, "properties.type", change.resource.properties.get("type", "zip"), ("zip",))


def _before_extension(change: Change) -> None:
    change.resource.properties["start_time"] = now()


async def _after_extension(change: Change) -> None:
    """The package is fetched and started; AzureError is why the deployment failed."""
    functions, site = _runner(change), change.arm.get(parse(change.resource.id).parent)
    if functions is not None and site is not None:
        await functions.deploy(site, str(change.resource.properties["packageUri"]))


def _runner(change: Change) -> Any:
    """The Functions runtime; None where ARM runs alone."""
    return change.arm.sandbox.states.get("functions")


def _same(one: object, other: str) -> bool:
    return str(one or "").lower() == other.lower()


TYPES = (
    ResourceType(
        name=PLAN,
        versions=VERSIONS,
        long=True,
        name_rule=(r"[a-zA-Z0-9-]{1,60}", "1-60 letters, digits and dashes"),
        immutable=("properties.reserved",),
        validate=_validate_plan,
        may_delete=_may_delete_plan,
    ),
    ResourceType(
        name=SITE,
        versions=VERSIONS,
        long=True,
        name_rule=(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,58}[a-zA-Z0-9])?", "1-60 letters, digits and inner dashes"),
        global_name="Conflict",
        required=("serverFarmId",),
        defaults={"httpsOnly": False, "publicNetworkAccess": "Enabled", "enabled": True},
        secrets=("properties.siteConfig.appSettings",),
        validate=_validate_site,
        computed=_computed_site,
        after_put=_after_site,
        before_delete=_before_site_delete,
    ),
    ResourceType(
        name=FUNCTION, versions=VERSIONS, location="none", taggable=False, provisioned=False, validate=_validate_function
    ),
    ResourceType(
        name=f"{SITE}/basicPublishingCredentialsPolicies",
        versions=VERSIONS,
        location="none",
        taggable=False,
        provisioned=False,
        required=("allow",),
        validate=_validate_door,
    ),
    ResourceType(
        name=EXTENSION,
        versions=VERSIONS,
        location="none",
        taggable=False,
        long=True,
        required=("packageUri",),
        secrets=("properties.packageUri",),
        validate=_validate_extension,
        before_put=_before_extension,
        after_put=_after_extension,
    ),
)  # fmt: skip
