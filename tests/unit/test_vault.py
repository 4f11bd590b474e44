"""A secret of a key vault: one GET with the caller's token, and errors that say what to grant."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from azure.core.credentials import AccessToken

from rollout.azure.vault import read_secret
from rollout.errors import BadInput, NotAllowed, NotFound


@dataclass
class _Cloud:
    """As much of `Cloud` as is asked."""

    vault_audience: str = "https://vault.azure.net"
    scopes: list[str] = field(default_factory=list)

    def credential(self) -> Any:
        return self

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken("the-token", 2**40)


class _Vault(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        status, body = {
            "/secrets/model-key": (200, {"value": "pem"}),
            "/secrets/forbidden": (403, {"error": {"code": "Forbidden", "message": "Caller is not authorized"}}),
        }.get(path, (404, {"error": {"code": "SecretNotFound", "message": "A secret was not found"}}))
        if (self.headers["Authorization"], query) != ("Bearer the-token", "api-version=7.4"):
            status, body = 400, {"error": {"code": "BadParameter", "message": "wrong call"}}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing on the console."""


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Vault)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def test_a_secret_is_read_with_a_token_for_vaults(vault: str) -> None:
    cloud: Any = _Cloud()
    assert read_secret(cloud, vault, "model-key") == "pem"
    assert cloud.scopes == ["https://vault.azure.net/.default"]


def test_what_can_not_be_read_is_told_with_the_way_out(vault: str) -> None:
    cloud: Any = _Cloud()
    with pytest.raises(NotFound, match="read secret 'gone'"):
        read_secret(cloud, vault, "gone")
    with pytest.raises(NotAllowed) as caught:
        read_secret(cloud, vault, "forbidden")
    assert "Key Vault Secrets User" in caught.value.way_out
    with pytest.raises(BadInput, match="no key vault"):
        read_secret(cloud, "", "model-key")
