"""Drives one service's ASGI app in process: no port, no TLS, no other service needed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp

from sandbox.kernel.context import Sandbox

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What the app sent back."""

    status: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()


class Service:
    """One service under test. `token` is sent as bearer; every call runs in the same event loop."""

    def __init__(self, app: ASGIApp, *, token: str = "", base: str = "https://127.0.0.1") -> None:
        self.app, self.token, self.base = app, token, base
        self._loop = asyncio.new_event_loop()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def wait(self, seconds: float = 0.01) -> None:
        """Let background work of the service go on."""
        self.run(asyncio.sleep(seconds))

    def close(self) -> None:
        """End what the service left running."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self._loop.run_until_complete(asyncio.wait(tasks))
        self._loop.close()

    def get(self, path: str, **kwargs: Any) -> Answer:
        return self.request("GET", path, **kwargs)

    def put(self, path: str, json: Any = None, **kwargs: Any) -> Answer:
        return self.request("PUT", path, json=json, **kwargs)

    def patch(self, path: str, json: Any = None, **kwargs: Any) -> Answer:
        return self.request("PATCH", path, json=json, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> Answer:
        return self.request("POST", path, json=json, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Answer:
        return self.request("DELETE", path, **kwargs)

    def head(self, path: str, **kwargs: Any) -> Answer:
        return self.request("HEAD", path, **kwargs)

    def request(
        self, method: str, url: str, *, json: Any = None, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        return self.run(self.send(method, url, json=json, content=content, headers=headers))

    async def send(
        self, method: str, url: str, *, json: Any = None, content: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        body = _dumps(json) if json is not None else content
        scope = self._scope(method, url, {"content-length": str(len(body))} | _lower(headers))
        sent: list[dict[str, Any]] = []
        incoming = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = sent[0]
        answered = {key.decode().lower(): value.decode() for key, value in start.get("headers", [])}
        return Answer(start["status"], answered, b"".join(part.get("body", b"") for part in sent[1:]))

    def _scope(self, method: str, url: str, headers: dict[str, str]) -> dict[str, Any]:
        parts = urlsplit(url if "://" in url else self.base + url)
        if self.token:
            headers = {"authorization": f"Bearer {self.token}"} | headers
        headers = {"host": parts.netloc, "content-type": "application/json"} | headers
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": parts.scheme,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
            "server": (parts.hostname, parts.port or 443),
            "client": ("127.0.0.1", 1),
        }


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def _lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {key.lower(): value for key, value in (headers or {}).items()}


def token(sandbox: Sandbox, audience: str) -> str:
    """A token of the sandbox's owner."""
    return sandbox.tokens.issue(audience, sandbox.owner)
