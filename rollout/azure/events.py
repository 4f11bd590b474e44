"""Sends what the journal has recorded to an Event Grid topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rollout.azure.errors import azure_errors

if TYPE_CHECKING:
    from azure.eventgrid import EventGridPublisherClient

DATA_VERSION = "1.0"


class EventGridAnnouncer:
    """`Announcer` to one topic. The client is made with the first event.

    Raises from `rollout.errors`; the controller then keeps the message and tries again with the next tick.
    """

    def __init__(self, make_client: Callable[[], EventGridPublisherClient]) -> None:
        self._make_client = make_client
        self._client: EventGridPublisherClient | None = None

    def announce(self, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        """Send one event. `data["id"]`, when given, becomes its id, so that a repeat can be told from news."""
        from azure.eventgrid import EventGridEvent

        event = EventGridEvent(subject=subject, event_type=event_type, data=dict(data), data_version=DATA_VERSION)
        if "id" in data:
            event.id = str(data["id"])
        with azure_errors(f"send the event {event_type}"):
            if self._client is None:
                self._client = self._make_client()
            self._client.send(event)


class NoTopic:
    """`Announcer` of a stack without a topic: nobody wants to know."""

    def announce(self, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        """Says nothing."""
