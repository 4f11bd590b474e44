"""The stack's cluster, attached to its workspace."""

from __future__ import annotations

from dataclasses import dataclass

from components.base import Placement
from components.foundation import Foundation
from components.kubernetes.attachment import Attachment, AttachmentArgs
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
            workspace_principal_id=workspace.principal_id,
        ),
    )
    return Kubernetes(cluster=cluster, attachment=attachment)
