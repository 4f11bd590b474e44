"""Private endpoints: what they may lead to, which addresses they get, and the connections that their targets show."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

from sandbox.arm.catalogue.common import made_once, new_guid
from sandbox.arm.checks import value_at
from sandbox.arm.model import Change, Json, Resource, View
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError

ENDPOINT = "Microsoft.Network/privateEndpoints"
ZONE = "Microsoft.Network/privateDnsZones"
#: Type of the target to its groups, each with the host names that it answers to.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "Microsoft.Storage/storageAccounts": {
        each: (f"{{name}}.{each}.core.windows.net",) for each in ("blob", "file", "queue", "table", "web", "dfs")
    },
    "Microsoft.KeyVault/vaults": {"vault": ("{name}.vault.azure.net",)},
    "Microsoft.ContainerRegistry/registries": {
        "registry": ("{name}.{location}.data.azurecr.io", "{name}.azurecr.io"),
    },
    "Microsoft.MachineLearningServices/workspaces": {
        "amlworkspace": (
            "{workspace}.workspace.{location}.api.azureml.ms",
            "ml-{name}-{location}-{workspace}.{location}.notebooks.azure.net",
        ),
    },
    "Microsoft.MachineLearningServices/registries": {"amlregistry": ("{name}.registry.{location}.api.azureml.ms",)},
    "Microsoft.Cache/redisEnterprise": {"redisEnterprise": ("{name}.{location}.redis.azure.net",)},
    "Microsoft.EventGrid/topics": {"topic": ("{name}.{location}-1.eventgrid.azure.net",)},
}
#: Azure keeps the network's address, the gateway's and two for DNS.
_RESERVED = 4


def _connections(endpoint: Resource) -> list[Json]:
    lists = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")
    return [each for name in lists for each in endpoint.properties.get(name) or []]


def validate_endpoint(change: Change) -> None:
    """The subnet, the target and its group must be there; a registry below Premium has no private endpoints."""
    subnet = str(value_at(change.resource.properties, "subnet.id"))
    if change.arm.get(subnet) is None:
        raise AzureError(
            400,
            "InvalidResourceReference",
            f"Resource {subnet} referenced by resource {change.resource.id} was not found. Please make sure that the"
            " referenced resource exists, and that both resources are in the same region.",
        )
    if not _connections(change.resource):
        raise AzureError(
            400,
            "InvalidRequestFormat",
            f"Private endpoint '{change.resource.name}' has no privateLinkServiceConnections.",
        )
    for connection in _connections(change.resource):
        _validate_connection(change, connection.get("properties") or {})


def _validate_connection(change: Change, connection: Json) -> None:
    target = change.arm.get(str(connection.get("privateLinkServiceId")))
    if target is None:
        raise AzureError(
            400,
            "PrivateEndpointCreationNotAllowedAsTargetResourceNotFound",
            f"'privateLinkServiceId' of '{change.resource.name}' is '{connection.get('privateLinkServiceId')}', which"
            " does not exist.",
        )
    groups = GROUPS.get(target.type, {})
    wanted = connection.get("groupIds") or []
    if len(wanted) != 1 or wanted[0] not in groups:
        raise AzureError(
            400,
            "InvalidPrivateEndpointGroupId",
            f"'groupIds' of '{change.resource.name}' is {wanted}; allowed for {target.type}: one of"
            f" {', '.join(groups) or 'none'}.",
        )
    if target.type == "Microsoft.ContainerRegistry/registries" and (target.sku or {}).get("name") != "Premium":
        raise AzureError(
            400,
            "PrivateEndpointNotSupportedForSku",
            f"Registry '{target.name}' is {(target.sku or {}).get('name')}; private endpoints need Premium.",
        )


def before_endpoint(change: Change) -> None:
    """Approve the connections (the caller owns both sides here), and take addresses that are free in the subnet."""
    made_once(change, resourceGuid=new_guid)
    for connection in change.resource.properties.get("privateLinkServiceConnections") or []:
        inner = connection.setdefault("properties", {})
        inner["privateLinkServiceConnectionState"] = {
            "status": "Approved",
            "description": "Auto-Approved",
            "actionsRequired": "None",
        }
        inner["provisioningState"] = "Succeeded"
    wanted = sum(len(_hosts(change.arm, each)) for each in _connections(change.resource))
    held = change.resource.private.get("addresses") or []
    if len(held) != wanted:
        change.resource.private["addresses"] = _free_addresses(change, wanted)


def _free_addresses(change: Change, count: int) -> list[str]:
    subnet = change.arm.get(str(value_at(change.resource.properties, "subnet.id")))
    assert subnet is not None  # nosec B101  # checked before
    space = ip_network(str(subnet.properties.get("addressPrefix") or subnet.properties["addressPrefixes"][0]))
    taken = {
        address
        for other in change.arm.of_type(ENDPOINT)
        if other.key != change.resource.key and _subnet_of(other) == subnet.key
        for address in other.private.get("addresses") or []
    }
    first, last = int(space.network_address) + _RESERVED, int(space.broadcast_address)
    found: list[str] = []
    for number in range(first, last):
        if len(found) == count:
            break
        if (address := str(IPv4Address(number))) not in taken:
            found.append(address)
    if len(found) < count:
        raise AzureError(
            400, "SubnetIsFull", f"Subnet '{subnet.name}' with address prefix {space} does not have enough capacity."
        )
    return found


def _subnet_of(endpoint: Resource) -> str:
    return str(value_at(endpoint.properties, "subnet.id")).lower()


def _hosts(arm: ArmState, connection: Json) -> list[str]:
    inner = connection.get("properties") or {}
    target = arm.get(str(inner.get("privateLinkServiceId")))
    if target is None:
        return []
    values = {
        "name": target.name.lower(),
        "location": target.location,
        "workspace": target.properties.get("workspaceId", ""),
    }
    return [
        pattern.format_map(values)
        for group in inner.get("groupIds") or []
        for pattern in GROUPS.get(target.type, {}).get(group, ())
    ]


def computed_endpoint(endpoint: Resource, view: View) -> Json:
    """The network interface, and the names with their addresses."""
    hosts = [host for each in _connections(endpoint) for host in _hosts(view.arm, each)]
    pairs = zip(hosts, endpoint.private.get("addresses") or [], strict=False)
    group = endpoint.id.split("/providers/")[0]
    nic = f"{group}/providers/Microsoft.Network/networkInterfaces/{endpoint.name}.nic.{endpoint.properties['resourceGuid']}"
    return {
        "networkInterfaces": [{"id": nic}],
        "customDnsConfigs": [{"fqdn": host, "ipAddresses": [address]} for host, address in pairs],
    }


def connections_to(target: Resource, view: View) -> list[Json]:
    """`privateEndpointConnections` as the target shows them."""
    found = []
    for endpoint in view.arm.of_type(ENDPOINT):
        for connection in _connections(endpoint):
            inner = connection.get("properties") or {}
            if str(inner.get("privateLinkServiceId")).lower() == target.key:
                found.append(_connection(target, endpoint, inner))
    return found


def _connection(target: Resource, endpoint: Resource, inner: Json) -> Json:
    name = f"{endpoint.name}.{endpoint.properties.get('resourceGuid')}"
    return {
        "id": f"{target.id}/privateEndpointConnections/{name}",
        "name": name,
        "type": f"{target.type}/privateEndpointConnections",
        "properties": {
            "privateEndpoint": {"id": endpoint.id},
            "groupIds": inner.get("groupIds"),
            "privateLinkServiceConnectionState": inner.get("privateLinkServiceConnectionState"),
            "provisioningState": "Succeeded",
        },
    }


def validate_zone_group(change: Change) -> None:
    """Each zone must be there."""
    for config in change.resource.properties.get("privateDnsZoneConfigs") or []:
        zone = value_at(config, "properties.privateDnsZoneId")
        if change.arm.get(str(zone)) is None:
            raise AzureError(
                400,
                "PrivateDnsZoneNotFound",
                f"'privateDnsZoneId' of '{change.resource.name}' is '{zone}', which does not exist.",
            )
