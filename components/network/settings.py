"""Settings of the network. Part of `components.settings`."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.fields import Block


def _cidr(value: str) -> str:
    try:
        return str(IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"not an IPv4 range: {error}; e.g. 10.20.0.0/16") from None


def _private(value: str) -> str:
    if not IPv4Network(value).is_private:
        raise ValueError("a private range is needed: inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return value


def _public(value: str) -> str:
    if IPv4Network(value).is_private:
        raise ValueError("Azure's firewalls take public addresses only; private ones come through the VNet")
    return value


Cidr = Annotated[str, AfterValidator(_cidr)]
PrivateCidr = Annotated[Cidr, AfterValidator(_private)]
PublicCidr = Annotated[Cidr, AfterValidator(_public)]
Host = Annotated[str, Field(pattern=r"^(\*\.)?([a-z0-9-]+\.)+[a-z]{2,}$", max_length=253)]


class SubnetSettings(Block):
    compute: PrivateCidr = Field(
        default="10.20.0.0/20", description="build agents in the VNet, and clusters while isolation is Disabled"
    )
    aks: PrivateCidr = Field(default="10.20.16.0/20", description="nodes of a Kubernetes cluster")
    endpoints: PrivateCidr = Field(default="10.20.32.0/24", description="private endpoints")
    functions: PrivateCidr = Field(
        default="10.20.33.0/24", description="the Functions app, whose calls leave from here; only if there is one"
    )
    gateway: PrivateCidr | None = Field(
        default=None, description="API Management's calls to the endpoints; none: the VNet has no such subnet"
    )


class NetworkSettings(Block):
    enabled: bool = Field(default=False, description="VNet, private DNS zones and private endpoints; prod needs true")
    address_space: PrivateCidr = Field(default="10.20.0.0/16", description="address range of the VNet")
    subnets: SubnetSettings = SubnetSettings()
    public_access: bool = Field(
        default=True,
        description="workspace, storage, vault and registry answer to the internet; false needs `enabled`; prod needs false",
    )
    allowed_ips: tuple[PublicCidr, ...] = Field(
        default=(), max_length=100, description="public ranges let through while publicAccess is false (build agents)"
    )
    isolation: Literal["Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound"] = Field(
        default="Disabled",
        description="the managed network that clusters and deployments run in; once on it can't be Disabled again",
    )
    outbound_hosts: tuple[Host, ...] = Field(
        default=(), description="host names that jobs may reach under AllowOnlyApprovedOutbound, e.g. pypi.org"
    )
    firewall: Literal["Basic", "Standard"] = Field(
        default="Basic", description="managed firewall behind outboundHosts; billed by the hour once there is a host"
    )
