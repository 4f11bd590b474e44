"""Sends what the plan says. One attempt: the next one is Event Grid's, which waits longer each time."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from rollout.errors import BadInput, RolloutError, Unavailable
from rollout.handlers.plan import Action, Alert, Event, Note, StartDelivery
from rollout.handlers.settings import AppSettings

log = logging.getLogger("rollout.handlers")

SIGNATURE, TIMESTAMP, EVENT_ID = "X-Rollouts-Signature", "X-Rollouts-Timestamp", "X-Rollouts-Event-Id"
#: Seconds for the connection, and for the answer.
TIMEOUTS = (5.0, 20.0)
_MOST_TRACED = 8192


def sign(key: str, timestamp: str, body: bytes) -> str:
    """`sha256=<hex>` over `timestamp.body`: a receiver refuses old ones, so that none can be replayed."""
    return "sha256=" + hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class Sender:
    """Carries out actions with the app's settings."""

    def __init__(self, settings: AppSettings, *, now: Callable[[], float] = time.time) -> None:
        self._settings, self._now = settings, now

    def __call__(self, action: Action, event: Event) -> None:
        """Raises from `rollout.errors`; the message holds no address and no secret."""
        if isinstance(action, StartDelivery):
            self._start_delivery(action, event)
        elif isinstance(action, Alert):
            body = {"text": action.title, "severity": action.severity, "time": event.time, "details": action.details}
            self._signed(self._settings.url("ROLLOUT_ALERT_URL"), "the alert's webhook", body, event)
        else:
            trace(action)

    def _start_delivery(self, action: StartDelivery, event: Event) -> None:
        values = {"model": action.model, "version": action.version, "tags": dict(action.tags), "event_id": event.id}
        kind = self._settings.delivery
        if kind == "github":
            body = {"event_type": "model-registered", "client_payload": values}
            headers = {
                "Authorization": f"Bearer {self._settings.secret('ROLLOUT_GITHUB_TOKEN')}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
            }
            _post(self._settings.github_dispatch_url, "GitHub", json.dumps(body).encode(), headers)
        elif kind == "webhook":
            body = {"event": "model-registered", "time": event.time, **values}
            self._signed(self._settings.url("ROLLOUT_DELIVERY_URL"), "the delivery's webhook", body, event)
        else:
            raise BadInput(
                f"nobody is told of {action.model}:{action.version}", way_out="functions.delivery: github or webhook"
            )

    def _signed(self, url: str, whom: str, body: Mapping[str, Any], event: Event) -> None:
        content, timestamp = json.dumps(body, sort_keys=True).encode(), str(int(self._now()))
        key = self._settings.secret("ROLLOUT_SIGNING_KEY")
        # the receiver can tell a repeat from news by the event's id
        headers = {TIMESTAMP: timestamp, SIGNATURE: sign(key, timestamp, content), EVENT_ID: event.id}
        _post(url, whom, content, headers)


def trace(note: Note) -> None:
    """One line that App Insights keeps: `AppTraces | where Message startswith "<name> "`."""
    log.info("%s %s", note.name, json.dumps(dict(note.values), sort_keys=True)[:_MOST_TRACED])


def _post(url: str, whom: str, content: bytes, headers: Mapping[str, str]) -> None:
    try:
        answer = requests.post(
            url,
            data=content,
            headers={"Content-Type": "application/json", **headers},
            timeout=TIMEOUTS,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        # requests' own messages show the address, which may hold a key
        raise Unavailable(f"{whom} did not answer ({type(error).__name__})") from None
    if answer.status_code in (401, 403, 404):
        raise RolloutError(
            f"{whom} refused with {answer.status_code}", way_out="check its address and secret in the key vault"
        )
    if not 200 <= answer.status_code < 300:
        raise Unavailable(f"{whom} answered {answer.status_code}")
