"""Training clusters: any number from the stack file, scaling to zero, no SSH."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.compute.settings import ClusterSettings
from components.identity.managed import Grant, ManagedIdentity, managed_identity
from components.identity.roles import Role, no_changes_in
from components.naming import JOURNAL

#: Azure ML refuses to change these in place, which its API's description does not say: the preview has to.
FIXED = tuple(
    f"properties.properties.{name}" for name in ("vmSize", "vmPriority", "osType", "subnet", "enableNodePublicIp")
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClustersArgs:
    place: Placement
    workspace_name: pulumi.Input[str]
    clusters: Mapping[str, ClusterSettings]
    storage_account_id: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    #: The registry that models are promoted through.
    model_registry_id: pulumi.Input[str] | None = None
    #: Nodes join this subnet; none: the workspace's network.
    subnet_id: pulumi.Input[str] | None = None
    #: Nodes get public addresses.
    public_nodes: bool = True


class Clusters(pulumi.ComponentResource):
    """Azure ML compute clusters, and the one identity that their jobs run as: a further cluster is one more resource.

    Outputs: `cluster_ids` by name, `identity`.
    """

    cluster_ids: dict[str, pulumi.Output[str]]
    identity: ManagedIdentity

    def __init__(self, name: str, args: ClustersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Clusters", name, None, opts)
        self._name, self._args = name, args
        self.identity = self._build_identity()
        self.cluster_ids = {
            each: self._build(each, settings, self.identity) for each, settings in args.clusters.items()
        }
        self.register_outputs({"cluster_ids": self.cluster_ids})

    def _build_identity(self) -> ManagedIdentity:
        """Jobs pull images and work on data; the record of who moved which traffic is not theirs to change."""
        args = self._args
        grants = [
            Grant("registry", Role.ACR_PULL, args.registry_id),
            Grant("storage", Role.BLOB_DATA_CONTRIBUTOR, args.storage_account_id, no_changes_in(JOURNAL)),
        ]
        if args.model_registry_id is not None:
            grants.append(Grant("models", Role.AZUREML_REGISTRY_USER, args.model_registry_id))
        return managed_identity(
            f"{self._name}-identity", whose="clusters", parent=self, place=args.place, grants=grants
        )

    def _build(self, cluster: str, settings: ClusterSettings, identity: ManagedIdentity) -> pulumi.Output[str]:
        from pulumi_azure_native import machinelearningservices as ml

        args, place = self._args, self._args.place
        compute = ml.Compute(
            f"{self._name}-{cluster}",
            compute_name=cluster,
            resource_group_name=place.resource_group,
            workspace_name=args.workspace_name,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[identity.id]),
            properties=ml.AmlComputeArgs(
                compute_type="AmlCompute",
                disable_local_auth=True,
                properties=ml.AmlComputePropertiesArgs(
                    vm_size=settings.vm_size,
                    vm_priority=settings.tier,
                    os_type="Linux",
                    remote_login_port_public_access="Disabled",
                    subnet=ml.ResourceIdArgs(id=args.subnet_id) if args.subnet_id is not None else None,
                    enable_node_public_ip=args.public_nodes,
                    scale_settings=ml.ScaleSettingsArgs(
                        min_node_count=settings.min_nodes,
                        max_node_count=settings.max_nodes,
                        node_idle_time_before_scale_down=f"PT{settings.idle_minutes * 60}S",
                    ),
                ),
            ),
            # what the off-hours runbook puts back in the morning
            tags={**place.tags, "min-nodes": str(settings.min_nodes)},
            opts=pulumi.ResourceOptions.merge(
                child(self, place, after=identity.ready),
                # the name is the stack file's, so that the new one can't be made beside the old
                pulumi.ResourceOptions(replace_on_changes=list(FIXED), delete_before_replace=True),
            ),
        )
        identifier: pulumi.Output[str] = compute.id
        return identifier
