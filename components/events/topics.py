"""Events: a topic that rollouts publish to, Azure ML's own events, and who gets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.base import Placement, child
from components.events.settings import EventSettings, FilterSettings, SubscriptionSettings
from components.identity.roles import Role, assign
from components.workspace.storage import Storage

ML_TOPIC_TYPE = "Microsoft.MachineLearningServices.Workspaces"


@dataclass(frozen=True, kw_only=True, slots=True)
class EventsArgs:
    place: Placement
    settings: EventSettings
    workspace_id: pulumi.Input[str]
    storage: Storage
    #: The Functions app, once its code is there: subscriptions to functions wait in queues until then.
    app_id: pulumi.Input[str] | None = None


class Events(pulumi.ComponentResource):
    """A custom topic, the workspace's system topic and their subscriptions, with retries and dead letters.

    Outputs: `topic_id`, `topic_name`, `topic_endpoint` (https), `system_topic_name`, `subscriptions` (names),
    `destinations` (webhook, queue or function, by subscription).
    """

    topic_id: pulumi.Output[str]
    topic_name: pulumi.Output[str]
    topic_endpoint: pulumi.Output[str]
    system_topic_name: pulumi.Output[str]
    subscriptions: tuple[str, ...]
    destinations: dict[str, str]

    def __init__(self, name: str, args: EventsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rollouts:platform:Events", name, None, opts)
        self._name, self._args = name, args
        self._topic = self._build_topic()
        self._system = self._build_system_topic()
        self.topic_id, self.topic_name, self.topic_endpoint = self._topic.id, self._topic.name, self._topic.endpoint
        self.system_topic_name = self._system.name
        ready = [*self._grant("topic", self._topic), *self._grant("workspace", self._system)]
        for subscription, settings in args.settings.subscriptions.items():
            self._subscribe(subscription, settings, ready)
        self.subscriptions = tuple(sorted(args.settings.subscriptions))
        self.destinations = {
            name: destination_of(each, deployed=args.app_id is not None)
            for name, each in args.settings.subscriptions.items()
        }
        self.register_outputs({"topic_name": self.topic_name, "topic_endpoint": self.topic_endpoint})

    def _build_topic(self) -> Any:
        from pulumi_azure_native import eventgrid

        place = self._args.place
        return eventgrid.Topic(
            f"{self._name}-topic",
            topic_name=place.names.of("event grid topic", "events"),
            resource_group_name=place.resource_group,
            location=place.location,
            identity=eventgrid.IdentityInfoArgs(type="SystemAssigned"),
            input_schema="EventGridSchema",
            disable_local_auth=not self._args.settings.local_auth,
            minimum_tls_version_allowed="1.2",
            public_network_access="Enabled",
            tags=place.tags,
            opts=child(self, place),
        )

    def _build_system_topic(self) -> Any:
        from pulumi_azure_native import eventgrid

        place = self._args.place
        return eventgrid.SystemTopic(
            f"{self._name}-workspace",
            system_topic_name=place.names.of("event grid topic", "workspace"),
            resource_group_name=place.resource_group,
            location=place.location,
            identity=eventgrid.IdentityInfoArgs(type="SystemAssigned"),
            source=self._args.workspace_id,
            topic_type=ML_TOPIC_TYPE,
            tags=place.tags,
            opts=child(self, place),
        )

    def _grant(self, source: str, topic: Any) -> list[pulumi.Resource]:
        """The topic's identity may write to its own queues and to the dead letters, nothing else."""
        args, to = self._args, topic.identity.apply(lambda identity: identity.principal_id)
        dead_letters = pulumi.Output.concat(
            args.storage.account_id, "/blobServices/default/containers/", args.storage.dead_letter_container
        )
        scopes: Mapping[str, tuple[pulumi.Input[str], Role]] = {
            "dead-letters": (dead_letters, Role.BLOB_DATA_CONTRIBUTOR),
            **{f"queue-{name}": (args.storage.queues[name].id, Role.QUEUE_MESSAGE_SENDER) for name in self._queued(source)},  # type: ignore[attr-defined]
        }
        return [
            assign(
                f"{self._name}-{source}-{what}", role, to=to, scope=scope, parent=self, place=args.place, holder=topic
            )
            for what, (scope, role) in scopes.items()
        ]

    def _queued(self, source: str) -> tuple[str, ...]:
        settings = self._args.settings.subscriptions
        waiting = queued(self._args.settings, deployed=self._args.app_id is not None)
        return tuple(name for name in waiting if settings[name].source == source)

    def _subscribe(self, name: str, settings: SubscriptionSettings, ready: list[pulumi.Resource]) -> None:
        from pulumi_azure_native import eventgrid

        place = self._args.place
        common = {
            "resource_group_name": place.resource_group,
            "event_subscription_name": name,
            "event_delivery_schema": "EventGridSchema",
            "filter": _filter(settings),
            "retry_policy": eventgrid.RetryPolicyArgs(
                max_delivery_attempts=settings.max_attempts, event_time_to_live_in_minutes=settings.minutes_to_live
            ),
            "dead_letter_with_resource_identity": eventgrid.DeadLetterWithResourceIdentityArgs(
                identity=_own_identity(), dead_letter_destination=self._dead_letters()
            ),
            **self._destination(name, settings),
            "opts": child(self, place, after=ready),
        }
        logical = f"{self._name}-{name}"
        if settings.source == "workspace":
            eventgrid.SystemTopicEventSubscription(logical, system_topic_name=self._system.name, **common)
        else:
            eventgrid.TopicEventSubscription(logical, topic_name=self._topic.name, **common)

    def _dead_letters(self) -> Any:
        from pulumi_azure_native import eventgrid

        return eventgrid.StorageBlobDeadLetterDestinationArgs(
            endpoint_type="StorageBlob",
            resource_id=self._args.storage.account_id,
            blob_container_name=self._args.storage.dead_letter_container,
        )

    def _destination(self, name: str, settings: SubscriptionSettings) -> dict[str, Any]:
        """A webhook or function is called as it is; a queue is written to by the topic's identity."""
        from pulumi_azure_native import eventgrid

        kind = destination_of(settings, deployed=self._args.app_id is not None)
        if kind == "function":
            target = eventgrid.AzureFunctionEventSubscriptionDestinationArgs(
                endpoint_type="AzureFunction",
                resource_id=pulumi.Output.concat(self._args.app_id or "", f"/functions/{settings.function}"),
                # one at a time: a failure must not repeat the others
                max_events_per_batch=1,
                preferred_batch_size_in_kilobytes=64,
            )
            return {"destination": target}

        if settings.webhook_url is not None:
            url = pulumi.Output.secret(settings.webhook_url.get_secret_value())
            return {
                "destination": eventgrid.WebHookEventSubscriptionDestinationArgs(
                    endpoint_type="WebHook", endpoint_url=url
                )
            }
        queue: Any = self._args.storage.queues[name]
        target = eventgrid.StorageQueueEventSubscriptionDestinationArgs(
            endpoint_type="StorageQueue", resource_id=self._args.storage.account_id, queue_name=queue.name
        )
        return {
            "delivery_with_resource_identity": eventgrid.DeliveryWithResourceIdentityArgs(
                identity=_own_identity(), destination=target
            )
        }


