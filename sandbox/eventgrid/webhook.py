"""Calling a subscriber: the validation handshake, and one event at a time."""

from __future__ import annotations

import json
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from sandbox.eventgrid.filters import value_at
from sandbox.eventgrid.schemas import CLOUD, Event, stamp
from sandbox.eventgrid.subscriptions import Subscription

#: Seconds of real time that Azure waits for a subscriber.
TIMEOUT = 30.0
#: Answers that another attempt will not change.
FINAL = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 413: "RequestEntityTooLarge"}
_OUTCOMES = {404: "NotFound", 408: "TimedOut", 429: "Busy", 503: "Busy"}
_ORIGIN = "eventgrid.azure.net"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `status` 0: no answer."""

    ok: bool
    status: int
    name: str
    final: bool = False


class Caller:
    """One HTTP session for all subscribers. Trusts the sandbox's CA and those of the system."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT), connector=aiohttp.TCPConnector(ssl=tls, limit=64)
        )

    async def close(self) -> None:
        await self._session.close()

    async def validate(self, subscription: Subscription, topic_id: str, now: datetime) -> str:
        """Empty when the subscriber agreed to get events; otherwise why not."""
        if subscription.schema == CLOUD:
            return await self._validate_cloud(subscription)
        code = str(uuid.uuid4()).upper()
        event = {
            "id": str(uuid.uuid4()),
            "topic": topic_id,
            "subject": "",
            "data": {"validationCode": code},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": stamp(now),
            "metadataVersion": "1",
            "dataVersion": "2",
        }
        headers = {"aeg-event-type": "SubscriptionValidation", "aeg-subscription-name": subscription.name.upper()}
        try:
            async with self._post(subscription, [event], headers, "application/json; charset=utf-8") as answer:
                body = json.loads(await answer.text() or "{}")
                given = body.get("validationResponse") if isinstance(body, dict) else None
                return (
                    ""
                    if answer.status == 200 and given == code
                    else f"HTTP {answer.status} without the validation code"
                )
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    async def send(self, subscription: Subscription, event: Event, attempt: int) -> Outcome:
        """One attempt, counted from 1."""
        headers = {
            "aeg-event-type": "Notification",
            "aeg-subscription-name": subscription.name.upper(),
            "aeg-delivery-count": str(attempt - 1),
            "aeg-metadata-version": "1",
            "aeg-data-version": str(event.get("dataVersion", "")),
            **_attributes(subscription, event),
        }
        cloud = "specversion" in event
        kind = "application/cloudevents+json; charset=utf-8" if cloud else "application/json; charset=utf-8"
        try:
            async with self._post(subscription, event if cloud else [event], headers, kind) as answer:
                return _outcome(answer.status)
        except TimeoutError:
            return Outcome(False, 0, "TimedOut")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome(False, 0, type(error).__name__)

    async def _validate_cloud(self, subscription: Subscription) -> str:
        """CloudEvents' own handshake: OPTIONS, and the subscriber names whom it takes events from."""
        headers = {"WebHook-Request-Origin": _ORIGIN}
        try:
            async with self._session.options(subscription.url, headers=headers, allow_redirects=False) as answer:
                allowed = answer.headers.get("WebHook-Allowed-Origin", "")
                if answer.status == 200 and allowed in ("*", _ORIGIN):
                    return ""
                return f"HTTP {answer.status}, WebHook-Allowed-Origin {allowed!r}; expected '*' or '{_ORIGIN}'"
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"

    def _post(self, subscription: Subscription, body: Any, headers: Mapping[str, str], kind: str) -> Any:
        return self._session.post(
            subscription.url, data=json.dumps(body), headers={**headers, "content-type": kind}, allow_redirects=False
        )


def _outcome(status: int) -> Outcome:
    if 200 <= status <= 204:
        return Outcome(True, status, "Delivered")
    if status in FINAL:
        return Outcome(False, status, FINAL[status], final=True)
    return Outcome(False, status, _OUTCOMES.get(status, f"HttpStatus{status}"))


def _attributes(subscription: Subscription, event: Event) -> dict[str, str]:
    """Headers that the subscription orders: fixed values, or parts of the event."""
    headers = {}
    for mapping in subscription.headers:
        inner = mapping.get("properties") or {}
        value = (
            inner.get("value")
            if mapping.get("type") == "Static"
            else value_at(event, str(inner.get("sourceField", "")))
        )
        if isinstance(value, str | int | float):
            headers[str(mapping["name"])] = str(value)
    return headers
