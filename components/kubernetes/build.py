"""The stack's cluster, attached to its workspace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement
from components.foundation import Foundation
from components.identity.roles import Principal
from components.kubernetes.attachment import COMPUTE, Attachment, AttachmentArgs
from components.kubernetes.cluster import Cluster, ClusterArgs
from components.observability.logs import Observability
from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Kubernetes:
    cluster: Cluster
    attachment: Attachment


def build_kubernetes(
    settings: Settings, place: Placement, foundation: Foundation, seen: Observability
) -> Kubernetes | None:
    """Declare it; None where the stack has none."""
    if not settings.kubernetes.enabled:
        return None
    network, workspace = foundation.network, foundation.workspace
    cluster = Cluster(
        "kubernetes",
        ClusterArgs(
            place=place,
            settings=settings.kubernetes,
            subnet_id=network.subnet_ids["aks"] if network is not None else None,
            registry_id=workspace.registry_id,
            log_analytics_id=seen.log_analytics_id,
        ),
    )
    attachment = Attachment(
        "kubernetes-compute",
        AttachmentArgs(
            place=place,
            settings=settings.kubernetes,
            cluster=cluster,
            workspace_id=workspace.workspace_id,
            workspace_name=workspace.workspace_name,
            workspace_principal=Principal(workspace.principal_id, workspace.identity),
        ),
    )
    return Kubernetes(cluster=cluster, attachment=attachment)


def compute_id_of(place: Placement) -> str:
    """The attached compute's ARM id; plain, because live traffic is carried by comparing what is declared with what is there."""
    workspace = place.names.of("machine learning workspace")
    return f"{place.group_id}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}/computes/{COMPUTE}"


def parts_of(kubernetes: Kubernetes | None) -> list[pulumi.Resource]:
    """The components, for who comes after them."""
    return [kubernetes.cluster, kubernetes.attachment] if kubernetes else []


def kubernetes_outputs(settings: Settings, kubernetes: Kubernetes | None) -> dict[str, Any]:
    """The contract's `kubernetes`."""
    if kubernetes is None:
        return {"kubernetes": None}
    cluster, attachment, wanted = kubernetes.cluster, kubernetes.attachment, settings.kubernetes
    pools = {
        name: {"vm_size": pool.vm_size, "min_nodes": pool.min_nodes, "max_nodes": pool.max_nodes}
        for name, pool in wanted.pools.by_name().items()
    }
    return {
        "kubernetes": {
            "cluster_name": cluster.cluster_name,
            "cluster_id": cluster.cluster_id,
            "oidc_issuer_url": cluster.oidc_issuer_url,
            "compute_name": attachment.compute_name,
            "compute_id": attachment.compute_id,
            "namespace": wanted.namespace,
            "pools": pools,
            "instance_types": sorted(wanted.instance_types),
        }
    }
