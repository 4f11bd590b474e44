"""Microsoft.Storage: accounts and what the control plane shows of their services. The bytes are `sandbox.storage`'s."""

from __future__ import annotations

from typing import Any

from sandbox.arm.catalogue.common import made_once, now, one_of, private_keys, regenerate, versions
from sandbox.arm.catalogue.private_link import connections_to
from sandbox.arm.checks import value_at
from sandbox.arm.model import Action, Change, Json, Resource, ResourceType, View

ACCOUNT = "Microsoft.Storage/storageAccounts"
VERSIONS = versions(
    "2019-06-01 2021-04-01 2021-09-01 2022-05-01 2022-09-01 2023-01-01 2023-04-01 2023-05-01 2024-01-01 2025-01-01"
    " 2025-06-01 2025-08-01 2026-04-01"
)
SKUS = (
    "Standard_LRS", "Standard_GRS", "Standard_RAGRS", "Standard_ZRS", "Standard_GZRS", "Standard_RAGZRS",
    "Premium_LRS", "Premium_ZRS",
)  # fmt: skip
KINDS = ("StorageV2", "Storage", "BlobStorage", "BlockBlobStorage", "FileStorage")
_SERVICES = ("blobServices", "fileServices", "queueServices", "tableServices")


def _validate_account(change: Change) -> None:
    one_of(change, "sku.name", value_at(change.resource.sku or {}, "name"), SKUS)
    one_of(change, "kind", change.resource.kind, KINDS)
    tier = change.resource.properties.get("accessTier")
    if tier is not None:
        one_of(change, "properties.accessTier", tier, ("Hot", "Cool", "Cold", "Premium"))


def _before_account(change: Change) -> None:
    private_keys(change, ("key1", "key2"), 64)
    made_once(change, creationTime=now, keyCreationTime=lambda: {"key1": now(), "key2": now()})
    sku = change.resource.sku or {}
    sku["tier"] = str(sku["name"]).partition("_")[0]


async def _after_account(change: Change) -> None:
    """Every account has its services from the start."""
    for service in _SERVICES:
        identity = f"{change.resource.id}/{service}/default"
        if change.arm.get(identity) is None:
            change.arm.put(change.arm.new(identity, properties={"cors": {"corsRules": []}}), change.caller)


def _computed_account(account: Resource, view: View) -> Json:
    computed: Json = {
        "primaryEndpoints": endpoints(account, view),
        "primaryLocation": account.location,
        "statusOfPrimary": "available",
        "privateEndpointConnections": connections_to(account, view),
        "encryption": account.properties.get("encryption")
        or {
            "keySource": "Microsoft.Storage",
            "services": {name: {"enabled": True, "keyType": "Account"} for name in ("blob", "file")},
        },
    }
    return computed


def endpoints(account: Resource, view: View) -> Json:
    """The service URLs, each with its closing slash; the sandbox serves blobs only, path-style."""
    names = ("blob", "dfs", "file", "queue", "table")
    found = {name: f"https://{account.name}.{name}.core.windows.net/" for name in names}
    found["web"] = f"https://{account.name}.z13.web.core.windows.net/"
    if not view.public:
        found["blob"] = f"{view.sandbox.settings.url('blob')}/{account.name}/"
    return found


async def _list_keys(action: Action) -> Json:
    times = action.resource.properties.get("keyCreationTime", {})
    return {
        "keys": [
            {"keyName": name, "value": value, "permissions": "FULL", "creationTime": times.get(name)}
            for name, value in action.resource.private["keys"].items()
        ]
    }


def _computed_container(container: Resource, view: View) -> Json:
    return {
        "publicAccess": container.properties.get("publicAccess", "None"),
        "leaseState": "Available",
        "leaseStatus": "Unlocked",
        "hasImmutabilityPolicy": False,
        "hasLegalHold": False,
        "deleted": False,
        "defaultEncryptionScope": "$account-encryption-key",
        "denyEncryptionScopeOverride": False,
        "remainingRetentionDays": 0,
        "lastModifiedTime": container.system_data.get("lastModifiedAt"),
    }


async def _after_container(change: Change) -> None:
    """The data plane's container is made with it."""
    if (storage := _data_plane(change)) is not None:
        storage.ensure_container(_account_name(change.resource), change.resource.name)


async def _before_container_delete(change: Change) -> None:
    account, name = _account_name(change.resource), change.resource.name
    storage = _data_plane(change)
    for container in storage.containers(account) if storage is not None else ():
        if container.name == name:
            storage.delete_container(container)


async def _before_account_delete(change: Change) -> None:
    if (storage := _data_plane(change)) is not None:
        storage.drop_account(change.resource.name)


def _data_plane(change: Change) -> Any:
    """The blob service's state; None where ARM runs alone."""
    return change.arm.sandbox.states.get("storage")


def _account_name(child: Resource) -> str:
    return child.id.split("/")[8]


def _child(path: str, **differences: object) -> ResourceType:
    fixed: dict[str, object] = {"location": "none", "taggable": False, "provisioned": False}
    return ResourceType(name=f"{ACCOUNT}/{path}", versions=VERSIONS, **(fixed | differences))  # type: ignore[arg-type]


_CONTAINER_NAME = (r"\$root|\$logs|[a-z0-9](?:-?[a-z0-9]){2,62}", "3-63 lower-case letters, digits and single dashes")

TYPES = (
    ResourceType(
        name=ACCOUNT,
        versions=VERSIONS,
        keys=frozenset({"extendedLocation", "zones", "placement"}),
        long=True,
        name_rule=(r"[a-z0-9]{3,24}", "3-24 lower-case letters and digits"),
        global_name="StorageAccountAlreadyTaken",
        immutable=("properties.isHnsEnabled",),
        defaults={
            "supportsHttpsTrafficOnly": True,
            "minimumTlsVersion": "TLS1_0",
            "allowBlobPublicAccess": False,
            "networkAcls": {
                "bypass": "AzureServices",
                "defaultAction": "Allow",
                "ipRules": [],
                "virtualNetworkRules": [],
            },
        },
        validate=_validate_account,
        before_put=_before_account,
        after_put=_after_account,
        before_delete=_before_account_delete,
        computed=_computed_account,
        actions={"listKeys": _list_keys, "regenerateKey": regenerate("keyName", _list_keys)},
    ),
    _child("blobServices", keys=frozenset({"sku"})),
    _child(
        "blobServices/containers",
        name_rule=_CONTAINER_NAME,
        computed=_computed_container,
        after_put=_after_container,
        before_delete=_before_container_delete,
    ),
    _child("fileServices"),
    _child("fileServices/shares"),
    _child("queueServices"),
    _child("queueServices/queues"),
    _child("tableServices"),
    _child("tableServices/tables"),
    _child("managementPolicies", required=("policy.rules",)),
)
