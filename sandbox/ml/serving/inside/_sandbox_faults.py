"""Faults on order, in front of the score script: errors, slowness, leaks, crashes. Read from a file that may change."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CRASH_CODE = 71
_MEGABYTE = 1024 * 1024

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class FaultGate:
    """WSGI middleware. The file holds a list of {id, kind, share, times, seconds, megabytes}."""

    def __init__(self, app: App, file: Path) -> None:
        self._app, self._file = app, file
        self._changed_at = 0
        self._rules: list[dict[str, Any]] = []
        self._leaked: list[bytearray] = []
        # Fault injection needs no cryptographic randomness.
        self._random = random.Random()  # nosec B311

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/score":
            for rule in self._current():
                if self._strikes(rule) and (answer := self._suffer(rule, start_response)) is not None:
                    return answer
        return self._app(environ, start_response)

    def _suffer(self, rule: dict[str, Any], start_response: StartResponse) -> Iterable[bytes] | None:
        kind = rule["kind"]
        print(f"fault on order: {kind}", file=sys.stderr, flush=True)
        if kind == "scorer-crashes":
            os._exit(CRASH_CODE)
        if kind == "scorer-slow":
            time.sleep(rule["seconds"])
        if kind == "scorer-leaks":
            # Written to, so that the pages are really taken.
            self._leaked.append(bytearray(os.urandom(_MEGABYTE)) * rule["megabytes"])
        if kind == "scorer-errors":
            start_response("500 Internal Server Error", [("Content-Type", "application/json")])
            return [json.dumps({"message": "The scorer failed on order (rollout sandbox fault)."}).encode()]
        return None

    def _current(self) -> list[dict[str, Any]]:
        try:
            changed_at = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return []
        if changed_at != self._changed_at:
            self._rules = json.loads(self._file.read_text())
            self._changed_at = changed_at
        return self._rules

    def _strikes(self, rule: dict[str, Any]) -> bool:
        return self._random.random() < rule["share"] and (rule["times"] is None or self._take_turn(rule))

    def _take_turn(self, rule: dict[str, Any]) -> bool:
        """Replicas share the count: each turn is a file that only one of them can make."""
        for turn in range(rule["times"]):
            mark = self._file.with_name(f"{self._file.stem}-{rule['id']}-{turn}.used")
            try:
                mark.touch(exist_ok=False)
            except FileExistsError:
                continue
            return True
        return False
