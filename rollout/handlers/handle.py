"""One delivery of one event: plan it, do it once, raise when it could not be done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from rollout.errors import BadInput
from rollout.handlers.ledger import Ledger
from rollout.handlers.plan import PLANS, Action, Event

log = logging.getLogger("rollout.handlers")


def event_from(document: Mapping[str, object]) -> Event:
    """An event in Event Grid's schema; `BadInput` says what is wrong with it."""
    texts = {name: document.get(name) for name in ("id", "eventType", "subject", "eventTime")}
    for name, value in texts.items():
        if not isinstance(value, str) or (not value and name != "subject"):
            raise BadInput(f"the event's {name} is {value!r}; a text is expected")
    data = document.get("data")
    if not isinstance(data, Mapping):
        raise BadInput(f"event {texts['id']} has no data object")
    return Event(
        id=str(texts["id"]),
        type=str(texts["eventType"]),
        subject=str(texts["subject"]),
        time=str(texts["eventTime"]),
        data=data,
    )


def handle(name: str, document: Mapping[str, object], ledger: Ledger, send: Callable[[Action, Event], None]) -> bool:
    """Whether this delivery did the work; False: an earlier one had. What it raises makes Event Grid try again,
    and in the end keep the event in the dead-letter container."""
    event = event_from(document)
    action = PLANS[name](event)
    if not ledger.claim(name, event.id):
        log.info("%s: event %s was handled before", name, event.id)
        return False
    try:
        send(action, event)
    except BaseException:
        # whatever stopped it, the next delivery has to find it undone
        ledger.release(name, event.id)
        raise
    ledger.done(name, event.id)
    log.info("%s: event %s (%s, %s) handled", name, event.id, event.type, event.subject)
    return True
