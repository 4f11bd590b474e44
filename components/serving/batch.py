"""Batch endpoints. Pulumi owns the endpoint; its deployments, and which of them is the default, are not Pulumi's."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.base import Placement, child
from components.serving.live_traffic import BATCH, Carrier
from components.serving.settings import BatchEndpointSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchEndpointArgs:
    place: Placement
    use_case: str
    settings: BatchEndpointSettings
    endpoint_name: str
    #: Plain, because the live default is read by it before the workspace's outputs are known.
    workspace_name: str


class BatchEndpoint(pulumi.ComponentResource):
    """One batch endpoint; its jobs run as the cluster's identity. Outputs: `endpoint_id`, `endpoint_name`, `scoring_uri`."""

    endpoint_id: pulumi.Output[str]
    endpoint_name: pulumi.Output[str]
    scoring_uri: pulumi.Output[str]

    def __init__(self, name: str, args: BatchEndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:serving:BatchEndpoint", name, None, opts)
        from pulumi_azure_native import machinelearningservices as ml

        place = args.place
        carrier = Carrier(place.resource_group, args.workspace_name, args.endpoint_name, kind=BATCH)
        endpoint = ml.BatchEndpoint(
            name,
            endpoint_name=args.endpoint_name,
            resource_group_name=place.resource_group,
            workspace_name=args.workspace_name,
            location=place.location,
            properties=ml.BatchEndpointPropertiesArgs(
                # the only mode that Azure has for batch
                auth_mode="AADToken",
                description=f"{args.use_case}, scored with model {args.settings.model}",
            ),
            tags={**place.tags, "use-case": args.use_case},
            opts=pulumi.ResourceOptions.merge(child(self, place, precious=True), carrier.options(name)),
        )
        self.endpoint_id, self.endpoint_name = endpoint.id, endpoint.name
        self.scoring_uri = endpoint.properties.apply(lambda properties: properties.scoring_uri)
        self.register_outputs({"endpoint_id": self.endpoint_id, "scoring_uri": self.scoring_uri})
