"""Training clusters: any number from the stack file, scaling to zero, no SSH."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.compute.settings import ClusterSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class ClustersArgs:
    place: Placement
    workspace_name: pulumi.Input[str]
    clusters: Mapping[str, ClusterSettings]
    #: Nodes join this subnet, without public addresses; none: the workspace's network.
    subnet_id: pulumi.Input[str] | None = None


class Clusters(pulumi.ComponentResource):
    """Azure ML compute clusters. Output: `cluster_ids` by name."""

    cluster_ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ClustersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Clusters", name, None, opts)
        self._name, self._args = name, args
        self.cluster_ids = {cluster: self._build(cluster, settings) for cluster, settings in args.clusters.items()}
        self.register_outputs({"cluster_ids": self.cluster_ids})

    def _build(self, cluster: str, settings: ClusterSettings) -> pulumi.Output[str]:
        from pulumi_azure_native import machinelearningservices as ml

        place, subnet = self._args.place, self._args.subnet_id
        compute = ml.Compute(
            f"{self._name}-{cluster}",
            compute_name=cluster,
            resource_group_name=place.resource_group,
            workspace_name=self._args.workspace_name,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(type="SystemAssigned"),
            properties=ml.AmlComputeArgs(
                compute_type="AmlCompute",
                disable_local_auth=True,
                properties=ml.AmlComputePropertiesArgs(
                    vm_size=settings.vm_size,
                    vm_priority=settings.tier,
                    os_type="Linux",
                    remote_login_port_public_access="Disabled",
                    subnet=ml.ResourceIdArgs(id=subnet) if subnet is not None else None,
                    enable_node_public_ip=False if subnet is not None else None,
                    scale_settings=ml.ScaleSettingsArgs(
                        min_node_count=settings.min_nodes,
                        max_node_count=settings.max_nodes,
                        node_idle_time_before_scale_down=f"PT{settings.idle_minutes * 60}S",
                    ),
                ),
            ),
            tags=place.tags,
            opts=child(self, place),
        )
        identifier: pulumi.Output[str] = compute.id
        return identifier
