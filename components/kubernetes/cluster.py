"""An AKS cluster for models: Entra identities only, pools that scale by themselves, least roles for its own identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.managed import user_assigned
from components.identity.roles import Role, assign
from components.kubernetes.insights import collect_logs
from components.kubernetes.settings import KubernetesSettings, PoolSettings

#: Azure's name of the schedule that automatic upgrades keep to.
UPGRADES = "aksManagedAutoUpgradeSchedule"


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterArgs:
    place: Placement
    settings: KubernetesSettings
    #: Where nodes get their addresses; none: a network that Azure makes for the cluster.
    subnet_id: pulumi.Input[str] | None
    registry_id: pulumi.Input[str]
    log_analytics_id: pulumi.Input[str]


class Cluster(pulumi.ComponentResource):
    """A managed cluster with its node pools.

    Outputs: `cluster_id`, `cluster_name`, `oidc_issuer_url`, `ready` (what has to exist before pods can run).
    """

    cluster_id: pulumi.Output[str]
    cluster_name: pulumi.Output[str]
    oidc_issuer_url: pulumi.Output[str]
    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:kubernetes:Cluster", name, None, opts)
        self._name, self._args = name, args
        identity = user_assigned(f"{self._name}-identity", whose="kubernetes", parent=self, place=args.place)
        cluster = self._build_cluster(identity.id, self._grant_network(identity))
        self.cluster_id, self.cluster_name = cluster.id, cluster.name
        self.oidc_issuer_url = cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url)
        kubelet = cluster.identity_profile.apply(lambda profile: profile["kubeletidentity"].object_id)
        pull = assign(
            f"{name}-pull",
            Role.ACR_PULL,
            to=kubelet,
            scope=args.registry_id,
            parent=self,
            place=args.place,
            holder=cluster,
        )
        if args.settings.container_insights:
            collect_logs(
                name, cluster_id=cluster.id, log_analytics_id=args.log_analytics_id, parent=self, place=args.place
            )
        self.ready = [pull, *self._build_pools(cluster), self._build_maintenance(cluster)]
        self.register_outputs({"cluster_id": self.cluster_id, "oidc_issuer_url": self.oidc_issuer_url})

    def _grant_network(self, identity: Any) -> list[pulumi.Resource]:
        """Load balancers and nodes join the cluster's own subnet, and no other."""
        args = self._args
        if args.subnet_id is None:
            return []
        return [
            assign(
                f"{self._name}-network",
                Role.NETWORK_CONTRIBUTOR,
                to=identity.principal_id,
                scope=args.subnet_id,
                parent=self,
                place=args.place,
                holder=identity,
            )
        ]

    def _build_cluster(self, identity_id: pulumi.Output[str], roles: list[pulumi.Resource]) -> Any:
        from pulumi_azure_native import containerservice as aks

        place, settings = self._args.place, self._args.settings
        name = place.names.of("kubernetes cluster")
        return aks.ManagedCluster(
            self._name,
            resource_name_=name,
            resource_group_name=place.resource_group,
            location=place.location,
            dns_prefix=name[:54].rstrip("-"),
            kubernetes_version=settings.version,
            sku=aks.ManagedClusterSKUArgs(name="Base", tier=settings.tier),
            support_plan="KubernetesOfficial",
            identity=aks.ManagedClusterIdentityArgs(type="UserAssigned", user_assigned_identities=[identity_id]),
            enable_rbac=True,
            disable_local_accounts=True,
            aad_profile=aks.ManagedClusterAADProfileArgs(
                managed=True,
                enable_azure_rbac=True,
                tenant_id=place.tenant_id,
                admin_group_object_ids=list(settings.admin_groups) or None,
            ),
            api_server_access_profile=self._api_server(),
            network_profile=self._network(),
            oidc_issuer_profile=aks.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=self._security(),
            auto_upgrade_profile=aks.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel=settings.upgrade_channel, node_os_upgrade_channel="NodeImage"
            ),
            addon_profiles=self._addons(),
            agent_pool_profiles=[
                aks.ManagedClusterAgentPoolProfileArgs(
                    name="system", mode="System", **self._pool("system", settings.pools.system)
                )
            ],
            tags=place.tags,
            opts=child(self, place, precious=True, after=roles),
        )

    def _api_server(self) -> Any:
        from pulumi_azure_native import containerservice as aks

        settings = self._args.settings
        if not settings.private_cluster:
            ranges = list(settings.authorized_ranges) or None
            return aks.ManagedClusterAPIServerAccessProfileArgs(authorized_ip_ranges=ranges, disable_run_command=True)
        return aks.ManagedClusterAPIServerAccessProfileArgs(
            enable_private_cluster=True,
            enable_private_cluster_public_fqdn=False,
            private_dns_zone="system",
            disable_run_command=True,
        )

    def _network(self) -> Any:
        """Azure CNI in overlay mode: pods take no addresses of the subnet."""
        from pulumi_azure_native import containerservice as aks

        settings = self._args.settings
        # by convention the tenth address of the range
        dns = settings.service_range.partition("/")[0].rsplit(".", 1)[0] + ".10"
        return aks.ContainerServiceNetworkProfileArgs(
            network_plugin="azure",
            network_plugin_mode="overlay",
            network_policy=settings.network_policy,
            network_dataplane="cilium" if settings.network_policy == "cilium" else "azure",
            load_balancer_sku="standard",
            outbound_type="loadBalancer",
            pod_cidr=settings.pod_range,
            service_cidr=settings.service_range,
            dns_service_ip=dns,
        )

    def _security(self) -> Any:
        from pulumi_azure_native import containerservice as aks

        defender = None
        if self._args.settings.defender:
            defender = aks.ManagedClusterSecurityProfileDefenderArgs(
                log_analytics_workspace_resource_id=self._args.log_analytics_id,
                security_monitoring=aks.ManagedClusterSecurityProfileDefenderSecurityMonitoringArgs(enabled=True),
            )
        return aks.ManagedClusterSecurityProfileArgs(
            workload_identity=aks.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True),
            image_cleaner=aks.ManagedClusterSecurityProfileImageCleanerArgs(enabled=True, interval_hours=168),
            defender=defender,
        )

    def _addons(self) -> dict[str, Any] | None:
        from pulumi_azure_native import containerservice as aks

        if not self._args.settings.container_insights:
            return None
        config = {"logAnalyticsWorkspaceResourceID": self._args.log_analytics_id, "useAADAuth": "true"}
        return {"omsagent": aks.ManagedClusterAddonProfileArgs(enabled=True, config=config)}

    def _pool(self, name: str, pool: PoolSettings) -> dict[str, Any]:
        """What a pool has wherever it is declared. No count: it is the autoscaler's, and would be reset by every update."""
        from pulumi_azure_native import containerservice as aks

        return {
            "type": "VirtualMachineScaleSets",
            "os_type": "Linux",
            "os_sku": "AzureLinux",
            "vm_size": pool.vm_size,
            "enable_auto_scaling": True,
            "min_count": pool.min_nodes,
            "max_count": pool.max_nodes,
            "enable_node_public_ip": False,
            "node_labels": {"pool": name, **pool.labels},
            "node_taints": list(pool.taints) or None,
            "vnet_subnet_id": self._args.subnet_id,
            "upgrade_settings": aks.AgentPoolUpgradeSettingsArgs(max_surge="33%"),
            "tags": self._args.place.tags,
        }

    def _build_pools(self, cluster: Any) -> list[pulumi.Resource]:
        from pulumi_azure_native import containerservice as aks

        place, pools = self._args.place, self._args.settings.pools.by_name()
        made: list[pulumi.Resource] = []
        for name, pool in pools.items():
            if name == "system":
                continue
            made.append(
                aks.AgentPool(
                    f"{self._name}-{name}",
                    agent_pool_name=name,
                    resource_name_=cluster.name,
                    resource_group_name=place.resource_group,
                    mode="User",
                    **self._pool(name, pool),
                    # a cluster takes one change at a time
                    opts=child(self, place, after=made),
                )
            )
        return made

    def _build_maintenance(self, cluster: Any) -> pulumi.Resource:
        from pulumi_azure_native import containerservice as aks

        place, window = self._args.place, self._args.settings.maintenance
        made: pulumi.Resource = aks.MaintenanceConfiguration(
            f"{self._name}-maintenance",
            config_name=UPGRADES,
            resource_name_=cluster.name,
            resource_group_name=place.resource_group,
            maintenance_window=aks.MaintenanceWindowArgs(
                schedule=aks.ScheduleArgs(weekly=aks.WeeklyScheduleArgs(day_of_week=window.day, interval_weeks=1)),
                start_time=window.start,
                duration_hours=window.hours,
                utc_offset="+00:00",
            ),
            opts=child(self, place),
        )
        return made
