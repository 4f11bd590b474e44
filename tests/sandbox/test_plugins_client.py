"""How the stand-in providers call Azure: long operations, retries, cancellation, and nothing but loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rollout.errors import BadInput
from sandbox.plugins.azure_client import AzureClient, AzureServiceError, Cancelled, credentials, loopback
from tests.sandbox.tiny_azure import OWNER, Fail, TinyAzure

THING = "/subscriptions/s/resourceGroups/rg/providers/Tiny/things/one"


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyAzure]:
    tiny = TinyAzure()
    for name, value in tiny.environment().items():
        monkeypatch.setenv(name, value)
    yield tiny
    tiny.close()


@pytest.fixture
def client(azure: TinyAzure) -> AzureClient:
    return AzureClient(azure.url, credentials({}), "https://management.azure.com")


def put(client: AzureClient, seconds: float = 10) -> Any:
    return client.run("PUT", THING, {"properties": {}}, seconds, api_version="2020-01-01")


def test_a_long_operation_is_waited_for(azure: TinyAzure, client: AzureClient) -> None:
    def later(_: str, __: dict[str, Any]) -> None:
        operation = next(reversed(azure.operations.values()))
        operation["status"] = "Running"
        threading.Timer(0.1, operation.update, [{"status": "Succeeded"}]).start()

    azure.on_put = later
    put(client)
    assert sum("/operations/" in call for call in azure.calls) > 1


def test_a_failed_operation_gives_azure_s_code(azure: TinyAzure, client: AzureClient) -> None:
    def fail(_: str, __: dict[str, Any]) -> None:
        raise Fail("QuotaExceeded", "no cores left")

    azure.on_put = fail
    with pytest.raises(AzureServiceError, match='Code="QuotaExceeded" Message="no cores left"'):
        put(client)


def hang(azure: TinyAzure) -> None:
    azure.on_put = lambda _path, _document: next(reversed(azure.operations.values())).update(status="Running")


def test_an_operation_ends_with_its_time(azure: TinyAzure, client: AzureClient) -> None:
    hang(azure)
    with pytest.raises(Cancelled, match="timed out"):
        put(client, seconds=0.1)


def test_the_engine_can_cancel_what_is_under_way(azure: TinyAzure, client: AzureClient) -> None:
    hang(azure)
    threading.Timer(0.1, client.cancel).start()
    started = time.monotonic()
    with pytest.raises(Cancelled, match="canceled"):
        put(client, seconds=60)
    assert time.monotonic() - started < 5


def test_a_busy_service_is_asked_again_and_a_refusal_is_not(
    azure: TinyAzure, client: AzureClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(client)
    plain, answers = azure.answer, [503, 429, 403]

    def grumpy(method: str, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        if answers and "things" in url:
            error = {"error": {"code": "Grumpy", "message": "not now"}}
            return answers.pop(0), error, {"retry-after-ms": "10"}
        return plain(method, url, body)

    monkeypatch.setattr(azure, "answer", grumpy)
    with pytest.raises(AzureServiceError, match='Status=403 Code="Grumpy"'):
        client.get(THING, api_version="2020-01-01")
    assert client.get(THING, api_version="2020-01-01")["id"] == THING


def test_one_token_serves_many_threads(azure: TinyAzure, client: AzureClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    plain = azure.answer

    def counting(method: str, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        asked.append(url)
        return plain(method, url, body)

    monkeypatch.setattr(azure, "answer", counting)
    threads = [threading.Thread(target=put, args=[client]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum("oauth2" in url for url in asked) == 1
    assert client.claims()["oid"] == OWNER


def test_a_proxy_of_the_environment_is_not_asked(client: AzureClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    put(client)


@pytest.mark.parametrize("url", ["", "https://management.azure.com", "https://127.0.0.1.example.com", "ftp://10.0.0.1"])
def test_anything_but_loopback_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLOUT_AZURE_RESOURCE_MANAGER", url)
    with pytest.raises(BadInput, match=r"works on 127\.0\.0\.1 only"):
        loopback("ROLLOUT_AZURE_RESOURCE_MANAGER")


def test_a_missing_credential_is_named(azure: TinyAzure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARM_CLIENT_SECRET")
    with pytest.raises(BadInput, match="ARM_CLIENT_SECRET"):
        credentials({})
    assert credentials({"clientSecret": "from the stack's settings"}).client_secret
