"""Microsoft.ContainerService: clusters, their pools, namespaces and upgrade windows.

No node runs: what models do on a cluster is done by the sandbox's own replicas (`sandbox.ml.serving`).
"""

from __future__ import annotations

from ipaddress import ip_network

from sandbox.arm.catalogue.common import made_once, new_guid, one_of, versions
from sandbox.arm.checks import value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Change, Json, Resource, ResourceType, View
from sandbox.arm.roles import permissions_of
from sandbox.arm.state import ArmState
from sandbox.kernel.errors import AzureError

CLUSTER = "Microsoft.ContainerService/managedClusters"
POOL = f"{CLUSTER}/agentPools"
NAMESPACE = f"{CLUSTER}/managedNamespaces"
BINDING = f"{CLUSTER}/trustedAccessRoleBindings"
VERSIONS = versions("2024-09-01 2024-10-01 2025-01-01 2025-05-01 2025-08-01 2025-09-01 2025-10-01")
_MINORS = ("1.31", "1.32", "1.33", "1.34")
_CHANNELS = ("none", "patch", "stable", "rapid", "node-image")
_POLICIES = ("none", "azure", "calico", "cilium")
_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"


def refused(message: str, code: str = "InvalidParameter") -> AzureError:
    return AzureError(400, code, message)


# Clusters


def _validate_cluster(change: Change) -> None:
    properties = change.resource.properties
    version = str(properties.get("kubernetesVersion") or _MINORS[-2])
    if ".".join(version.split(".")[:2]) not in _MINORS:
        raise refused(
            f"Kubernetes version {version} is not supported; supported: {', '.join(_MINORS)}.", "K8sVersionNotSupported"
        )
    if change.before is None and not properties.get("agentPoolProfiles"):
        raise refused("'properties.agentPoolProfiles' must hold a pool.")
    for profile in properties.get("agentPoolProfiles") or []:
        _validate_pool_properties(change, str(profile.get("name")), profile)
    if change.before is None and not any(each.get("mode") == "System" for each in properties["agentPoolProfiles"]):
        raise refused("A managed cluster must have at least one System agent pool.")
    one_of(
        change,
        "properties.autoUpgradeProfile.upgradeChannel",
        value_at(properties, "autoUpgradeProfile.upgradeChannel") or "none",
        _CHANNELS,
    )
    _validate_accounts(change)
    _validate_network(change)
    _validate_addons(change)


def _validate_accounts(change: Change) -> None:
    properties = change.resource.properties
    if properties.get("disableLocalAccounts") and not value_at(properties, "aadProfile.managed"):
        raise refused("'disableLocalAccounts' needs 'aadProfile.managed': nobody could sign in.")
    workload = value_at(properties, "securityProfile.workloadIdentity.enabled")
    if workload and not value_at(properties, "oidcIssuerProfile.enabled"):
        raise refused("Workload identity needs 'oidcIssuerProfile.enabled'.")
    access = properties.get("apiServerAccessProfile") or {}
    if access.get("enablePrivateCluster") and access.get("authorizedIPRanges"):
        raise refused("'authorizedIPRanges' is not supported on a private cluster.")
    for text in access.get("authorizedIPRanges") or []:
        try:
            ip_network(text)
        except ValueError as error:
            raise refused(f"'{text}' of 'authorizedIPRanges' is not an IP range: {error}.") from error


def _validate_network(change: Change) -> None:
    profile = change.resource.properties.get("networkProfile") or {}
    one_of(change, "properties.networkProfile.networkPolicy", profile.get("networkPolicy") or "none", _POLICIES)
    if (profile.get("networkPolicy") == "cilium") != (profile.get("networkDataplane") == "cilium"):
        raise refused("networkPolicy 'cilium' and networkDataplane 'cilium' need each other.")
    if profile.get("networkPluginMode") == "overlay" and profile.get("networkPlugin") != "azure":
        raise refused("networkPluginMode 'overlay' needs networkPlugin 'azure'.")
    if profile.get("serviceCidr") and profile.get("dnsServiceIP"):
        services = ip_network(str(profile["serviceCidr"]))
        if ip_network(str(profile["dnsServiceIP"])).network_address not in services:
            raise refused(f"dnsServiceIP {profile['dnsServiceIP']} is not within serviceCidr {services}.")


