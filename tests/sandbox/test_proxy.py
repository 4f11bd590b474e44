"""The CONNECT proxy: Azure's public names land on the sandbox, everything else is refused."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest
import requests

from sandbox.kernel.settings import new_settings
from sandbox.proxy.hosts import service_of
from sandbox.proxy.server import Proxy, Refused
from tests.sandbox.conftest import RunningSandbox


@pytest.mark.parametrize(
    ("host", "service"),
    [
        ("management.azure.com", "arm"),
        ("LOGIN.microsoftonline.com.", "login"),
        ("graph.microsoft.com", "graph"),
        ("books1.blob.core.windows.net", "blob"),
        ("churn.eastus.inference.ml.azure.com", "gateway"),
        ("ml.azure.com", "ml"),
        ("eastus.api.azureml.ms", "ml"),
        ("eastus.metrics.monitor.azure.com", "monitor"),
        ("api.loganalytics.io", "logs"),
        ("books.eastus-1.eventgrid.azure.net", "eventgrid"),
        ("example.com", None),
        ("management.azure.com.example.com", None),
        ("evil-management.azure.com", None),
        ("books1.file.core.windows.net", None),
    ],
)
def test_which_service_answers_for_a_name(host: str, service: str | None) -> None:
    assert service_of(host) == service


def proxied(sandbox: RunningSandbox) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = sandbox.proxy_env["REQUESTS_CA_BUNDLE"]
    session.proxies = {"https": sandbox.proxy_env["HTTPS_PROXY"], "http": sandbox.proxy_env["HTTP_PROXY"]}
    return session


def test_public_names_are_answered_by_the_sandbox(sandbox: RunningSandbox) -> None:
    session = proxied(sandbox)
    session.headers["Authorization"] = f"Bearer {sandbox.token()}"
    shown = session.get("https://management.azure.com/subscriptions?api-version=2022-12-01", timeout=10).json()
    assert shown["value"][0]["subscriptionId"] == sandbox.settings.subscription_id


def test_other_hosts_and_plain_requests_are_refused_by_name(sandbox: RunningSandbox) -> None:
    session = proxied(sandbox)
    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        session.get("https://example.com/", timeout=10)
    plain = session.get("http://management.azure.com/secret", timeout=10)
    assert plain.status_code == 403
    assert "http://management.azure.com/secret" in plain.text
    answer = ask(sandbox, b"CONNECT example.com:443 HTTP/1.1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"example.com:443" in answer
    assert ask(sandbox, b"CONNECT management.azure.com:22 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize("nonsense", [b"\r\n\r\n", b"CONNECT\r\n\r\n", b"\xff\xfe\x00 x\r\n\r\n"])
def test_nonsense_is_answered_and_the_proxy_goes_on(sandbox: RunningSandbox, nonsense: bytes) -> None:
    assert ask(sandbox, nonsense).startswith(b"HTTP/1.1 400 ")
    assert ask(sandbox, b"CONNECT " + b"x" * 100_000).startswith(b"HTTP/1.1 431 ")


def ask(sandbox: RunningSandbox, request: bytes) -> bytes:
    """What the proxy sends back until it closes."""
    with socket.create_connection(("127.0.0.1", sandbox.settings.ports["proxy"]), timeout=10) as connection:
        connection.sendall(request)
        parts = []
        try:
            while part := connection.recv(4096):
                parts.append(part)
        except ConnectionResetError:
            # It closed with some of the request unread.
            pass
    return b"".join(parts)


def test_only_the_sandboxs_own_ports_of_loopback_are_reachable() -> None:
    settings = new_settings(now=0.0)
    proxy = Proxy(settings)
    assert proxy.target(f"127.0.0.1:{settings.ports['arm']}") == settings.ports["arm"]
    with pytest.raises(Refused, match=r"127\.0\.0\.1:22"):
        proxy.target("127.0.0.1:22")


def test_a_side_that_has_finished_sending_still_receives() -> None:
    """Half-close: the far side answers after it has seen the end of the request."""

    async def echo_at_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        everything = await reader.read()
        writer.write(everything.upper())
        writer.close()

    async def scenario() -> bytes:
        far = await asyncio.start_server(echo_at_end, "127.0.0.1", 0)
        settings = new_settings(now=0.0)
        settings = settings.model_copy(update={"ports": {**settings.ports, "arm": far.sockets[0].getsockname()[1]}})
        proxy = Proxy(settings)
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        await proxy.start(sock)
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n")
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x" * 300_000)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await proxy.stop()
        far.close()
        return answer

    assert asyncio.run(scenario()) == b"X" * 300_000


DEFAULT_CREDENTIAL = """
import os
from azure.identity import DefaultAzureCredential
import requests
token = DefaultAzureCredential().get_token("https://management.azure.com/.default").token
url = f"https://management.azure.com/subscriptions/{os.environ['AZURE_SUBSCRIPTION_ID']}?api-version=2022-12-01"
print(requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).json()["displayName"])
"""


def test_a_script_that_knows_only_azure_runs_unchanged(sandbox: RunningSandbox) -> None:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(sandbox.home), **sandbox.proxy_env}
    shown = subprocess.run(
        [sys.executable, "-c", DEFAULT_CREDENTIAL], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert shown.stdout.strip() == "sandbox", shown.stderr[-2000:]
