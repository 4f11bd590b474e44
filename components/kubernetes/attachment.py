"""Azure ML in the cluster: the extension, the workspace's way in, the namespace, and the compute that endpoints name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.roles import Principal, Role, assign
from components.kubernetes.cluster import Cluster
from components.kubernetes.settings import InstanceTypeSettings, KubernetesSettings

#: The compute's name in the workspace.
COMPUTE = "kubernetes"
EXTENSION = "azureml"
#: What lets a workspace into a cluster without local accounts, or with a closed API server.
TRUSTED_ROLE = "Microsoft.MachineLearningServices/workspaces/mlworkload"
#: Azure ML's router runs thrice, on three nodes, or once.
_NODES_FOR_THREE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class AttachmentArgs:
    place: Placement
    settings: KubernetesSettings
    cluster: Cluster
    workspace_id: pulumi.Input[str]
    workspace_name: pulumi.Input[str]
    #: The workspace's own identity.
    workspace_principal: Principal


class Attachment(pulumi.ComponentResource):
    """The cluster as the workspace's compute. Outputs: `compute_id`, `compute_name`."""

    compute_id: pulumi.Output[str]
    compute_name: pulumi.Output[str]

    def __init__(self, name: str, args: AttachmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:kubernetes:Attachment", name, None, opts)
        self._name, self._args = name, args
        # The workspace has an identity of its own; Azure ML asks for this role for it, at the cluster alone.
        access = assign(
            f"{name}-workspace",
            Role.CONTRIBUTOR,
            to=args.workspace_principal.id,
            holder=args.workspace_principal.holder,
            scope=args.cluster.cluster_id,
            parent=self,
            place=args.place,
        )
        compute = self._build_compute(
            [access, self._build_trust(), self._build_extension(), *self._build_namespace(), *args.cluster.ready]
        )
        self.compute_id, self.compute_name = compute.id, compute.name
        self.register_outputs({"compute_id": self.compute_id, "compute_name": self.compute_name})

    def _build_extension(self) -> pulumi.Resource:
        from pulumi_azure_native import kubernetesconfiguration

        args = self._args
        made: pulumi.Resource = kubernetesconfiguration.Extension(
            f"{self._name}-extension",
            extension_name=EXTENSION,
            cluster_name=args.cluster.cluster_name,
            cluster_resource_name="managedClusters",
            cluster_rp="Microsoft.ContainerService",
            resource_group_name=args.place.resource_group,
            extension_type="microsoft.azureml.kubernetes",
            identity=kubernetesconfiguration.IdentityArgs(type="SystemAssigned"),
            auto_upgrade_minor_version=True,
            release_train="Stable",
            scope=kubernetesconfiguration.ScopeArgs(
                cluster=kubernetesconfiguration.ScopeClusterArgs(release_namespace="azureml")
            ),
            configuration_settings=configuration(args.settings),
            # its pods run on the user pool
            opts=child(self, args.place, after=args.cluster.ready),
        )
        return made

    def _build_trust(self) -> pulumi.Resource:
        from pulumi_azure_native import containerservice as aks

        args = self._args
        made: pulumi.Resource = aks.TrustedAccessRoleBinding(
            f"{self._name}-trust",
            trusted_access_role_binding_name="azureml",
            resource_name_=args.cluster.cluster_name,
            resource_group_name=args.place.resource_group,
            source_resource_id=args.workspace_id,
            roles=[TRUSTED_ROLE],
            opts=child(self, args.place, after=args.cluster.ready),
        )
        return made

    def _build_namespace(self) -> list[pulumi.Resource]:
        """Attaching makes none, and what runs in one that is missing fails."""
        from pulumi_azure_native import containerservice as aks

        args, place = self._args, self._args.place
        if args.settings.namespace == "default":
            return []
        return [
            aks.ManagedNamespace(
                f"{self._name}-namespace",
                managed_namespace_name=args.settings.namespace,
                resource_name_=args.cluster.cluster_name,
                resource_group_name=place.resource_group,
                location=place.location,
                properties=aks.NamespacePropertiesArgs(
                    adoption_policy="IfIdentical",
                    delete_policy="Delete",
                    # Azure ML's router comes from a namespace of its own
                    default_network_policy=aks.NetworkPoliciesArgs(ingress="AllowAll", egress="AllowAll"),
                ),
                tags=place.tags,
                opts=child(self, place, after=args.cluster.ready),
            )
        ]

    def _build_compute(self, after: list[pulumi.Resource]) -> Any:
        from pulumi_azure_native import machinelearningservices as ml

        args, place, settings = self._args, self._args.place, self._args.settings
        return ml.Compute(
            self._name,
            compute_name=COMPUTE,
            resource_group_name=place.resource_group,
            workspace_name=args.workspace_name,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(type="SystemAssigned"),
            properties=ml.KubernetesArgs(
                compute_type="Kubernetes",
                description="The stack's AKS cluster",
                disable_local_auth=True,
                resource_id=args.cluster.cluster_id,
                properties=ml.KubernetesPropertiesArgs(
                    namespace=settings.namespace,
                    default_instance_type=min(settings.instance_types),
                    instance_types={
                        name: ml.InstanceTypeSchemaArgs(
                            node_selector={"pool": "gpu" if kind.gpus else "user"},
                            resources=ml.InstanceTypeSchemaResourcesArgs(requests=requests(kind), limits=limits(kind)),
                        )
                        for name, kind in settings.instance_types.items()
                    },
                ),
            ),
            tags=place.tags,
            opts=child(self, place, after=after),
        )


def requests(kind: InstanceTypeSettings) -> dict[str, str]:
    """What a pod asks for."""
    return {"cpu": kind.cpu, "memory": kind.memory}


def limits(kind: InstanceTypeSettings) -> dict[str, str]:
    """The most that a pod gets: what it asks for, and GPUs, which Kubernetes takes as limits only."""
    return {**requests(kind), **({"nvidia.com/gpu": str(kind.gpus)} if kind.gpus else {})}


def configuration(settings: KubernetesSettings) -> dict[str, str]:
    """The extension's settings; Azure takes texts."""
    extension, wanted = settings.extension, {}
    wanted["enableTraining"] = _text(extension.training)
    wanted["enableInference"] = _text(extension.inference)
    wanted["installNvidiaDevicePlugin"] = _text(settings.pools.gpu is not None)
    if extension.inference:
        wanted["inferenceRouterServiceType"] = extension.router
        wanted["inferenceRouterHA"] = _text(settings.pools.user.min_nodes >= _NODES_FOR_THREE)
        wanted["allowInsecureConnections"] = _text(extension.allow_insecure)
        if extension.router == "loadBalancer" and extension.internal:
            wanted["internalLoadBalancerProvider"] = "azure"
        if extension.tls_secret is not None and extension.tls_name is not None:
            wanted |= {"sslSecret": extension.tls_secret, "sslCname": extension.tls_name}
    return wanted


def _text(value: bool) -> str:
    return "True" if value else "False"