def _validate_addons(change: Change) -> None:
    paths = (
        "addonProfiles.omsagent.config.logAnalyticsWorkspaceResourceID",
        "securityProfile.defender.logAnalyticsWorkspaceResourceId",
    )
    for path in paths:
        target = value_at(change.resource.properties, path)
        if target and change.arm.get(str(target)) is None:
            raise refused(f"'{path}' refers to '{target}', which does not exist.", "InvalidResourceReference")


def _before_cluster(change: Change) -> None:
    made_once(change, resourceUID=lambda: new_guid().replace("-", "")[:24])
    change.resource.private.setdefault("kubelet", {"objectId": new_guid(), "clientId": new_guid()})
    change.resource.private.setdefault("suffix", new_guid()[:8])
    change.resource.sku = change.resource.sku or {"name": "Base", "tier": "Free"}


async def _join_network(change: Change) -> None:
    """Nodes and load balancers join a subnet as the cluster's own identity, which must be allowed to."""
    identities = list(((change.resource.identity or {}).get("userAssignedIdentities") or {}).values())
    for profile in change.resource.properties.get("agentPoolProfiles") or []:
        subnet = profile.get("vnetSubnetID")
        if subnet and identities and not _may_join(change.arm, identities[0]["principalId"], str(subnet)):
            raise refused(
                f"The cluster's identity '{identities[0]['principalId']}' lacks"
                f" 'Microsoft.Network/virtualNetworks/subnets/join/action' at '{subnet}'.",
                "CustomVNETMissingPermission",
            )


def _may_join(arm: ArmState, principal: str, subnet: str) -> bool:
    for each in arm.of_type(_ASSIGNMENT):
        at = parse(each.id).scope.lower()
        if each.properties.get("principalId") == principal and (subnet.lower() + "/").startswith(at + "/"):
            actions = [a for p in permissions_of(arm, str(each.properties["roleDefinitionId"])) for a in p["actions"]]
            if {"*", "Microsoft.Network/*"} & set(actions):
                return True
    return False


def _computed_cluster(cluster: Resource, view: View) -> Json:
    tenant, host = view.sandbox.settings.tenant_id, f"{cluster.properties.get('dnsPrefix')}-{cluster.private['suffix']}"
    group = f"MC_{parse(cluster.id).group}_{cluster.name}_{cluster.location}"[:80]
    private = value_at(cluster.properties, "apiServerAccessProfile.enablePrivateCluster")
    name = f"{cluster.name}-agentpool"
    scope = f"/subscriptions/{parse(cluster.id).subscription}/resourceGroups/{group}"
    kubelet = {"resourceId": f"{scope}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"}
    shown: Json = {
        "powerState": {"code": "Running"},
        "currentKubernetesVersion": f"{cluster.properties.get('kubernetesVersion')}.5",
        "nodeResourceGroup": cluster.properties.get("nodeResourceGroup") or group,
        "identityProfile": {"kubeletidentity": {**kubelet, **cluster.private["kubelet"]}},
        ("privateFQDN" if private else "fqdn"): f"{host}.hcp.{cluster.location}.azmk8s.io",
    }
    if value_at(cluster.properties, "oidcIssuerProfile.enabled"):
        issuer = f"https://{cluster.location}.oic.prod-aks.azure.com/{tenant}/{cluster.properties['resourceUID']}/"
        shown["oidcIssuerProfile"] = {"enabled": True, "issuerURL": issuer}
    return shown


# Pools


def _validate_pool(change: Change) -> None:
    _validate_pool_properties(change, change.resource.name, change.resource.properties)


