"""Online endpoints. Pulumi owns the endpoint; its deployments and traffic are `rollout`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.identity.managed import Grant, ManagedIdentity, managed_identity
from components.identity.roles import Role
from components.serving.live_traffic import Carrier
from components.serving.settings import EndpointSettings

LOG_CATEGORIES = ("AmlOnlineEndpointTrafficLog", "AmlOnlineEndpointConsoleLog", "AmlOnlineEndpointEventLog")


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointArgs:
    place: Placement
    use_case: str
    settings: EndpointSettings
    endpoint_name: str
    #: Plain, because live traffic is read by it before the workspace's outputs are known.
    workspace_name: str
    workspace_id: pulumi.Input[str]
    storage_account_id: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    log_analytics_id: pulumi.Input[str]
    #: The registry that models are promoted through.
    model_registry_id: pulumi.Input[str] | None = None
    #: The attached cluster that deployments run on, and what has to exist before; none: Azure's machines.
    compute_id: str | None = None
    compute: pulumi.Resource | None = None


class Endpoint(pulumi.ComponentResource):
    """One online endpoint, the identity that its deployments run as, and its logs.

    Outputs: `endpoint_id`, `endpoint_name`, `scoring_uri` (https), `identity`.
    """

    endpoint_id: pulumi.Output[str]
    endpoint_name: pulumi.Output[str]
    scoring_uri: pulumi.Output[str]
    identity: ManagedIdentity

    def __init__(self, name: str, args: EndpointArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:serving:Endpoint", name, None, opts)
        self._name, self._args = name, args
        self.identity = self._build_identity()
        endpoint = self._build_endpoint()
        self.endpoint_id, self.endpoint_name = endpoint.id, endpoint.name
        self.scoring_uri = endpoint.properties.apply(lambda properties: properties.scoring_uri)
        if args.compute is None:  # Azure ML logs nothing of Kubernetes endpoints: their pods' logs are the cluster's
            self._build_logs(endpoint.id)
        self.register_outputs({"endpoint_id": self.endpoint_id, "scoring_uri": self.scoring_uri})

    def _build_identity(self) -> ManagedIdentity:
        """What a deployment does besides scoring: pull its image, read its model, report its metrics."""
        args = self._args
        grants = [
            Grant("registry", Role.ACR_PULL, args.registry_id),
            Grant("storage", Role.BLOB_DATA_READER, args.storage_account_id),
            Grant("workspace", Role.AZUREML_METRICS_WRITER, args.workspace_id),
        ]
        if args.model_registry_id is not None:
            grants.append(Grant("models", Role.AZUREML_REGISTRY_USER, args.model_registry_id))
        return managed_identity(
            f"{self._name}-identity", whose=f"endpoint-{args.use_case}", parent=self, place=args.place, grants=grants
        )

    def _build_endpoint(self) -> Any:
        from pulumi_azure_native import machinelearningservices as ml

        args, place, settings = self._args, self._args.place, self._args.settings
        carrier = Carrier(place.resource_group, args.workspace_name, args.endpoint_name)
        return ml.OnlineEndpoint(
            self._name,
            endpoint_name=args.endpoint_name,
            resource_group_name=place.resource_group,
            workspace_name=args.workspace_name,
            location=place.location,
            kind="Managed" if args.compute is None else "Kubernetes",
            # plain, because live traffic is carried by comparing what is declared with what is there
            identity=ml.ManagedServiceIdentityArgs(
                type="UserAssigned", user_assigned_identities=[self.identity.plain_id]
            ),
            properties=ml.OnlineEndpointPropertiesArgs(
                auth_mode=settings.auth_mode,
                compute=args.compute_id,
                description=f"{args.use_case}, served from model {settings.model}",
                # the cluster's load balancer decides who reaches a Kubernetes endpoint
                public_network_access=None if args.compute else _access(settings.public_network_access),
            ),
            tags={**place.tags, "use-case": args.use_case},
            opts=pulumi.ResourceOptions.merge(
                child(
                    self, place, precious=True, after=[*self.identity.ready, *([args.compute] if args.compute else [])]
                ),
                carrier.options(self._name),
            ),
        )

    def _build_logs(self, endpoint_id: pulumi.Output[str]) -> None:
        from pulumi_azure_native import monitor

        monitor.DiagnosticSetting(
            f"{self._name}-logs",
            name="to-log-analytics",
            resource_uri=endpoint_id,
            workspace_id=self._args.log_analytics_id,
            logs=[monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in LOG_CATEGORIES],
            opts=child(self, self._args.place),
        )


def _access(public: bool) -> str:
    return "Enabled" if public else "Disabled"
