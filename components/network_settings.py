"""Settings of the network, of customer-managed keys, of the model registry and of datastores. Part of `components.settings`."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


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


class SubnetSettings(_Block):
    compute: PrivateCidr = Field(
        default="10.20.0.0/20", description="build agents in the VNet, and clusters while isolation is Disabled"
    )
    aks: PrivateCidr = Field(default="10.20.16.0/20", description="nodes of a Kubernetes cluster")
    endpoints: PrivateCidr = Field(default="10.20.32.0/24", description="private endpoints")


class NetworkSettings(_Block):
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


class EncryptionSettings(_Block):
    customer_managed_key: bool = Field(
        default=False,
        description="storage and workspace are encrypted with a key of the stack's own vault; fixed at the workspace's creation",
    )
    key_size: Literal[2048, 3072, 4096] = Field(default=3072, description="bits of the RSA key")
    rotate_after_days: int = Field(default=365, ge=30, le=730, description="days until the vault makes a new version")


class ModelRegistrySettings(_Block):
    """The registry that models are promoted through: one stack creates it, the others name it."""

    create: bool = Field(default=False, description="this stack owns the registry")
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$")] | None = Field(
        default=None, description="registry name; needed to use another stack's, none: made from the workload"
    )
    resource_group: str | None = Field(default=None, description="its resource group, where another stack owns it")
    regions: tuple[str, ...] = Field(
        default=(), description="regions that keep copies, besides the stack's own; only with `create`"
    )

    @property
    def used(self) -> bool:
        """The stack has to do with a registry at all."""
        return self.create or self.name is not None


class DatastoreSettings(_Block):
    container: Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9])+$", min_length=3, max_length=63)] = Field(
        description="blob container of the stack's storage account; made with the datastore"
    )
    description: str = Field(default="", max_length=250, description="shown in the studio")
