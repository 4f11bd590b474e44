"""Microsoft.Network: kept and shown as declared; no packet ever goes through them."""

from __future__ import annotations

from sandbox.arm.catalogue import private_link, subnets
from sandbox.arm.catalogue.common import made_once, new_guid, versions
from sandbox.arm.catalogue.private_link import ENDPOINT, ZONE
from sandbox.arm.catalogue.subnets import VNET
from sandbox.arm.model import Change, Json, Resource, ResourceType, View

VERSIONS = versions(
    "2022-01-01 2022-05-01 2022-07-01 2022-09-01 2022-11-01 2023-02-01 2023-04-01 2023-05-01 2023-06-01 2023-09-01 2023-11-01"
    " 2024-01-01 2024-03-01 2024-05-01 2024-07-01 2024-10-01 2025-01-01 2025-03-01 2025-05-01 2025-07-01"
)
ZONE_VERSIONS = versions("2018-09-01 2020-01-01 2020-06-01 2024-06-01")


def _before(change: Change) -> None:
    made_once(change, resourceGuid=new_guid)


def _subnets(network: Resource, view: View) -> Json:
    found = view.arm.children(network.id, f"{VNET}/subnets")
    return {"subnets": [view.arm.show(each, view) for each in found]}


async def _make_subnets(change: Change) -> None:
    """Subnets that are declared within their network become resources of their own."""
    for declared in change.resource.properties.get("subnets") or []:
        subnet = change.arm.new(
            f"{change.resource.id}/subnets/{declared['name']}", properties=declared.get("properties") or {}
        )
        subnet.provisioning_state = "Succeeded"
        change.arm.put(subnet, change.caller)


def _type(name: str, **differences: object) -> ResourceType:
    fixed: dict[str, object] = {"versions": VERSIONS, "long": True}
    return ResourceType(name=name, **(fixed | differences))  # type: ignore[arg-type]


TYPES = (
    _type(
        VNET,
        keys=frozenset({"extendedLocation"}),
        required=("addressSpace.addressPrefixes",),
        validate=subnets.validate_network,
        may_delete=subnets.free_network,
        before_put=_before,
        after_put=_make_subnets,
        computed=_subnets,
    ),
    _type(
        f"{VNET}/subnets",
        location="none",
        taggable=False,
        validate=subnets.validate_subnet,
        may_delete=subnets.free_subnet,
    ),
    _type(subnets.GROUP, defaults={"securityRules": []}, before_put=_before, may_delete=subnets.free_group),
    _type(
        ENDPOINT,
        keys=frozenset({"extendedLocation"}),
        required=("subnet.id",),
        validate=private_link.validate_endpoint,
        before_put=private_link.before_endpoint,
        computed=private_link.computed_endpoint,
    ),
    _type(
        f"{ENDPOINT}/privateDnsZoneGroups",
        location="none",
        taggable=False,
        validate=private_link.validate_zone_group,
    ),
    _type(
        ZONE,
        versions=ZONE_VERSIONS,
        location="global",
        defaults={"numberOfRecordSets": 1},
        may_delete=subnets.free_zone,
    ),
    _type(
        f"{ZONE}/virtualNetworkLinks",
        versions=ZONE_VERSIONS,
        location="global",
        defaults={"virtualNetworkLinkState": "Completed"},
        validate=subnets.validate_link,
    ),
)
