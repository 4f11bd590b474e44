"""Events that handlers have done: a blob each, so that a repeat on any machine finds it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rollout.azure.errors import azure_errors
from rollout.errors import Busy

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

#: A claim that is older was left by a process that died: functions/host.json ends them after 10 minutes.
CLAIM_SECONDS = 900.0


class BlobLedger:
    """`rollout.handlers.ledger.Ledger` in a container. Claims are made by creating the blob, which only one can do."""

    def __init__(self, container: Callable[[], ContainerClient], *, now: Callable[[], float] = time.time) -> None:
        self._container, self._now = container, now

    def claim(self, handler: str, event_id: str) -> bool:
        """True: go ahead. False: it is done. `Busy`: another delivery is at it."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

        blob = self._blob(handler, event_id)
        with azure_errors("claim an event"):
            try:
                blob.upload_blob(self._entry("claimed"), overwrite=False)
                return True
            except ResourceExistsError:
                found = blob.download_blob()
                entry = json.loads(found.readall())
            if entry["state"] == "done":
                return False
            if self._now() - float(entry["at"]) < CLAIM_SECONDS:
                raise Busy(f"event {event_id} is being handled")
            unchanged: dict[str, Any] = {
                "etag": found.properties.etag,
                "match_condition": MatchConditions.IfNotModified,
            }
            try:
                blob.upload_blob(self._entry("claimed"), overwrite=True, **unchanged)
            except ResourceModifiedError:
                raise Busy(f"event {event_id} is being handled") from None
        return True

    def done(self, handler: str, event_id: str) -> None:
        """Later deliveries change nothing."""
        with azure_errors("record a handled event"):
            self._blob(handler, event_id).upload_blob(self._entry("done"), overwrite=True)

    def release(self, handler: str, event_id: str) -> None:
        """The next delivery may try."""
        with azure_errors("give an event back"):
            self._blob(handler, event_id).delete_blob()

    def _blob(self, handler: str, event_id: str) -> BlobClient:
        return self._container().get_blob_client(f"{handler}/{quote(event_id, safe='')}.json")

    def _entry(self, state: str) -> bytes:
        return json.dumps({"state": state, "at": self._now()}).encode()