def _validate_pool_properties(change: Change, name: str, pool: Json) -> None:
    if not pool.get("vmSize"):
        raise refused(f"'vmSize' of pool '{name}' is missing.")
    low, high, system = pool.get("minCount"), pool.get("maxCount"), pool.get("mode") == "System"
    if pool.get("enableAutoScaling"):
        if not isinstance(low, int) or not isinstance(high, int) or not (1 if system else 0) <= low <= high <= 1000:
            least = 1 if system else 0
            raise refused(
                f"Pool '{name}': minCount is {low} and maxCount is {high}; allowed: {least} <= minCount <= maxCount <= 1000."
            )
    elif low is not None or high is not None:
        raise refused(f"Pool '{name}': minCount and maxCount need enableAutoScaling.")
    subnet = pool.get("vnetSubnetID")
    if subnet and change.arm.get(str(subnet)) is None:
        raise refused(
            f"'vnetSubnetID' of pool '{name}' refers to '{subnet}', which does not exist.", "VnetSubnetNotFound"
        )


def _before_pool(change: Change) -> None:
    """A count that is left out stays as it is: the autoscaler's."""
    pool, before = change.resource, change.before
    if pool.properties.get("count") is None:
        kept = before.properties.get("count") if before else None
        pool.properties["count"] = max(int(pool.properties.get("minCount") or 0), int(kept or 0))


# What is installed


def _validate_binding(change: Change) -> None:
    source = str(change.resource.properties["sourceResourceId"])
    if change.arm.get(source) is None:
        raise refused(f"'sourceResourceId' refers to '{source}', which does not exist.", "InvalidResourceReference")
    kind = parse(source).type.lower()
    for role in change.resource.properties.get("roles") or []:
        if not str(role).lower().startswith(kind + "/"):
            raise refused(f"The role '{role}' is none of '{parse(source).type}'.", "TrustedAccessRoleNotFound")


def _validate_window(change: Change) -> None:
    window = change.resource.properties.get("maintenanceWindow") or {}
    hours = window.get("durationHours")
    if not isinstance(hours, int) or not 4 <= hours <= 24:
        raise refused(f"'maintenanceWindow.durationHours' is {hours}; allowed: 4 to 24.")
    day = value_at(window, "schedule.weekly.dayOfWeek")
    if day is not None:
        one_of(change, "maintenanceWindow.schedule.weekly.dayOfWeek", day, _WEEK)


def has_namespace(arm: ArmState, cluster_id: str, name: str) -> bool:
    """`default` is in every cluster; the others that the sandbox knows were made through ARM."""
    return name == "default" or arm.get(f"{cluster_id}/managedNamespaces/{name}") is not None


def _inner(name: str, **differences: object) -> ResourceType:
    fixed: dict[str, object] = {"versions": VERSIONS, "location": "none", "taggable": False, "long": True}
    return ResourceType(name=name, **(fixed | differences))  # type: ignore[arg-type]


TYPES = (
    ResourceType(
        name=CLUSTER,
        versions=VERSIONS,
        long=True,
        keys=frozenset({"extendedLocation"}),
        name_rule=(r"[a-zA-Z0-9](?:[\w-]{0,61}[a-zA-Z0-9])?", "1-63 letters, digits, - and _, a letter or digit at both ends"),
        immutable=("properties.dnsPrefix", "properties.networkProfile.podCidr", "properties.networkProfile.serviceCidr",
                   "properties.apiServerAccessProfile.enablePrivateCluster"),
        required=("dnsPrefix",),
        validate=_validate_cluster,
        before_put=_before_cluster,
        after_put=_join_network,
        computed=_computed_cluster,
    ),
    _inner(
        POOL,
        name_rule=(r"[a-z][a-z0-9]{0,11}", "1-12 lower-case letters and digits, starting with a letter"),
        immutable=("properties.vmSize", "properties.osType", "properties.vnetSubnetID"),
        validate=_validate_pool,
        before_put=_before_pool,
    ),
    _inner(f"{CLUSTER}/maintenanceConfigurations", long=False, provisioned=False, validate=_validate_window),
    _inner(BINDING, required=("sourceResourceId", "roles"), validate=_validate_binding),
    _inner(
        NAMESPACE,
        location="required",
        taggable=True,
        name_rule=(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "1-63 lower-case letters, digits and inner hyphens"),
    ),
)  # fmt: skip
