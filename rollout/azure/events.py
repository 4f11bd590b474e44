"""Tells an Event Grid topic what the journal has recorded. A failure to tell is logged and never stops a rollout."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rollout.azure.errors import azure_errors
from rollout.errors import RolloutError

if TYPE_CHECKING:
    from azure.eventgrid import EventGridPublisherClient

DATA_VERSION = "1.0"
_log = logging.getLogger(__name__)


class EventGridAnnouncer:
    """`Announcer` to one topic. The client is made with the first event."""

    def __init__(self, make_client: Callable[[], EventGridPublisherClient]) -> None:
        self._make_client = make_client
        self._client: EventGridPublisherClient | None = None

    def announce(self, event_type: str, subject: str, data: Mapping[str, object]) -> None:
        """Send one event; `subject` is the endpoint's resource id or name."""
        from azure.eventgrid import EventGridEvent

        event = EventGridEvent(subject=subject, event_type=event_type, data=dict(data), data_version=DATA_VERSION)
        try:
            with azure_errors(f"send the event {event_type}"):
                if self._client is None:
                    self._client = self._make_client()
                self._client.send(event)
        except RolloutError as error:
            _log.warning("%s (%s)", error.message, error.way_out)