def destination_of(settings: SubscriptionSettings, *, deployed: bool) -> str:
    """webhook, function or queue. Event Grid refuses a function that is not there: until then its events wait."""
    if settings.webhook_url is not None:
        return "webhook"
    return "function" if settings.function is not None and deployed else "queue"


def queued(settings: EventSettings, *, deployed: bool) -> tuple[str, ...]:
    """Subscriptions whose events wait in a queue, each in its own. `deployed`: the Functions app has its code."""
    return tuple(
        name for name, each in settings.subscriptions.items() if destination_of(each, deployed=deployed) == "queue"
    )


def _filter(settings: SubscriptionSettings) -> Any:
    from pulumi_azure_native import eventgrid

    return eventgrid.EventSubscriptionFilterArgs(
        included_event_types=list(settings.event_types),
        subject_begins_with=settings.subject_begins_with or None,
        subject_ends_with=settings.subject_ends_with or None,
        advanced_filters=[_advanced(each) for each in settings.filters] or None,
    )


def _advanced(settings: FilterSettings) -> Any:
    from pulumi_azure_native import eventgrid

    kind = getattr(eventgrid, f"{settings.operator}AdvancedFilterArgs")
    return kind(key=settings.key, operator_type=settings.operator, values=list(settings.values))


def _own_identity() -> Any:
    from pulumi_azure_native import eventgrid

    return eventgrid.EventSubscriptionIdentityArgs(type="SystemAssigned")
