"""Microsoft.Cache/redisEnterprise (Azure Managed Redis) and Microsoft.LoadTestService: kept and checked; no Redis runs."""

from __future__ import annotations

from sandbox.arm.catalogue.common import made_once, new_guid, one_of, private_keys, versions
from sandbox.arm.catalogue.private_link import connections_to
from sandbox.arm.checks import value_at
from sandbox.arm.model import Action, Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

REDIS = "Microsoft.Cache/redisEnterprise"
VERSIONS = versions(
    "2022-01-01 2022-11-01-preview 2023-07-01 2023-11-01 2024-02-01 2024-10-01 2025-04-01 2025-07-01 2025-08-01-preview"
)
#: Azure Managed Redis; Enterprise and EnterpriseFlash are closed to new clusters.
_FAMILIES = ("Balanced", "MemoryOptimized", "ComputeOptimized", "FlashOptimized")
_ON_OFF = ("Enabled", "Disabled")
_POLICIES = ("OSSCluster", "EnterpriseCluster", "NoCluster")


def _bad(message: str) -> AzureError:
    return AzureError(400, "BadRequest", message)


# Clusters


def _validate_cluster(change: Change) -> None:
    sku, properties = str(value_at(change.resource.sku or {}, "name")), change.resource.properties
    if sku.split("_")[0] not in _FAMILIES:
        raise _bad(f"'sku.name' of '{change.resource.name}' is '{sku}'; allowed: a size of {', '.join(_FAMILIES)}.")
    one_of(change, "properties.publicNetworkAccess", properties.get("publicNetworkAccess"), _ON_OFF)
    one_of(change, "properties.highAvailability", properties.get("highAvailability"), _ON_OFF)
    one_of(change, "properties.minimumTlsVersion", properties.get("minimumTlsVersion"), ("1.2",))
    before = change.before.properties.get("highAvailability") if change.before else None
    if before == "Enabled" and properties["highAvailability"] == "Disabled":
        raise _bad(f"'highAvailability' of '{change.resource.name}' can't be turned off again.")


def _computed_cluster(cluster: Resource, view: View) -> Json:
    zones = "ZR" if cluster.properties["highAvailability"] == "Enabled" else "None"
    return {
        "hostName": f"{cluster.name.lower()}.{cluster.location}.redis.azure.net",
        "resourceState": "Running",
        "redisVersion": "7.4",
        "redundancyMode": zones,
        "privateEndpointConnections": connections_to(cluster, view),
    }


def _cluster_kind(change: Change) -> None:
    change.resource.kind = "v2"


# Databases


def _validate_database(change: Change) -> None:
    properties = change.resource.properties
    if change.resource.name != "default":
        raise _bad(f"The database is named '{change.resource.name}'; allowed: default.")
    one_of(change, "properties.clientProtocol", properties.get("clientProtocol"), ("Encrypted", "Plaintext"))
    one_of(change, "properties.clusteringPolicy", properties.get("clusteringPolicy"), _POLICIES)
    one_of(change, "properties.accessKeysAuthentication", properties.get("accessKeysAuthentication"), _ON_OFF)
    port = properties.get("port")
    if port != 10000:
        raise _bad(f"'properties.port' is {port}; allowed: 10000.")


def _before_database(change: Change) -> None:
    private_keys(change, ("primaryKey", "secondaryKey"))


async def _keys(action: Action) -> Json:
    if action.resource.properties["accessKeysAuthentication"] != "Enabled":
        raise AzureError(400, "BadRequest", "Access keys authentication is disabled for this database.")
    return dict(action.resource.private["keys"])


def _validate_entry(change: Change) -> None:
    one_of(change, "properties.accessPolicyName", change.resource.properties.get("accessPolicyName"), ("default",))
    wanted = value_at(change.resource.properties, "user.objectId")
    if not wanted:
        raise _bad("'properties.user.objectId' is missing.")
    parent = change.resource.id.rsplit("/", 2)[0]
    for other in change.arm.children(parent, change.resource.type):
        if other.key != change.resource.key and value_at(other.properties, "user.objectId") == wanted:
            raise AzureError(409, "Conflict", f"The user has the access policy assignment '{other.name}' already.")


# Load testing


def _before_load_test(change: Change) -> None:
    made_once(change, testId=new_guid)
    change.resource.properties.pop("testId")


def _computed_load_test(test: Resource, view: View) -> Json:
    identity = test.private["made"]["testId"]
    return {"dataPlaneURI": f"{identity}.{test.location}.cnt-prod.loadtesting.azure.com"}


def _validate_load_test(change: Change) -> None:
    if len(change.resource.properties.get("description") or "") > 512:
        raise _bad("'properties.description' is longer than 512 characters.")


TYPES = (
    ResourceType(
        name=REDIS,
        versions=VERSIONS,
        long=True,
        name_rule=(
            r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,59}",
            "1-60 letters, digits and single inner dashes",
        ),
        global_name="NameNotAvailable",
        defaults={"highAvailability": "Enabled", "minimumTlsVersion": "1.2"},
        validate=_validate_cluster,
        before_put=_cluster_kind,
        computed=_computed_cluster,
    ),
    ResourceType(
        name=f"{REDIS}/databases",
        versions=VERSIONS,
        long=True,
        location="none",
        taggable=False,
        immutable=("properties.clusteringPolicy", "properties.port", "properties.modules"),
        defaults={
            "clientProtocol": "Encrypted",
            "clusteringPolicy": "OSSCluster",
            "evictionPolicy": "VolatileLRU",
            "accessKeysAuthentication": "Disabled",
            "port": 10000,
        },
        validate=_validate_database,
        before_put=_before_database,
        computed=lambda database, view: {"resourceState": "Running", "redisVersion": "7.4"},
        actions={"listKeys": _keys},
    ),
    ResourceType(
        name=f"{REDIS}/databases/accessPolicyAssignments",
        versions=VERSIONS,
        long=True,
        location="none",
        taggable=False,
        name_rule=(r"[A-Za-z0-9]{1,60}", "1-60 letters and digits"),
        required=("accessPolicyName",),
        validate=_validate_entry,
    ),
    ResourceType(
        name="Microsoft.LoadTestService/loadTests",
        versions=versions("2022-04-15-preview 2022-12-01 2023-12-01-preview 2024-12-01-preview"),
        long=True,
        name_rule=(r"[A-Za-z0-9][\w-]{0,63}", "1-64 letters, digits, dashes and underscores"),
        validate=_validate_load_test,
        before_put=_before_load_test,
        computed=_computed_load_test,
    ),
)
