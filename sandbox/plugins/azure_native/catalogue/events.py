"""Event Grid."""

from __future__ import annotations

from sandbox.plugins.azure_native.row import row, wrapped

ROWS = (
    row("eventgrid:Topic", "Microsoft.EventGrid/topics/{topicName}", immutable=("location",)),
    row(
        "eventgrid:SystemTopic",
        "Microsoft.EventGrid/systemTopics/{systemTopicName}",
        immutable=("location", "source", "topicType"),
    ),
    row("eventgrid:EventSubscription", "{scope}/providers/Microsoft.EventGrid/eventSubscriptions/{eventSubscriptionName}"),
    row(
        "eventgrid:SystemTopicEventSubscription",
        "Microsoft.EventGrid/systemTopics/{systemTopicName}/eventSubscriptions/{eventSubscriptionName}",
    ),
    row(
        "eventgrid:TopicEventSubscription",
        "Microsoft.EventGrid/topics/{topicName}/eventSubscriptions/{eventSubscriptionName}",
    ),
)  # fmt: skip
_DESTINATION = wrapped("endpointType")
NESTED = {
    **{
        ("eventgrid", f"{name}EventSubscriptionDestination"): _DESTINATION
        for name in (
            "AzureFunction", "EventHub", "HybridConnection", "MonitorAlert", "NamespaceTopic", "ServiceBusQueue",
            "ServiceBusTopic", "StorageQueue", "WebHook",
        )
    },
    ("eventgrid", "StorageBlobDeadLetterDestination"): _DESTINATION,
    ("eventgrid", "DynamicDeliveryAttributeMapping"): wrapped("name", "type"),
    ("eventgrid", "StaticDeliveryAttributeMapping"): wrapped("name", "type"),
    ("eventgrid", "JsonInputSchemaMapping"): wrapped("inputSchemaMappingType"),
}  # fmt: skip
ACTIONS = {"eventgrid:listTopicSharedAccessKeys": ("eventgrid:Topic", "listKeys")}
