"""Address ranges of VNets and subnets, and who still uses them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from sandbox.arm.catalogue.private_link import ENDPOINT, ZONE
from sandbox.arm.checks import value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Change, Json, Resource
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError

VNET = "Microsoft.Network/virtualNetworks"
SUBNET = f"{VNET}/subnets"
GROUP = "Microsoft.Network/networkSecurityGroups"
_SITE = "Microsoft.Web/sites"
_API_MANAGEMENT = "Microsoft.ApiManagement/service"
_COMPUTE = "Microsoft.MachineLearningServices/workspaces/computes"


def _ranges(properties: Json, *, network: bool = False) -> list[str]:
    if network:
        return list(value_at(properties, "addressSpace.addressPrefixes") or [])
    return [
        *([properties["addressPrefix"]] if properties.get("addressPrefix") else []),
        *(properties.get("addressPrefixes") or []),
    ]


def _parsed(resource: Resource, texts: list[str]) -> list[IPv4Network]:
    try:
        return [IPv4Network(text) for text in texts]
    except ValueError as error:
        raise AzureError(
            400, "InvalidAddressPrefixFormat", f"The address prefix of '{resource.name}' is not a valid range: {error}."
        ) from error


def validate_network(change: Change) -> None:
    """Real ranges, and room for the subnets that are there."""
    space = _parsed(change.resource, _ranges(change.resource.properties, network=True))
    for subnet in change.arm.children(change.resource.id, SUBNET):
        _inside(subnet, _parsed(subnet, _ranges(subnet.properties)), space, change.resource.name)


def validate_subnet(change: Change) -> None:
    """Inside the VNet, beside its siblings, with a security group that exists."""
    mine = _parsed(change.resource, _ranges(change.resource.properties))
    if not mine:
        raise AzureError(400, "InvalidRequestFormat", f"Subnet '{change.resource.name}' has no addressPrefix.")
    vnet = change.arm.get(parse(change.resource.id).parent)
    if vnet is not None:
        _inside(change.resource, mine, _parsed(vnet, _ranges(vnet.properties, network=True)), vnet.name)
        for sibling in change.arm.children(vnet.id, SUBNET):
            theirs = _parsed(sibling, _ranges(sibling.properties))
            if sibling.key != change.resource.key and any(one.overlaps(other) for one in mine for other in theirs):
                raise AzureError(
                    400,
                    "NetcfgSubnetRangesOverlap",
                    f"Subnet '{change.resource.name}' is not valid because its IP address range overlaps with that of an"
                    f" existing subnet in virtual network '{vnet.name}': '{sibling.name}'.",
                )
    group = value_at(change.resource.properties, "networkSecurityGroup.id")
    if group and change.arm.get(str(group)) is None:
        raise AzureError(
            400,
            "InvalidResourceReference",
            f"'networkSecurityGroup' of '{change.resource.name}' is '{group}', which does not exist.",
        )


def _inside(subnet: Resource, mine: list[IPv4Network], space: list[IPv4Network], vnet: str) -> None:
    for each in mine:
        if not any(each.subnet_of(whole) for whole in space):
            raise AzureError(
                400,
                "NetcfgSubnetRangeOutsideVnet",
                f"Subnet '{subnet.name}' is not valid because its IP address range {each} is outside the IP address"
                f" range of virtual network '{vnet}'.",
            )


def _users(arm: ArmState, subnet: str) -> Iterator[Resource]:
    for endpoint in arm.of_type(ENDPOINT):
        if str(value_at(endpoint.properties, "subnet.id")).lower() == subnet:
            yield endpoint
    for compute in arm.of_type(_COMPUTE):
        if str(value_at(compute.properties, "properties.subnet.id")).lower() == subnet:
            yield compute
    for site in arm.of_type(_SITE):
        if str(site.properties.get("virtualNetworkSubnetId")).lower() == subnet:
            yield site
    for service in arm.of_type(_API_MANAGEMENT):
        if str(value_at(service.properties, "virtualNetworkConfiguration.subnetResourceId")).lower() == subnet:
            yield service


def free_subnet(change: Change) -> None:
    """AzureError 400 while something has an address in the subnet."""
    user = next(_users(change.arm, change.resource.key), None)
    if user is not None:
        raise AzureError(
            400,
            "InUseSubnetCannotBeDeleted",
            f"Subnet {change.resource.name} is in use by {user.id} and cannot be deleted. In order to delete the subnet,"
            " delete all the resources within the subnet.",
        )


def free_network(change: Change) -> None:
    """The same for any subnet of a VNet."""
    for subnet in change.arm.children(change.resource.id, SUBNET):
        free_subnet(Change(change.arm, subnet, subnet, change.caller))


def free_group(change: Change) -> None:
    """AzureError 400 while a subnet has the security group."""
    for subnet in change.arm.of_type(SUBNET):
        if str(value_at(subnet.properties, "networkSecurityGroup.id")).lower() == change.resource.key:
            raise AzureError(
                400,
                "InUseNetworkSecurityGroupCannotBeDeleted",
                f"Network security group {change.resource.name} cannot be deleted because it is in use by the following"
                f" resources: {subnet.id}.",
            )


def free_zone(change: Change) -> None:
    """AzureError 409 while a VNet is linked to the zone."""
    if change.arm.children(change.resource.id, f"{ZONE}/virtualNetworkLinks"):
        raise AzureError(
            409,
            "CannotDeleteResource",
            f"Can not delete resource before nested resources are deleted: zone '{change.resource.name}' has links.",
        )


def validate_link(change: Change) -> None:
    """The VNet must be there, and a zone is linked to it once."""
    target = str(value_at(change.resource.properties, "virtualNetwork.id"))
    if change.arm.get(target) is None:
        raise AzureError(
            400, "BadRequest", f"'virtualNetwork' of '{change.resource.name}' is '{target}', which does not exist."
        )
    for other in change.arm.children(parse(change.resource.id).parent, change.resource.type):
        same = str(value_at(other.properties, "virtualNetwork.id")).lower() == target.lower()
        if same and other.key != change.resource.key:
            raise AzureError(409, "Conflict", f"The zone is linked to '{target}' already, by '{other.name}'.")
