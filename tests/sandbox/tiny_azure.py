"""A few lines of Azure for tests of the plugins alone: a token endpoint and an ARM that keeps what it is PUT."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TENANT, CLIENT, SUBSCRIPTION, OWNER = (f"{n}0000000-0000-0000-0000-000000000000" for n in "1234")


class TinyAzure:
    """`documents` by lower-case id; `calls` as 'METHOD path'; `on_put(id, document)` may change or raise Fail."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.versions: dict[str, str] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        self.on_put: Callable[[str, dict[str, Any]], None] = lambda _id, _document: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """What the providers need to find and enter it."""
        return {
            "ARM_TENANT_ID": TENANT,
            "ARM_CLIENT_ID": CLIENT,
            "ARM_CLIENT_SECRET": "tiny",
            "ARM_SUBSCRIPTION_ID": SUBSCRIPTION,
            "AZURE_AUTHORITY_HOST": self.url,
            "ROLLOUT_AZURE_RESOURCE_MANAGER": self.url,
            "ROLLOUT_AZURE_GRAPH": self.url,
        }

    def find(self, end: str) -> dict[str, Any]:
        """The one document whose id ends so."""
        (found,) = [item for key, item in self.documents.items() if key.endswith(end.lower())]
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, JSON and headers."""
        parts = urlsplit(url)
        path = parts.path
        if path.endswith("/oauth2/v2.0/token"):
            return 200, {"access_token": _token(), "expires_in": 3600}, {}
        self.calls.append(f"{method} {path}")
        if path.startswith("/operations/"):
            return 200, self.operations[path], {}
        self.versions[path] = parse_qs(parts.query)["api-version"][0]
        key = path.lower()
        if method == "PUT":
            return self._put(path, body)
        if method == "POST":
            return 200, {"key1": "first-key", "endpoint": "https://there"}, {}
        if key not in self.documents:
            return 404, {"error": {"code": "ResourceNotFound", "message": f"The Resource '{path}' was not found."}}, {}
        if method == "DELETE":
            for each in [other for other in self.documents if other == key or other.startswith(key + "/")]:
                del self.documents[each]
            return 200, {}, {}
        return 200, self.documents[key], {}

    def _put(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        document = {**body, "id": path, "name": path.rsplit("/", 1)[1], "type": "tiny"}
        document["properties"] = {**body.get("properties", {}), "provisioningState": "Succeeded"}
        self.documents[path.lower()] = document
        operation = f"/operations/{len(self.operations)}"
        self.operations[operation] = {"status": "Succeeded"}
        try:
            self.on_put(path, document)
        except Fail as failure:
            document["properties"]["provisioningState"] = "Failed"
            error = {"code": failure.args[0], "message": failure.args[1]}
            self.operations[operation] = {"status": "Failed", "error": error}
        headers = {"Azure-AsyncOperation": self.url + operation, "retry-after-ms": "10"}
        return 201, document, headers

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        azure = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(content) if content.startswith(b"{") else {}
                status, answer, headers = azure.answer(self.command, self.path, body)
                payload = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _serve

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Fail(Exception):
    """Fail(code, message): the operation that a PUT starts ends so."""


def _token() -> str:
    claims = {"oid": OWNER, "appid": CLIENT, "tid": TENANT, "exp": time.time() + 3600}
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{middle}.tail"
