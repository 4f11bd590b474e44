"""The stack's network: a VNet with a subnet and its rules for each use, and the DNS zones of private endpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.base import Placement, child
from components.network.settings import NetworkSettings

#: Private endpoint group to the zones that its names live in (Azure's public cloud).
ZONES: dict[str, tuple[str, ...]] = {
    "blob": ("privatelink.blob.core.windows.net",),
    "file": ("privatelink.file.core.windows.net",),
    "queue": ("privatelink.queue.core.windows.net",),
    "vault": ("privatelink.vaultcore.azure.net",),
    "registry": ("privatelink.azurecr.io",),
    "amlworkspace": ("privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"),
}
#: Subnets that belong to one service, which puts its own instances there.
_DELEGATIONS = {"functions": "Microsoft.App/environments"}
#: Likewise, for what is an option.
FEATURE_ZONES: dict[str, tuple[str, ...]] = {
    "dfs": ("privatelink.dfs.core.windows.net",),
    "redisEnterprise": ("privatelink.redis.azure.net",),
}
ALL_ZONES = ZONES | FEATURE_ZONES
_LAST_PRIORITY = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class SubnetUse:
    """What a subnet needs beyond the common: the service it is handed to, and rules (name, source, port) to let in."""

    delegation: str | None = None
    inbound: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkArgs:
    place: Placement
    settings: NetworkSettings
    #: Subnets of services that the stack does not have.
    unused: Collection[str] = ()
    #: Keys of ALL_ZONES: what the stack has private endpoints for.
    groups: tuple[str, ...] = tuple(ZONES)
    #: By subnet; those that are not here need nothing more.
    uses: Mapping[str, SubnetUse] = field(default_factory=dict)


class Network(pulumi.ComponentResource):
    """A VNet with the subnets compute, aks, endpoints, functions and, if there is one, gateway; closed towards the
    internet, and linked private DNS zones.

    Outputs: `vnet_id`, `subnet_ids` (by use), `zone_ids` (by zone name).
    """

    vnet_id: pulumi.Output[str]
    subnet_ids: dict[str, pulumi.Output[str]]
    zone_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Network", name, None, opts)
        self._name, self._args = name, args
        vnet = self._build_vnet()
        self.vnet_id = vnet.id
        self.subnet_ids = self._build_subnets(vnet)
        names = sorted({zone for group in args.groups for zone in ALL_ZONES[group]})
        self.zone_ids = {zone: self._build_zone(zone, vnet) for zone in names}
        self.register_outputs({"vnet_id": self.vnet_id, "subnet_ids": self.subnet_ids})

    def _build_vnet(self) -> Any:
        from pulumi_azure_native import network

        place = self._args.place
        return network.VirtualNetwork(
            self._name,
            virtual_network_name=place.names.of("virtual network"),
            resource_group_name=place.resource_group,
            location=place.location,
            address_space=network.AddressSpaceArgs(address_prefixes=[self._args.settings.address_space]),
            tags=place.tags,
            opts=child(self, place),
        )

    def _build_subnets(self, vnet: Any) -> dict[str, pulumi.Output[str]]:
        """One after the other: a VNet refuses two changes at a time."""
        from pulumi_azure_native import network

        place, made = self._args.place, {}
        previous: list[pulumi.Resource] = []
        for use, cidr in self._args.settings.subnets.model_dump(exclude_none=True).items():
            if use in self._args.unused:
                continue
            subnet = network.Subnet(
                f"{self._name}-{use}",
                subnet_name=use,
                virtual_network_name=vnet.name,
                resource_group_name=place.resource_group,
                address_prefix=cidr,
                # rules of the group hold for private endpoints too
                private_endpoint_network_policies="Enabled",
                network_security_group={"id": self._build_group(use).id},
                delegations=self._delegations(use),
                opts=child(self, place, after=previous),
            )
            previous, made[use] = [subnet], subnet.id
        return made

    def _delegations(self, use: str) -> list[Any] | None:
        from pulumi_azure_native import network

        service = self._args.uses.get(use, SubnetUse()).delegation or _DELEGATIONS.get(use)
        return [network.DelegationArgs(name="service", service_name=service)] if service else None

    def _build_group(self, use: str) -> Any:
        from pulumi_azure_native import network

        place = self._args.place
        let_in = self._args.uses.get(use, SubnetUse()).inbound
        rules = [
            *(_rule(name, "Allow", source, port, 100 + 10 * n) for n, (name, source, port) in enumerate(let_in)),
            _rule("deny-internet-in", "Deny", "Internet", "*", _LAST_PRIORITY),
        ]
        if use == "endpoints":
            rules = [
                _rule("allow-https-from-vnet", "Allow", "VirtualNetwork", "443", 100),
                # file shares are mounted over SMB
                _rule("allow-smb-from-vnet", "Allow", "VirtualNetwork", "445", 110),
                _rule("deny-rest-in", "Deny", "*", "*", _LAST_PRIORITY),
            ]
        return network.NetworkSecurityGroup(
            f"{self._name}-{use}-rules",
            network_security_group_name=place.names.of("network security group", use),
            resource_group_name=place.resource_group,
            location=place.location,
            security_rules=rules,
            tags=place.tags,
            opts=child(self, place),
        )

    def _build_zone(self, zone: str, vnet: Any) -> pulumi.Output[str]:
        from pulumi_azure_native import privatedns

        place = self._args.place
        made = privatedns.PrivateZone(
            f"{self._name}-{zone}",
            private_zone_name=zone,
            resource_group_name=place.resource_group,
            location="global",
            tags=place.tags,
            opts=child(self, place),
        )
        privatedns.VirtualNetworkLink(
            f"{self._name}-{zone}-link",
            virtual_network_link_name="platform",
            private_zone_name=made.name,
            resource_group_name=place.resource_group,
            location="global",
            registration_enabled=False,
            virtual_network={"id": vnet.id},
            tags=place.tags,
            opts=child(self, place),
        )
        identifier: pulumi.Output[str] = made.id
        return identifier


def _rule(name: str, access: str, source: str, port: str, priority: int) -> Any:
    """An inbound rule for TCP, or for anything when it denies."""
    from pulumi_azure_native import network

    return network.SecurityRuleArgs(
        name=name,
        access=access,
        direction="Inbound",
        protocol="Tcp" if access == "Allow" else "*",
        priority=priority,
        source_address_prefix=source,
        source_port_range="*",
        destination_address_prefix="*",
        destination_port_range=port,
    )
