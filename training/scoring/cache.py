"""Answers to rows that were asked before. Bounded by count and by bytes; the least recently used goes first."""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock
from typing import Any

MAX_ENTRIES, MAX_BYTES = 10_000, 16 * 1024 * 1024
#: What a dictionary's entry takes beside its key and value.
_ENTRY_BYTES = 120

Probabilities = tuple[float, ...]


class RowCache:
    """Thread safe. Keys are digests of a row under the model's hash: a hit never crosses models, and no row is kept."""

    def __init__(self, model_hash: str, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._salt = blake2b(model_hash.encode(), digest_size=32).digest()
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._held: OrderedDict[bytes, Probabilities] = OrderedDict()
        self._bytes = self._hits = self._misses = 0
        self._lock = Lock()

    def key(self, row: Sequence[Any]) -> bytes:
        """Of a checked row: equal values in the schema's order, equal keys."""
        return blake2b(json.dumps(row).encode(), digest_size=16, key=self._salt).digest()

    def get(self, key: bytes) -> Probabilities | None:
        with self._lock:
            found = self._held.get(key)
            if found is None:
                self._misses += 1
            else:
                self._hits += 1
                self._held.move_to_end(key)
            return found

    def put(self, key: bytes, value: Probabilities) -> None:
        size = _size(key, value)
        with self._lock:
            if key in self._held or size > self._max_bytes or not self._max_entries:
                return
            self._held[key] = value
            self._bytes += size
            while len(self._held) > self._max_entries or self._bytes > self._max_bytes:
                self._bytes -= _size(*self._held.popitem(last=False))

    def info(self) -> dict[str, Any]:
        with self._lock:
            asked = self._hits + self._misses
            return {
                "entries": len(self._held),
                "bytes": self._bytes,
                "max_entries": self._max_entries,
                "max_bytes": self._max_bytes,
                "hits": self._hits,
                "misses": self._misses,
                "hit_rate": round(self._hits / asked, 4) if asked else None,
            }


def _size(key: bytes, value: Probabilities) -> int:
    return sys.getsizeof(key) + sys.getsizeof(value) + len(value) * sys.getsizeof(0.5) + _ENTRY_BYTES
