"""Microsoft.Cdn's Front Door: kept and checked; no request goes through it."""

from __future__ import annotations

import re
import secrets

from sandbox.arm.catalogue.common import made_once, new_guid, one_of, versions
from sandbox.arm.catalogue.firewall import FIREWALL, PREMIUM, SECURITY, refuse
from sandbox.arm.checks import value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

PROFILE = "Microsoft.Cdn/profiles"
ORIGIN_GROUP, ORIGIN = f"{PROFILE}/originGroups", f"{PROFILE}/originGroups/origins"
ENDPOINT, DOMAIN = f"{PROFILE}/afdEndpoints", f"{PROFILE}/customDomains"
ROUTE = f"{ENDPOINT}/routes"
SERVICE = "Microsoft.ApiManagement/service"
VERSIONS = versions("2023-05-01 2024-02-01 2024-09-01 2025-04-15 2025-06-01 2025-12-01")
_STANDARD = "Standard_AzureFrontDoor"
_HOST = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:\d+)?"
)
#: What Front Door can reach by private link, and the group to ask for.
_PRIVATE_GROUPS = {
    SERVICE.lower(): ("Gateway",),
    "microsoft.storage/storageaccounts": ("blob", "web"),
    "microsoft.web/sites": ("sites",),
}


def _there(change: Change, target: object, type_: str, what: str) -> Resource:
    found = change.arm.get(str(target)) if target else None
    if found is None or found.type.lower() != type_.lower():
        raise refuse(f"'{what}' of '{change.resource.name}' is '{target}', which is no {type_} that exists.")
    return found


def _between(change: Change, path: str, least: int, most: int) -> None:
    value = value_at(change.resource.properties, path)
    if value is not None and not least <= value <= most:
        raise refuse(f"'properties.{path}' of '{change.resource.name}' is {value}; allowed: {least} to {most}.")


def _profile_of(change: Change) -> Resource:
    above, below = change.resource.id.split("/profiles/", 1)
    found = change.arm.get(f"{above}/profiles/{below.split('/', 1)[0]}")
    assert found is not None  # nosec B101 - ARM looked for the parents
    return found


def _validate_profile(change: Change) -> None:
    name = (change.resource.sku or {}).get("name")
    one_of(change, "sku.name", name, (PREMIUM, _STANDARD))
    if change.before is not None and (change.before.sku or {}).get("name") == PREMIUM != name:
        raise refuse(f"Profile '{change.resource.name}' is {PREMIUM} and can't go back to {name}.")
    _between(change, "originResponseTimeoutSeconds", 16, 240)


def _before_endpoint(change: Change) -> None:
    label = change.resource.private.setdefault("label", secrets.token_hex(8))
    change.resource.properties["hostName"] = f"{change.resource.name.lower()}-{label}.z01.azurefd.net"


def _validate_domain(change: Change) -> None:
    host = str(change.resource.properties["hostName"])
    if not _HOST.fullmatch(host):
        raise refuse(f"'properties.hostName' is '{host}', which is no host name.")
    one_of(
        change,
        "properties.tlsSettings.minimumTlsVersion",
        value_at(change.resource.properties, "tlsSettings.minimumTlsVersion") or "TLS12",
        ("TLS12", "TLS13"),
    )


def _before_domain(change: Change) -> None:
    made_once(change, domainValidationState=lambda: "Pending")
    token = change.resource.private.setdefault("token", secrets.token_hex(16))
    change.resource.properties["validationProperties"] = {
        "validationToken": token,
        "expirationDate": "2099-01-01T00:00:00Z",
    }


def _validate_group(change: Change) -> None:
    if not change.resource.properties.get("loadBalancingSettings"):
        raise refuse(f"Origin group '{change.resource.name}' has no loadBalancingSettings.")
    _between(change, "healthProbeSettings.probeIntervalInSeconds", 1, 255)
    _between(change, "loadBalancingSettings.sampleSize", 1, 255)


def _free_group(change: Change) -> None:
    for route in change.arm.of_type(ROUTE):
        if str(value_at(route.properties, "originGroup.id")).lower() == change.resource.key:
            raise AzureError(
                409, "Conflict", f"The origin group '{change.resource.name}' is used by route '{route.id}'."
            )


def _validate_origin(change: Change) -> None:
    properties = change.resource.properties
    if not _HOST.fullmatch(str(properties["hostName"])):
        raise refuse(f"'properties.hostName' is '{properties['hostName']}', which is no host name.")
    for path, most in (("priority", 5), ("weight", 1000), ("httpsPort", 65535), ("httpPort", 65535)):
        _between(change, path, 1, most)
    link = properties.get("sharedPrivateLinkResource")
    if not link:
        return
    if (_profile_of(change).sku or {}).get("name") != PREMIUM:
        raise refuse(f"Private link of origin '{change.resource.name}' needs {PREMIUM}.")
    if properties.get("enforceCertificateNameCheck") is False:
        raise refuse("'enforceCertificateNameCheck' must be true for an origin with private link.")
    target_id = str(value_at(link, "privateLink.id"))
    target = change.arm.get(target_id)
    groups = _PRIVATE_GROUPS.get(parse(target_id).type.lower(), ()) if target else ()
    if target is None or link.get("groupId") not in groups:
        raise refuse(
            f"'sharedPrivateLinkResource' of '{change.resource.name}' is group '{link.get('groupId')}' of '{target_id}';"
            f" allowed: {', '.join(groups) or 'none'}."
        )
    if (
        value_at(target.properties, "virtualNetworkType") not in (None, "None")
        and "V2" not in (target.sku or {})["name"]
    ):
        raise refuse(f"'{target.name}' is injected into a virtual network and takes no private endpoint.")


