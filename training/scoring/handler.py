"""One request over HTTP, whatever the server: answered, logged in one line without any value, and collected."""

from __future__ import annotations

import json
import logging
import os
import re
import time
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from training.scoring.collect import Collecting
from training.scoring.service import Answer, Limits, Service

log = logging.getLogger("azmlinfsrv.scoring")
_JSON = {"Content-Type": "application/json"}
_ALLOW = "GET, HEAD, POST, OPTIONS"
#: Of a header that callers write as they like: nothing that could break a log line.
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,100}")
#: Deployments set limits with these, e.g. SCORING_MAX_ROWS.
_PREFIX = "SCORING_"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server sends."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Handler:
    """Of the path /score: POST scores, GET tells what is served."""

    def __init__(self, service: Service, collecting: Collecting) -> None:
        self.service, self._collecting = service, collecting

    def handle(self, method: str, body: bytes, correlation: str = "") -> Reply:
        """Never raises: a model that fails is a 500 whose cause is in the log, without the values that it failed on."""
        if method in ("GET", "HEAD"):
            return self._reply(200, {**self.service.info(), "collection": self._collecting.info()})
        if method == "OPTIONS":
            return Reply(204, b"", {"Allow": _ALLOW})
        if method != "POST":
            return Reply(405, b"", {"Allow": _ALLOW})
        began = time.perf_counter()
        correlation = correlation if _CORRELATION.fullmatch(correlation) else str(uuid.uuid4())
        try:
            answer = self.service.answer(body)
        except Exception as error:  # noqa: BLE001  # whatever a model raises; its text may hold a row's values
            self._failed(error, correlation)
            answer = Answer(500, _error("ModelFailed", "The model failed on this request.", correlation))
        self._log(answer, correlation, began)
        if answer.scored is not None:
            self._collecting.collect(answer.scored, correlation)
        return Reply(answer.status, answer.body(), {**_JSON, "x-ms-client-request-id": correlation})

    def too_large(self) -> Reply:
        """For a server that stops reading at the limit."""
        return self._reply(413, self.service.too_large().document())

    def _reply(self, status: int, document: dict[str, Any]) -> Reply:
        return Reply(status, json.dumps(document).encode(), _JSON)

    def _log(self, answer: Answer, correlation: str, began: float) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        scored = answer.scored
        line = {
            "status": answer.status,
            "rows": len(scored.rows) if scored else 0,
            "cached": scored.cached if scored else 0,
            "ms": round((time.perf_counter() - began) * 1000, 2),
            "correlation": correlation,
            "model": ":".join(filter(None, (self.service.model["name"], self.service.model["version"]))),
        }
        if answer.problems:
            line["problems"] = answer.problems
        log.info("scored %s", json.dumps(line))

    def _failed(self, error: Exception, correlation: str) -> None:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("the model failed with %s (correlation %s)\n%s", type(error).__name__, correlation, where)


def _error(code: str, message: str, correlation: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "correlation": correlation}}


def limits_of(environ: Mapping[str, str] = os.environ) -> Limits:
    """Each limit from its variable; `ValueError` names the one that is wrong, which ends the start."""
    given = {}
    for each in fields(Limits):
        text = environ.get(name := _PREFIX + each.name.upper())
        if text is None:
            continue
        if not text.isdigit():
            raise ValueError(f"{name} is {text!r}; a whole number is needed, 0 or more")
        given[each.name] = int(text)
    return Limits(**given)
