"""The endpoints of a stack, each with what it stands on."""

from __future__ import annotations

from dataclasses import dataclass

from components.base import Placement
from components.foundation import Foundation
from components.kubernetes.build import Kubernetes, compute_id_of
from components.observability.logs import Observability
from components.serving.batch import BatchEndpoint, BatchEndpointArgs
from components.serving.endpoint import Endpoint, EndpointArgs
from components.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """Online and batch endpoints by use case."""

    online: dict[str, Endpoint]
    batch: dict[str, BatchEndpoint]


def build_serving(
    settings: Settings, place: Placement, foundation: Foundation, seen: Observability, kubernetes: Kubernetes | None
) -> Serving:
    """Declare the stack's endpoints, once its workspace is there."""
    place = place.behind(foundation.workspace)
    workspace_name = place.names.of("machine learning workspace")
    registry = foundation.model_registry
    online = {
        use_case: Endpoint(
            f"endpoint-{use_case}",
            EndpointArgs(
                place=place,
                use_case=use_case,
                settings=endpoint,
                endpoint_name=endpoint.name or place.names.endpoint(use_case),
                workspace_name=workspace_name,
                workspace_id=foundation.workspace.workspace_id,
                storage_account_id=foundation.storage.account_id,
                registry_id=foundation.workspace.registry_id,
                model_registry_id=registry.registry_id if registry else None,
                log_analytics_id=seen.log_analytics_id,
                compute=kubernetes.attachment if kubernetes and endpoint.compute == "kubernetes" else None,
                compute_id=compute_id_of(place) if endpoint.compute == "kubernetes" else None,
            ),
        )
        for use_case, endpoint in settings.endpoints.items()
    }
    batch = {
        use_case: BatchEndpoint(
            f"batch-{use_case}",
            BatchEndpointArgs(
                place=place,
                use_case=use_case,
                settings=endpoint,
                endpoint_name=endpoint.name or place.names.batch_endpoint(use_case),
                workspace_name=workspace_name,
            ),
        )
        for use_case, endpoint in settings.batch_endpoints.items()
    }
    return Serving(online=online, batch=batch)
