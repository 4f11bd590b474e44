"""Event subscriptions as ARM keeps them, read into what delivery needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.eventgrid.schemas import EVENT_GRID
from sandbox.kernel.loopback import is_loopback

TOPIC = "Microsoft.EventGrid/topics"
SYSTEM_TOPIC = "Microsoft.EventGrid/systemTopics"
SUBSCRIPTION = "Microsoft.EventGrid/eventSubscriptions"
TYPES = (SUBSCRIPTION, f"{TOPIC}/eventSubscriptions", f"{SYSTEM_TOPIC}/eventSubscriptions")


@dataclass(frozen=True, slots=True)
class DeadLetters:
    """The container that takes what could not be delivered."""

    account: str
    container: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """`url` is empty for a destination that is neither webhook nor running function. `ttl_seconds` are of policy time."""

    id: str
    name: str
    topic_name: str
    kind: str
    url: str
    schema: str
    filter: Mapping[str, Any]
    max_attempts: int
    ttl_seconds: float
    headers: tuple[Mapping[str, Any], ...]
    dead_letters: DeadLetters | None
    #: ARM id of the function that it delivers to, if it does.
    function: str = ""

    @property
    def dialled(self) -> bool:
        """The sandbox calls nobody but programs on this machine."""
        return bool(self.url) and is_loopback(self.url)


def read(resource: Any) -> Subscription:
    """The subscription in an ARM resource."""
    properties = resource.properties
    destination = (
        properties.get("destination") or (properties.get("deliveryWithResourceIdentity") or {}).get("destination") or {}
    )
    inner = destination.get("properties") or {}
    url = resource.private.get("endpointUrl") or inner.get("endpointUrl") or ""
    policy = properties.get("retryPolicy") or {}
    return Subscription(
        id=resource.id,
        name=resource.name,
        topic_name=resource.id.split("/")[
            -3 if "/providers/microsoft.eventgrid/eventsubscriptions/" not in resource.id.lower() else -5
        ],
        kind=str(destination.get("endpointType", "")),
        url=str(url) if destination.get("endpointType") == "WebHook" else "",
        schema=str(properties.get("eventDeliverySchema") or EVENT_GRID),
        filter=properties.get("filter") or {},
        max_attempts=int(policy.get("maxDeliveryAttempts") or 30),
        ttl_seconds=60.0 * int(policy.get("eventTimeToLiveInMinutes") or 1440),
        headers=tuple(inner.get("deliveryAttributeMappings") or ()),
        dead_letters=_dead_letters(properties),
        function=str(inner.get("resourceId") or "") if destination.get("endpointType") == "AzureFunction" else "",
    )


def of_topic(arm: Any, topic_id: str) -> Iterator[Subscription]:
    """Everyone who listens to a topic, or to a resource that has events: on it, and on system topics for it."""
    scopes = [topic_id]
    scopes += [topic.id for topic in arm.of_type(SYSTEM_TOPIC) if _same(topic.properties.get("source"), topic_id)]
    for type_name in TYPES:
        for resource in arm.of_type(type_name):
            if any(_same(_scope(resource.id), scope) for scope in scopes):
                yield read(resource)


def _scope(subscription_id: str) -> str:
    before = subscription_id.rsplit("/", 2)[0]
    suffix = "/providers/microsoft.eventgrid"
    return before[: -len(suffix)] if before.lower().endswith(suffix) else before


def _same(one: object, other: str) -> bool:
    return str(one or "").strip("/").lower() == other.strip("/").lower()


def _dead_letters(properties: Mapping[str, Any]) -> DeadLetters | None:
    destination = properties.get("deadLetterDestination") or (
        properties.get("deadLetterWithResourceIdentity") or {}
    ).get("deadLetterDestination")
    inner = (destination or {}).get("properties") or {}
    account, container = inner.get("resourceId"), inner.get("blobContainerName")
    return DeadLetters(str(account).rsplit("/", 1)[-1], str(container)) if account and container else None