def _computed_origin(origin: Resource, view: View) -> Json:
    """Somebody has to approve the connection at the origin: nobody does here."""
    link = origin.properties.get("sharedPrivateLinkResource")
    return {"sharedPrivateLinkResource": {**link, "status": "Pending"}} if link else {}


def links_to(service: Resource, view: View) -> list[Json]:
    """The private endpoint connections that Front Door asks `service` for."""
    return [
        {
            "id": f"{service.id}/privateEndpointConnections/{origin.name}",
            "name": origin.name,
            "properties": {
                "privateLinkServiceConnectionState": {
                    "status": "Pending",
                    "description": value_at(origin.properties, "sharedPrivateLinkResource.requestMessage"),
                }
            },
        }
        for origin in view.arm.of_type(ORIGIN)
        if str(value_at(origin.properties, "sharedPrivateLinkResource.privateLink.id")).lower() == service.key
    ]


def _validate_route(change: Change) -> None:
    properties = change.resource.properties
    group = _there(change, value_at(properties, "originGroup.id"), ORIGIN_GROUP, "originGroup")
    if not change.arm.children(group.id, ORIGIN):
        raise refuse(f"Route '{change.resource.name}' leads to origin group '{group.name}', which has no origin.")
    protocols = properties.get("supportedProtocols") or []
    if properties.get("httpsRedirect", "Enabled") == "Enabled" and set(protocols) != {"Http", "Https"}:
        raise refuse("'httpsRedirect' is Enabled; 'supportedProtocols' must have Http and Https.")
    domains = properties.get("customDomains") or []
    for each in domains:
        _there(change, each.get("id"), DOMAIN, "customDomains")
    if not domains and properties.get("linkToDefaultDomain") != "Enabled":
        raise refuse(f"Route '{change.resource.name}' has no domain.")


def _validate_security(change: Change) -> None:
    parameters = change.resource.properties["parameters"]
    firewall = _there(change, value_at(parameters, "wafPolicy.id"), FIREWALL, "wafPolicy")
    sku = (_profile_of(change).sku or {}).get("name")
    if (firewall.sku or {}).get("name") != sku:
        raise refuse(f"Firewall policy '{firewall.name}' is {(firewall.sku or {}).get('name')}, the profile {sku}.")
    for association in parameters.get("associations") or []:
        for domain in association.get("domains") or []:
            if change.arm.get(str(domain.get("id"))) is None:
                raise refuse(f"'domains' of '{change.resource.name}' has '{domain.get('id')}', which does not exist.")


def _type(name: str, **differences: object) -> ResourceType:
    fixed: dict[str, object] = {"versions": VERSIONS, "location": "none", "taggable": False, "long": True}
    return ResourceType(name=name, **(fixed | differences))  # type: ignore[arg-type]


_WORD = (r"[A-Za-z0-9]([A-Za-z0-9-]{0,258}[A-Za-z0-9])?", "1-260 letters, digits and inner dashes")
TYPES = (
    _type(
        PROFILE,
        location="global",
        taggable=True,
        name_rule=_WORD,
        defaults={"originResponseTimeoutSeconds": 30},
        validate=_validate_profile,
        before_put=lambda change: made_once(change, frontDoorId=new_guid, resourceState=lambda: "Active"),
    ),
    _type(
        ENDPOINT,
        location="global",
        taggable=True,
        name_rule=(r"[A-Za-z0-9]([A-Za-z0-9-]{0,44}[A-Za-z0-9])?", "1-46 letters, digits and inner dashes"),
        global_name="EndpointNameAlreadyExists",
        defaults={"enabledState": "Enabled", "autoGeneratedDomainNameLabelScope": "TenantReuse"},
        before_put=_before_endpoint,
    ),
    _type(
        DOMAIN,
        name_rule=_WORD,
        required=("hostName",),
        immutable=("properties.hostName",),
        validate=_validate_domain,
        before_put=_before_domain,
    ),
    _type(ORIGIN_GROUP, name_rule=_WORD, validate=_validate_group, may_delete=_free_group),
    _type(
        ORIGIN,
        name_rule=_WORD,
        required=("hostName",),
        defaults={"enabledState": "Enabled", "httpPort": 80, "httpsPort": 443, "priority": 1, "weight": 1000},
        validate=_validate_origin,
        computed=_computed_origin,
    ),
    _type(
        ROUTE,
        name_rule=_WORD,
        required=("originGroup.id",),
        defaults={"enabledState": "Enabled", "patternsToMatch": ["/*"]},
        validate=_validate_route,
    ),
    _type(SECURITY, name_rule=_WORD, required=("parameters.wafPolicy.id",), validate=_validate_security),
)
