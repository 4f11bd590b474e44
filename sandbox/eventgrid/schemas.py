"""Event Grid's schema and CloudEvents 1.0: what is required, and the way from one to the other."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.kernel.errors import AzureError

Event = dict[str, Any]
EVENT_GRID, CLOUD = "EventGridSchema", "CloudEventSchemaV1_0"
_REQUIRED = {
    EVENT_GRID: ("id", "subject", "eventType", "eventTime", "dataVersion"),
    CLOUD: ("id", "source", "type", "specversion"),
}
LARGEST = 1 << 20


def check(schema: str, events: object) -> list[Event]:
    """The events of a publish call; AzureError 400 says which one lacks what."""
    if schema not in _REQUIRED:
        raise AzureError(
            501, "NotImitatedBySandbox", f"The sandbox takes events in {EVENT_GRID} and {CLOUD}, not in {schema}."
        )
    if isinstance(events, dict) and schema == CLOUD:
        events = [events]
    if not isinstance(events, list):
        raise _bad(schema, "a JSON array of events is expected")
    for at, event in enumerate(events):
        if not isinstance(event, dict):
            raise _bad(schema, f"event {at} is not an object")
        missing = [name for name in _REQUIRED[schema] if not isinstance(event.get(name), str) or not event[name]]
        if missing:
            raise _bad(schema, f"event {at} lacks {', '.join(missing)}")
        if schema == CLOUD and event["specversion"] != "1.0":
            raise _bad(schema, f"event {at} has specversion {event['specversion']}; only 1.0 is taken")
        _check_time(schema, at, event)
    return events


def complete(events: Sequence[Mapping[str, Any]], topic_id: str, now: datetime) -> list[Event]:
    """Events of the sandbox's own services, with what they left out filled in."""
    defaults = {"dataVersion": "1.0", "metadataVersion": "1", "subject": "", "data": {}}
    return [
        {**defaults, "id": str(uuid.uuid4()), "eventTime": stamp(now), **event, "topic": event.get("topic") or topic_id}
        for event in events
    ]


def delivered(event: Mapping[str, Any], topic_id: str, schema: str) -> Event:
    """The event as the subscriber gets it."""
    if "specversion" in event:
        # What came as CloudEvents is delivered as CloudEvents.
        return dict(event)
    if schema != CLOUD:
        return {**event, "topic": event.get("topic") or topic_id, "metadataVersion": "1"}
    return {
        "specversion": "1.0",
        "id": event["id"],
        "source": event.get("topic") or topic_id,
        "type": event["eventType"],
        "subject": event.get("subject"),
        "time": event["eventTime"],
        "data": event.get("data"),
    }


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _check_time(schema: str, at: int, event: Event) -> None:
    text = event.get("eventTime" if schema == EVENT_GRID else "time")
    if text is None:
        return
    try:
        datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _bad(schema, f"event {at} has a time that is not as in RFC 3339: {text}") from error


def _bad(schema: str, detail: str) -> AzureError:
    return AzureError(
        400, "BadRequest",
        f"This resource is configured to receive event in '{schema}' schema. The JSON received does not conform to the expected schema: {detail}.",
    )  # fmt: skip
