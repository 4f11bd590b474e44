"""Event Grid delivers at least once; the ledger makes a handler act once. `rollout.azure.ledger` keeps one in blobs."""

from __future__ import annotations

from typing import Protocol


class Ledger(Protocol):
    """Which events are done, and which are being worked on."""

    def claim(self, handler: str, event_id: str) -> bool:
        """True: go ahead. False: it is done. `Busy`: another delivery of it is being worked on right now."""
        ...

    def done(self, handler: str, event_id: str) -> None:
        """The claim's work is finished: later deliveries change nothing."""
        ...

    def release(self, handler: str, event_id: str) -> None:
        """The claim's work failed: the next delivery may try."""
        ...
