"""Documents by collection and key in one SQLite file; survives a restart, written before an answer leaves."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class Store:
    """The file. Collections are made on first use. Safe to share between threads of one process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS documents"
            " (collection TEXT, key TEXT, body TEXT NOT NULL, PRIMARY KEY (collection, key)) WITHOUT ROWID"
        )

    def collection(self, name: str) -> Collection:
        """The documents of `name`, e.g. 'arm.resources'."""
        return Collection(self._db, self._lock, name)

    def close(self) -> None:
        with self._lock:
            self._db.close()


class Collection:
    """Documents by key, in key order. A document is what JSON can hold; `get` gives a fresh copy."""

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock, name: str) -> None:
        self._db, self._lock, self._name = db, lock, name

    def get(self, key: str) -> Document | None:
        with self._lock:
            row = self._db.execute(
                "SELECT body FROM documents WHERE collection=? AND key=?", (self._name, key)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def put(self, key: str, document: Document) -> None:
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (self._name, key, json.dumps(document))
            )

    def delete(self, key: str) -> bool:
        """Whether there was one."""
        with self._lock:
            cursor = self._db.execute("DELETE FROM documents WHERE collection=? AND key=?", (self._name, key))
        return cursor.rowcount > 0

    def items(self, prefix: str = "") -> Iterator[tuple[str, Document]]:
        """Keys that start with `prefix`, and their documents, as they were at the call."""
        with self._lock:
            rows = self._db.execute(
                "SELECT key, body FROM documents WHERE collection=? AND key>=? AND key<? ORDER BY key",
                (self._name, prefix, prefix + "\U0010ffff"),
            ).fetchall()
        return ((key, json.loads(body)) for key, body in rows)

    def clear(self) -> None:
        with self._lock:
            self._db.execute("DELETE FROM documents WHERE collection=?", (self._name,))
