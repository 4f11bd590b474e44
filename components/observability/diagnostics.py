"""Diagnostic settings: what the platform's services write down of their use, all in Log Analytics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Placement, child

#: What is kept of each service. Endpoints have their own, in `components/serving/endpoint.py`.
CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "workspace": (
        "AmlComputeClusterEvent", "AmlComputeJobEvent", "AmlRunStatusChangedEvent", "ModelsChangeEvent",
        "ModelsActionEvent", "EnvironmentChangeEvent", "DataStoreChangeEvent", "ComputeInstanceEvent",
    ),
    "blobs": ("StorageRead", "StorageWrite", "StorageDelete"),
    "vault": ("AuditEvent",),
    "registry": ("ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"),
    "topic": ("DeliveryFailures", "PublishFailures", "DataPlaneRequests"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class DiagnosticsArgs:
    place: Placement
    log_analytics_id: pulumi.Input[str]
    #: ARM ids by a key of CATEGORIES.
    targets: Mapping[str, pulumi.Input[str]]


class Diagnostics(pulumi.ComponentResource):
    """A diagnostic setting at each target: who used the vault, who read which blob, which run failed."""

    def __init__(self, name: str, args: DiagnosticsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Diagnostics", name, None, opts)
        from pulumi_azure_native import monitor

        for what, target in args.targets.items():
            monitor.DiagnosticSetting(
                f"{name}-{what}",
                name="to-log-analytics",
                resource_uri=target,
                workspace_id=args.log_analytics_id,
                logs=[
                    monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in CATEGORIES[what]
                ],
                opts=child(self, args.place),
            )
        self.register_outputs({})
