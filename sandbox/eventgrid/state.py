"""The deliveries: kept in the store until the subscriber has taken them or they are dead-lettered.

Waits are policy time, as bakes are; the time-out of a call is real.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.eventgrid import filters, schemas
from sandbox.eventgrid.subscriptions import TYPES, Subscription, of_topic, read
from sandbox.eventgrid.webhook import Caller, Outcome
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.tls import client_context, tls_files

log = logging.getLogger("sandbox.eventgrid")

#: Azure's waits after the first, second, ... failed attempt, in seconds of policy time; the last one goes on.
SCHEDULE = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
#: Azure's least waits after certain answers.
_AT_LEAST = {404: 300, 408: 120, 503: 30}
_DEAD_LETTER_DELAY = 300
_PARALLEL = 16
_HISTORY = 1000


class EventGridState:
    """`publish` may be called from any thread; delivery runs in the loop that called `start`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._queue = sandbox.store.collection("eventgrid.deliveries")
        self._validated = sandbox.store.collection("eventgrid.validated")
        self._history = sandbox.store.collection("eventgrid.history")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._caller: Caller | None = None
        self._busy: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._finished = 0
        self._check_new_subscriptions()

    async def start(self) -> None:
        """Goes on with what a former process left."""
        tls = client_context(tls_files(self._sandbox.home))
        tls.load_default_certs()
        self._caller = Caller(tls)
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        self._task = asyncio.create_task(self._deliver())

    async def stop(self) -> None:
        for task in (self._task, *self._running):
            if task is not None:
                task.cancel()
        await asyncio.gather(*self._running, *([self._task] if self._task else []), return_exceptions=True)
        if self._caller is not None:
            await self._caller.close()

    def reset(self) -> None:
        for collection in (self._queue, self._validated, self._history):
            collection.clear()

    def publish(self, topic_id: str, events: Sequence[Mapping[str, Any]]) -> int:
        """Queue `events` (Event Grid's schema; id, time and topic may be left out) for everyone who wants them.

        `topic_id`: a topic, a system topic, or a resource that has one. Gives the number of deliveries.
        """
        now = self._sandbox.clock.now()
        whole = [event if "specversion" in event else schemas.complete([event], topic_id, now)[0] for event in events]
        queued = 0
        for subscription in of_topic(self._sandbox.states["arm"], topic_id):
            for event in whole:
                if filters.wants(subscription.filter, event):
                    self._enqueue(subscription, topic_id, event)
                    queued += 1
        if queued and self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake.set)
        return queued

    def pending(self) -> list[dict[str, Any]]:
        """Deliveries that are still on their way, with `attempts`, `due` (policy epoch seconds) and `last`."""
        return [delivery for _, delivery in self._queue.items()]

    def history(self) -> list[dict[str, Any]]:
        """How the last deliveries ended, oldest first: `subscription`, `event`, `outcome`, `attempts`."""
        return [entry for _, entry in self._history.items()]

    # New subscriptions

    def _check_new_subscriptions(self) -> None:
        """ARM asks here before it takes a subscription: unknown filters and a webhook that does not agree are refused."""
        arm = self._sandbox.states.get("arm")
        for name in TYPES:
            if arm is None or (known := arm.type(name)) is None:
                continue
            before = known.after_put

            async def check(change: Any, before: Any = before) -> None:
                if before is not None:
                    await before(change)
                await self._accept(change)

            arm.register(dataclasses.replace(known, after_put=check))

    async def _accept(self, change: Any) -> None:
        subscription = self._read(change.resource)
        if unknown := filters.unknown_operators(subscription.filter):
            raise AzureError(
                501, "NotImitatedBySandbox", f"The sandbox does not imitate the filters {', '.join(unknown)}."
            )
        if self._caller is not None and subscription.dialled and (why := await self._agreed(subscription)):
            raise AzureError(
                400, "Url validation",
                f"Webhook validation handshake failed for {subscription.url.partition('?')[0]}: {why}. The endpoint must answer"
                " the SubscriptionValidation event with its code (CloudEvents: OPTIONS with WebHook-Allowed-Origin).",
            )  # fmt: skip

    async def _agreed(self, subscription: Subscription) -> str:
        """Empty when this URL has agreed, now or before; otherwise why not."""
        known = self._validated.get(subscription.id.lower())
        if known is not None and known["url"] == subscription.url:
            return ""
        assert self._caller is not None  # nosec B101  # made by start, before anything is delivered
        why = await self._caller.validate(subscription, subscription.id, self._sandbox.clock.now())
        if not why:
            self._validated.put(subscription.id.lower(), {"url": subscription.url})
        return why

    def _read(self, resource: Any) -> Subscription:
        """The subscription; one to a function has the address where that runs now."""
        subscription, functions = read(resource), self._sandbox.states.get("functions")
        if not subscription.function or functions is None:
            return subscription
        return dataclasses.replace(subscription, url=functions.url_of(subscription.function))

    # Deliveries

    def _enqueue(self, subscription: Subscription, topic_id: str, event: Mapping[str, Any]) -> None:
        now = self._now()
        key = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        delivery = {
            "key": key, "subscription": subscription.id, "topic": topic_id, "event": dict(event),
            "attempts": 0, "published": now, "due": now, "last": "", "last_at": None, "dead": "",
        }  # fmt: skip
        self._queue.put(key, delivery)

    async def _deliver(self) -> None:
        while True:
            self._wake.clear()
            now, soonest = self._now(), None
            for key, delivery in self._queue.items():
                if key in self._busy or len(self._running) >= _PARALLEL:
                    continue
                if delivery["due"] <= now:
                    self._begin(delivery)
                else:
                    soonest = min(soonest or delivery["due"], delivery["due"])
            wait = None if soonest is None else self._sandbox.clock.real_seconds(max(0.0, soonest - self._now())) + 0.01
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
            except TimeoutError:
                continue

    def _begin(self, delivery: dict[str, Any]) -> None:
        self._busy.add(delivery["key"])
        task = asyncio.create_task(self._attempt(delivery))
        self._running.add(task)
        task.add_done_callback(lambda done: self._end(done, delivery["key"]))

    def _end(self, task: asyncio.Task[None], key: str) -> None:
        self._running.discard(task)
        self._busy.discard(key)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("delivery %s is given up", key, exc_info=error)
            self._queue.delete(key)

    async def _attempt(self, delivery: dict[str, Any]) -> None:
        resource = self._sandbox.states["arm"].get(delivery["subscription"])
        if resource is None:
            self._finish(delivery, "SubscriptionDeleted")
            return
        subscription = self._read(resource)
        if delivery["dead"]:
            self._dead_letter(subscription, delivery)
        elif not subscription.dialled and not subscription.function:
            where = subscription.url.partition("?")[0] or subscription.kind
            log.warning("%s is not called: the sandbox delivers to webhooks on this machine only", where)
            self._give_up(subscription, {**delivery, "last": "RefusedBySandbox"}, "Undeliverable")
        elif self._now() > delivery["published"] + subscription.ttl_seconds:
            self._give_up(subscription, delivery, "TimeToLiveExceeded")
        else:
            await self._call(subscription, delivery)

    async def _call(self, subscription: Subscription, delivery: dict[str, Any]) -> None:
        assert self._caller is not None  # nosec B101  # made by start, before anything is delivered
        attempt = delivery["attempts"] + 1
        if not subscription.url:
            outcome = Outcome(False, 404, "NotFound")  # a function whose app does not run
        elif why := await self._agreed(subscription):
            log.warning("%s did not agree to get events: %s", subscription.name, why)
            outcome = Outcome(False, 0, "ValidationFailed")
        else:
            event = schemas.delivered(delivery["event"], delivery["topic"], subscription.schema)
            outcome = await self._caller.send(subscription, event, attempt)
        delivery = {**delivery, "attempts": attempt, "last": outcome.name, "last_at": self._now()}
        if outcome.ok:
            self._finish(delivery, "Delivered")
        elif outcome.final or attempt >= subscription.max_attempts:
            self._give_up(subscription, delivery, outcome.name if outcome.final else "MaxDeliveryAttemptsExceeded")
        else:
            wait = max(SCHEDULE[min(attempt, len(SCHEDULE)) - 1], _AT_LEAST.get(outcome.status, 0))
            self._queue.put(delivery["key"], {**delivery, "due": self._now() + wait})

    def _give_up(self, subscription: Subscription, delivery: dict[str, Any], reason: str) -> None:
        if subscription.dead_letters is None:
            self._finish(delivery, reason)
            return
        due = self._now() + _DEAD_LETTER_DELAY
        self._queue.put(delivery["key"], {**delivery, "dead": reason, "due": due})

    def _dead_letter(self, subscription: Subscription, delivery: dict[str, Any]) -> None:
        """Into the container, named as Azure names it: TOPIC/SUBSCRIPTION/year/month/day/hour/id.json."""
        target = subscription.dead_letters
        storage = self._sandbox.states.get("storage")
        if target is None or storage is None:
            self._finish(delivery, delivery["dead"])
            return
        now = self._sandbox.clock.now()
        letter = {
            **schemas.delivered(delivery["event"], delivery["topic"], subscription.schema),
            "deadLetterReason": delivery["dead"],
            "deliveryAttempts": delivery["attempts"],
            "lastDeliveryOutcome": delivery["last"],
            "publishTime": _stamp(delivery["published"]),
            "lastDeliveryAttemptTime": _stamp(delivery["last_at"]) if delivery["last_at"] else None,
        }
        name = f"{subscription.topic_name.upper()}/{subscription.name.upper()}/{now.year}/{now.month}/{now.day}/{now.hour}/{uuid.uuid4()}.json"
        storage.ensure_container(target.account, target.container)
        storage.put(target.account, target.container, name, json.dumps([letter]).encode(), "application/json")
        self._finish(delivery, f"DeadLettered:{delivery['dead']}")

    def _finish(self, delivery: dict[str, Any], outcome: str) -> None:
        """Off the queue, into the history. A crash between the two repeats a delivery, as Azure may: at least once."""
        entry = {"subscription": delivery["subscription"], "event": delivery["event"].get("id"),
                 "outcome": outcome, "attempts": delivery["attempts"], "at": self._now()}  # fmt: skip
        self._history.put(delivery["key"], entry)
        self._queue.delete(delivery["key"])
        self._finished += 1
        if self._finished % _HISTORY == 0:
            keys = [key for key, _ in self._history.items()]
            for key in keys[:-_HISTORY]:
                self._history.delete(key)

    def _now(self) -> float:
        return self._sandbox.clock.policy_timestamp(time.time())


def _stamp(epoch: float) -> str:
    return schemas.stamp(datetime.fromtimestamp(epoch, UTC))
