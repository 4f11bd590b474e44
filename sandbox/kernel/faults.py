"""Faults on order: rules that services ask before they answer. Kept across restarts, cleared by `reset()`.

A rule has a `kind` and a `target`. Kinds: `http` (status 429/500/503), `delay`, `drop`,
`operation-fails`, `operation-hangs`, `metrics-missing`, `metrics-late`,
`scorer-errors`, `scorer-slow`, `scorer-leaks`, `scorer-crashes`.
Targets: `<service>:<METHOD> <path glob>` for http, delay and drop;
`<resource type or id glob>` for operations; `<endpoint>/<deployment>` for the others; `*` matches any.
"""

from __future__ import annotations

import random
import threading
import uuid
from fnmatch import fnmatchcase
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sandbox.kernel.store import Store

Kind = Literal[
    "http", "delay", "drop", "operation-fails", "operation-hangs", "metrics-missing", "metrics-late",
    "scorer-errors", "scorer-slow", "scorer-leaks", "scorer-crashes",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)


class Fault(BaseModel):
    """One rule. `share` of the matching calls are hit; `times` counts down to none (None: for good)."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default_factory=lambda: uuid.uuid4().hex[:8])
    kind: Kind
    target: str = "*"
    share: float = Field(default=1.0, gt=0.0, le=1.0)
    times: int | None = Field(default=None, ge=1)
    status: int = 500
    seconds: float = Field(default=1.0, ge=0.0, le=600.0)
    megabytes: int = Field(default=10, ge=1, le=1024)

    @field_validator("status")
    @classmethod
    def _known_status(cls, value: int) -> int:
        if value not in (429, 500, 503):
            raise ValueError(f"status {value}: allowed are 429, 500 and 503")
        return value


class Faults:
    """The rules in force."""

    def __init__(self, store: Store) -> None:
        self._rules = store.collection("faults")
        self._lock = threading.Lock()
        # Fault injection needs no cryptographic randomness.
        self._random = random.Random()  # nosec B311

    def add(self, fault: Fault) -> Fault:
        self._rules.put(fault.id, fault.model_dump())
        return fault

    def list(self) -> list[Fault]:
        return [Fault(**document) for _, document in self._rules.items()]

    def remove(self, fault_id: str) -> bool:
        return self._rules.delete(fault_id)

    def reset(self) -> None:
        self._rules.clear()

    def find(self, kind: str, target: str) -> Fault | None:
        """The first rule of `kind` that matches `target`, chance and count left out of it."""
        for rule in self.list():
            if rule.kind == kind and fnmatchcase(target.lower(), rule.target.lower()):
                return rule
        return None

    def strike(self, kind: str, target: str) -> Fault | None:
        """Like `find`, but draws `share` and uses up one of `times`."""
        with self._lock:
            rule = self.find(kind, target)
            if rule is None or self._random.random() >= rule.share:
                return None
            if rule.times == 1:
                self._rules.delete(rule.id)
            elif rule.times is not None:
                self._rules.put(rule.id, rule.model_copy(update={"times": rule.times - 1}).model_dump())
            return rule
