"""Where the pods' logs go: the rule that the cluster's agent collects by, and its tie to the cluster."""

from __future__ import annotations

import pulumi

from components.base import Placement, child

_STREAMS = ["Microsoft-ContainerLogV2", "Microsoft-KubeEvents", "Microsoft-KubePodInventory"]
_DESTINATION = "log-analytics"


def collect_logs(
    name: str,
    *,
    cluster_id: pulumi.Input[str],
    log_analytics_id: pulumi.Input[str],
    parent: pulumi.Resource,
    place: Placement,
) -> pulumi.Resource:
    """Without the rule the agent, which signs in with Entra, collects nothing."""
    from pulumi_azure_native import monitor

    rule = monitor.DataCollectionRule(
        f"{name}-logs",
        data_collection_rule_name=place.names.of("data collection rule", "kubernetes"),
        resource_group_name=place.resource_group,
        location=place.location,
        kind="Linux",
        data_sources=monitor.DataCollectionRuleDataSourcesArgs(
            extensions=[
                monitor.ExtensionDataSourceArgs(
                    name="ContainerInsightsExtension",
                    extension_name="ContainerInsights",
                    streams=_STREAMS,
                    extension_settings={"dataCollectionSettings": {"interval": "1m", "enableContainerLogV2": True}},
                )
            ]
        ),
        destinations=monitor.DataCollectionRuleDestinationsArgs(
            log_analytics=[
                monitor.LogAnalyticsDestinationArgs(name=_DESTINATION, workspace_resource_id=log_analytics_id)
            ]
        ),
        data_flows=[monitor.DataFlowArgs(streams=_STREAMS, destinations=[_DESTINATION])],
        tags=place.tags,
        opts=child(parent, place),
    )
    made: pulumi.Resource = monitor.DataCollectionRuleAssociation(
        f"{name}-logs-tie",
        association_name="ContainerInsightsExtension",
        resource_uri=cluster_id,
        data_collection_rule_id=rule.id,
        opts=child(parent, place),
    )
    return made
