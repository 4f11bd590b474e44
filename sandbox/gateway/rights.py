"""Who may score with an Entra token: the control process knows the role assignments, and is asked once in a while."""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass

import aiohttp

from sandbox.kernel.tokens import Principal

#: What a role assignment has to allow at the endpoint or above.
SCORE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action"
#: How long an answer is good for, real seconds. Azure takes minutes to see a changed assignment.
KEPT_SECONDS = 1.0
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Question:
    """May this principal score at this endpoint?"""

    workspace: str
    endpoint: str
    principal: Principal


class Rights:
    """Asks the control process; while it does not answer, what it said last holds, and strangers wait outside."""

    def __init__(self, url: str, token: str, tls: ssl.SSLContext | None) -> None:
        self._url, self._token, self._tls = url, token, tls
        self._known: dict[Question, tuple[bool, float]] = {}
        self._asking: dict[Question, asyncio.Task[bool]] = {}

    async def may_score(self, question: Question) -> bool:
        """One call for however many requests ask at a time."""
        allowed, until = self._known.get(question, (False, 0.0))
        if until > time.monotonic():
            return allowed
        task = self._asking.get(question)
        if task is None:
            task = self._asking[question] = asyncio.create_task(self._ask(question, allowed))
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        return await asyncio.shield(task)

    async def _ask(self, question: Question, last: bool) -> bool:
        body = {
            "workspace": question.workspace,
            "endpoint": question.endpoint,
            "objectId": question.principal.object_id,
            "clientId": question.principal.client_id,
        }
        headers = {"authorization": f"Bearer {self._token}"}
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(headers=headers, timeout=timeout) as session,
                session.post(self._url, json=body, ssl=self._tls or True) as response,
            ):
                response.raise_for_status()
                allowed = bool((await response.json())["allowed"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError):
            allowed = last
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[question] = (allowed, time.monotonic() + KEPT_SECONDS)
        return allowed
