"""Microsoft.ApiManagement's service itself: tiers, and how each enters a virtual network."""

from __future__ import annotations

from sandbox.arm.catalogue.apim_policy import invalid as refuse
from sandbox.arm.catalogue.common import made_once, now, one_of, versions
from sandbox.arm.catalogue.frontdoor import SERVICE, links_to
from sandbox.arm.checks import value_at
from sandbox.arm.model import Change, Json, Resource, ResourceType, View

VERSIONS = versions(
    "2022-08-01 2023-03-01-preview 2023-05-01-preview 2023-09-01-preview 2024-05-01 2024-06-01-preview"
    " 2024-10-01-preview 2025-03-01-preview"
)
#: Tier to its most units, and how it enters a virtual network: the delegation of its subnet, "" for none, None for not at all.
TIERS: dict[str, tuple[int, str | None]] = {
    "Developer": (1, ""),
    "Basic": (2, None),
    "Standard": (4, None),
    "Premium": (31, ""),
    "BasicV2": (10, None),
    "StandardV2": (10, "Microsoft.Web/serverFarms"),
    "PremiumV2": (30, "Microsoft.Web/serverFarms"),
}


def _validate_service(change: Change) -> None:
    service, properties = change.resource, change.resource.properties
    sku = service.sku or {}
    one_of(change, "sku.name", sku.get("name"), tuple(TIERS))
    most, delegation = TIERS[sku["name"]]
    if not 1 <= int(sku.get("capacity") or 0) <= most:
        raise refuse(f"'sku.capacity' of {sku['name']} is {sku.get('capacity')}; allowed: 1 to {most}.")
    kind = properties.get("virtualNetworkType", "None")
    one_of(change, "properties.virtualNetworkType", kind, ("None", "External", "Internal"))
    if kind != "None":
        _validate_subnet(change, str(sku["name"]), delegation)
    if properties.get("publicNetworkAccess") == "Disabled" and change.before is None:
        raise refuse(
            "public network access can't be Disabled while the service is created; a private link is needed first."
        )


def _validate_subnet(change: Change, sku: str, delegation: str | None) -> None:
    if delegation is None:
        raise refuse(f"{sku} does not enter a virtual network.")
    wanted = value_at(change.resource.properties, "virtualNetworkConfiguration.subnetResourceId")
    subnet = change.arm.get(str(wanted))
    if subnet is None:
        raise refuse(f"'virtualNetworkConfiguration.subnetResourceId' is '{wanted}', which does not exist.")
    given = [value_at(each, "properties.serviceName") for each in subnet.properties.get("delegations") or []]
    if given != ([delegation] if delegation else []):
        raise refuse(f"subnet '{subnet.name}' is delegated to {given}; {sku} needs {delegation or 'no delegation'}.")
    if not subnet.properties.get("networkSecurityGroup"):
        raise refuse(f"subnet '{subnet.name}' has no network security group.")


def _computed_service(service: Resource, view: View) -> Json:
    name = service.name.lower()
    return {
        "gatewayUrl": f"https://{name}.azure-api.net",
        "managementApiUrl": f"https://{name}.management.azure-api.net",
        "targetProvisioningState": "",
        "privateEndpointConnections": links_to(service, view),
    }


SERVICE_TYPE = ResourceType(
    name=SERVICE,
    versions=VERSIONS,
    long=True,
    name_rule=(
        r"[A-Za-z]([A-Za-z0-9-]{0,48}[A-Za-z0-9])?",
        "1-50 letters, digits and inner dashes, starting with a letter",
    ),
    global_name="ServiceAlreadyExists",
    required=("publisherEmail", "publisherName"),
    defaults={"virtualNetworkType": "None", "publicNetworkAccess": "Enabled"},
    validate=_validate_service,
    before_put=lambda change: made_once(change, createdAtUtc=now),
    computed=_computed_service,
)
