"""Microsoft.EventGrid: topics, system topics, subscriptions. Delivery is `sandbox.eventgrid`'s."""

from __future__ import annotations

from sandbox.arm.catalogue.common import list_keys, made_once, new_guid, one_of, private_keys, regenerate, versions
from sandbox.arm.checks import check_references, value_at
from sandbox.arm.ids import parse
from sandbox.arm.model import Action, Change, Json, Resource, ResourceType, View
from sandbox.kernel.errors import AzureError

TOPIC = "Microsoft.EventGrid/topics"
SYSTEM_TOPIC = "Microsoft.EventGrid/systemTopics"
SUBSCRIPTION = "Microsoft.EventGrid/eventSubscriptions"
VERSIONS = versions(
    "2020-06-01 2021-12-01 2022-06-15 2023-06-01-preview 2023-12-15-preview 2024-06-01-preview 2024-12-15-preview"
    " 2025-02-15 2025-04-01-preview 2025-07-15-preview 2025-11-15-preview"
)
SCHEMAS = ("EventGridSchema", "CloudEventSchemaV1_0", "CustomEventSchema")
_DESTINATIONS = (
    "WebHook", "EventHub", "StorageQueue", "HybridConnection", "ServiceBusQueue", "ServiceBusTopic", "AzureFunction",
    "MonitorAlert", "NamespaceTopic", "PartnerDestination",
)  # fmt: skip
_NAME = (r"[a-zA-Z0-9-]{3,50}", "3-50 letters, digits and dashes")


def _validate_topic(change: Change) -> None:
    one_of(change, "properties.inputSchema", change.resource.properties.get("inputSchema"), SCHEMAS)


def _before_topic(change: Change) -> None:
    private_keys(change, ("key1", "key2"))
    made_once(change, metricResourceId=new_guid)


def _computed_topic(topic: Resource, view: View) -> Json:
    public = f"https://{topic.name}.{topic.location}-1.eventgrid.azure.net/api/events"
    local = f"{view.sandbox.settings.url('eventgrid')}/{topic.name}/api/events"
    return {"endpoint": public if view.public else local, "privateEndpointConnections": []}


def _validate_system_topic(change: Change) -> None:
    source = str(change.resource.properties["source"])
    if parse(source).group:
        check_references(change, ("source",))


def _validate_subscription(change: Change) -> None:
    properties = change.resource.properties
    destination = properties.get("destination") or value_at(properties, "deliveryWithResourceIdentity.destination")
    if not destination:
        raise AzureError(400, "InvalidRequest", f"The event subscription '{change.resource.name}' has no destination.")
    one_of(change, "properties.destination.endpointType", destination.get("endpointType"), _DESTINATIONS)
    if destination["endpointType"] == "WebHook" and not value_at(destination, "properties.endpointUrl"):
        raise AzureError(400, "InvalidRequest", "'properties.destination.properties.endpointUrl' is missing.")
    if destination["endpointType"] == "AzureFunction":
        _function_exists(change, str(value_at(destination, "properties.resourceId") or ""))
    policy = properties["retryPolicy"]
    limits = {"maxDeliveryAttempts": (1, 30), "eventTimeToLiveInMinutes": (1, 1440)}
    for name, (least, most) in limits.items():
        if not least <= policy.get(name, most) <= most:
            raise AzureError(
                400, "InvalidRequest", f"'properties.retryPolicy.{name}' is {policy[name]}; allowed: {least} to {most}."
            )


def _function_exists(change: Change, resource_id: str) -> None:
    """Functions come with the code: before it is deployed Azure finds none."""
    function = change.arm.get(resource_id)
    if function is None or function.type.lower() != "microsoft.web/sites/functions":
        raise AzureError(
            400,
            "Endpoint validation",
            f"Destination endpoint not found. Resource details: resourceId: {resource_id}."
            " Resource should pre-exist before attempting this operation.",
        )


def _before_subscription(change: Change) -> None:
    change.resource.private["endpointUrl"] = value_at(change.resource.properties, "destination.properties.endpointUrl")


def topic_of(subscription: Resource) -> str:
    """The id of what the subscription listens to."""
    identity = parse(subscription.id)
    return identity.scope if identity.type == SUBSCRIPTION else identity.parent


def _computed_subscription(subscription: Resource, view: View) -> Json:
    return {"topic": topic_of(subscription)}


def _hide_url(document: Json, subscription: Resource, view: View) -> Json:
    """A webhook's URL may hold a secret: GET shows it without its query, `getFullUrl` wholly."""
    inner = value_at(document, "properties.destination.properties")
    if isinstance(inner, dict) and "endpointUrl" in inner:
        inner["endpointBaseUrl"] = str(inner.pop("endpointUrl")).partition("?")[0]
    return document


async def _full_url(action: Action) -> Json:
    return {"endpointUrl": action.resource.private["endpointUrl"]}


def _subscription(name: str, **differences: object) -> ResourceType:
    fixed: dict[str, object] = {
        "versions": VERSIONS,
        "location": "none",
        "taggable": False,
        "name_rule": (r"[a-zA-Z0-9-]{3,64}", "3-64 letters, digits and dashes"),
        "defaults": {
            "eventDeliverySchema": "EventGridSchema",
            "retryPolicy": {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440},
            "labels": [],
        },
        "validate": _validate_subscription,
        "before_put": _before_subscription,
        "computed": _computed_subscription,
        "shown": _hide_url,
        "actions": {"getFullUrl": _full_url},
        "long": True,
    }
    return ResourceType(name=name, **(fixed | differences))  # type: ignore[arg-type]


TYPES = (
    ResourceType(
        name=TOPIC,
        versions=VERSIONS,
        long=True,
        keys=frozenset({"extendedLocation"}),
        name_rule=_NAME,
        immutable=("properties.inputSchema",),
        defaults={"inputSchema": "EventGridSchema", "publicNetworkAccess": "Enabled", "disableLocalAuth": False},
        validate=_validate_topic,
        before_put=_before_topic,
        computed=_computed_topic,
        actions={"listKeys": list_keys, "regenerateKey": regenerate("keyName", list_keys)},
    ),
    ResourceType(
        name=SYSTEM_TOPIC,
        versions=VERSIONS,
        long=True,
        name_rule=_NAME,
        required=("source", "topicType"),
        immutable=("properties.source", "properties.topicType"),
        validate=_validate_system_topic,
        before_put=lambda change: made_once(change, metricResourceId=new_guid),
    ),
    _subscription(SUBSCRIPTION, scopes=frozenset({"group", "subscription", "extension"}), listing="scope"),
    _subscription(f"{TOPIC}/eventSubscriptions"),
    _subscription(f"{SYSTEM_TOPIC}/eventSubscriptions"),
)
