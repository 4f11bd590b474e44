"""Doors into the VNet: a private endpoint and its DNS names for each service that the platform stands on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.network.vnet import ALL_ZONES, Network


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateEndpointsArgs:
    place: Placement
    network: Network
    #: Private endpoint group (a key of ALL_ZONES) to the ARM id of what it leads to.
    targets: Mapping[str, pulumi.Input[str]]
    #: Tells these from the endpoints of other components.
    prefix: str = ""


class PrivateEndpoints(pulumi.ComponentResource):
    """Private endpoints in the subnet `endpoints`. Output: `endpoint_ids` by group."""

    endpoint_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: PrivateEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:PrivateEndpoints", name, None, opts)
        self._name, self._args = name, args
        self.endpoint_ids = {group: self._build(group, target) for group, target in args.targets.items()}
        self.register_outputs({"endpoint_ids": self.endpoint_ids})

    def _build(self, group: str, target: pulumi.Input[str]) -> pulumi.Output[str]:
        from pulumi_azure_native import network

        place = self._args.place
        endpoint = network.PrivateEndpoint(
            f"{self._name}-{group}",
            private_endpoint_name=place.names.of(
                "private endpoint", "-".join(each for each in (self._args.prefix, group) if each)
            ),
            resource_group_name=place.resource_group,
            location=place.location,
            subnet={"id": self._args.network.subnet_ids["endpoints"]},
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(name=group, private_link_service_id=target, group_ids=[group])
            ],
            tags=place.tags,
            opts=child(self, place),
        )
        self._build_names(group, endpoint)
        identifier: pulumi.Output[str] = endpoint.id
        return identifier

    def _build_names(self, group: str, endpoint: Any) -> None:
        """Azure keeps the A records in these zones as the endpoint's addresses change."""
        from pulumi_azure_native import network

        place = self._args.place
        network.PrivateDnsZoneGroup(
            f"{self._name}-{group}-names",
            private_dns_zone_group_name="default",
            private_endpoint_name=endpoint.name,
            resource_group_name=place.resource_group,
            private_dns_zone_configs=[
                network.PrivateDnsZoneConfigArgs(
                    name=zone.replace(".", "-"), private_dns_zone_id=self._args.network.zone_ids[zone]
                )
                for zone in ALL_ZONES[group]
            ],
            opts=child(self, place),
        )
