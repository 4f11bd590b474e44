"""Calls the admin service of a running sandbox. Standard library only: it is on the way of `rollout sandbox status`."""

from __future__ import annotations

import http.client
import json
from typing import Any

from rollout.errors import BadInput, NotFound, Unavailable
from sandbox.kernel.settings import LOOPBACK, Settings
from sandbox.kernel.tls import TlsFiles, client_context


class AdminClient:
    """One call a method; `Unavailable` when the sandbox does not answer."""

    def __init__(self, settings: Settings, files: TlsFiles) -> None:
        self._settings = settings
        self._context = client_context(files)

    def answers(self) -> bool:
        try:
            self.status()
        except Unavailable:
            return False
        return True

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", "/status")
        return found

    def reset(self) -> None:
        self._call("POST", "/reset", timeout=60.0)

    def faults(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", "/faults")
        return found

    def add_fault(self, **fault: Any) -> dict[str, Any]:
        """The fault with its id; `BadInput` says what is wrong with it. Fields: `sandbox.kernel.faults.Fault`."""
        added: dict[str, Any] = self._call("POST", "/faults", fault)
        return added

    def clear_faults(self, fault_id: str | None = None) -> None:
        """One, or all; `NotFound` when there is no such fault."""
        self._call("DELETE", f"/faults/{fault_id}" if fault_id else "/faults")

    def federated_token(self, subject: str, **options: str) -> str:
        """What a CI job would get from its issuer; `issuer` and `audience` may be given."""
        return str(self._call("POST", "/federated-token", {"subject": subject, **options})["token"])

    def _call(self, method: str, path: str, body: Any = None, timeout: float = 10.0) -> Any:
        port = self._settings.ports["admin"]
        connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=timeout, context=self._context)
        headers = {"Authorization": f"Bearer {self._settings.internal_token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The sandbox's admin service on port {port} does not answer: {error}.",
                way_out="rollout sandbox status; rollout sandbox up",
            ) from error
        finally:
            connection.close()
        return _result(answer.status, content)


def _result(status: int, content: bytes) -> Any:
    if status < 400:
        return json.loads(content) if content else None
    message = content.decode(errors="replace")
    try:
        message = json.loads(content)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        # Not Azure's error body: the text itself is the best there is.
        message = message or f"HTTP {status}"
    if status == 400:
        raise BadInput(message, way_out="rollout sandbox fault add --help")
    if status == 404:
        raise NotFound(message, way_out="rollout sandbox fault list")
    raise Unavailable(f"The sandbox's admin service answered {status}: {message}", way_out="rollout sandbox status")
