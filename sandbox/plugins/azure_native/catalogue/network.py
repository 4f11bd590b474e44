"""Networks, private endpoints, private DNS."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row, wrapped

ROWS = (
    row(
        "network:VirtualNetwork",
        "Microsoft.Network/virtualNetworks/{virtualNetworkName}",
        immutable=("location",),
        keep_unset=("subnets", "virtualNetworkPeerings"),
    ),
    row("network:Subnet", "Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}"),
    row(
        "network:NetworkSecurityGroup",
        "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}",
        immutable=("location",),
        keep_unset=("securityRules",),
    ),
    row(
        "network:PrivateEndpoint",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}",
        immutable=("location", "subnet"),
    ),
    row(
        "network:PrivateDnsZoneGroup",
        "Microsoft.Network/privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
    ),
    row("privatedns:PrivateZone", "Microsoft.Network/privateDnsZones/{privateZoneName}", immutable=("location",)),
    row(
        "privatedns:VirtualNetworkLink",
        "Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}",
        immutable=("location",),
    ),
)  # fmt: skip
_RESOURCE = wrapped("id", "name", "type", "location", "tags", "etag", "zones", "sku", "extendedLocation", "identity")
NESTED = {
    ("network", name): _RESOURCE
    for name in (
        "ApplicationSecurityGroup", "Delegation", "FrontendIPConfiguration",
        "NetworkSecurityGroup", "PrivateDnsZoneConfig", "PrivateEndpointIPConfiguration",
        "PrivateLinkServiceConnection", "Route", "RouteTable", "SecurityRule", "ServiceEndpointPolicy", "Subnet",
        "VirtualNetworkPeering",
    )
}  # fmt: skip
