"""Every door of the sandbox is locked but those that Azure leaves open: no route answers a stranger."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import server
from sandbox.kernel import loopback
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.ml.datastores import Datastores
from sandbox.ml.jobs.spec import CommandSpec
from sandbox.ml.jobs.workdir import fetch_url
from sandbox.storage.app import OPERATIONS
from tests.sandbox.asgi import Service

#: (port, path): what Azure answers without a token. Signing in, and where services are.
OPEN = {
    ("login", "/common/discovery/instance"),
    ("login", "/federation/.well-known/openid-configuration"),
    ("login", "/federation/keys"),
    ("login", "/{tenant}/v2.0/.well-known/openid-configuration"),
    ("login", "/{tenant}/.well-known/openid-configuration"),
    ("login", "/{tenant}/discovery/v2.0/keys"),
    ("login", "/{tenant}/discovery/keys"),
    ("login", "/{tenant}/oauth2/v2.0/token"),
    ("login", "/{tenant}/oauth2/token"),
    ("ml", "/"),
    ("ml", "/discovery{rest:path}"),
    ("arm", "/metadata/endpoints"),
}
_VALUES = {"tenant": "common", "topic": "news"}
#: A topic is looked up before the caller's key can be checked, so there has to be one.
_HOSTS = {("eventgrid", "/api/events"): "https://news.eastus-1.eventgrid.azure.net"}


@pytest.fixture
def apps(context: Sandbox) -> Iterator[dict[str, Service]]:
    context.states.clear()
    server.add_states(context)
    context.states["arm"].put(_topic(context))
    services = {port: Service(app) for port, app in server.make_apps(context).items()}
    yield services
    for service in services.values():
        service.close()


def _topic(context: Sandbox) -> Any:
    group = f"/subscriptions/{context.settings.subscription_id}/resourceGroups/shop"
    return context.states["arm"].new(f"{group}/providers/Microsoft.EventGrid/topics/news")


def _routes(service: Service) -> Iterator[tuple[str, str]]:
    for route in service.app._app.router.routes:  # type: ignore[attr-defined]  # the app behind the kernel's front
        for method in sorted(route.methods or {"GET"}):
            yield method, route.path


def _filled(path: str) -> str:
    return re.sub(r"{(\w+)(?::\w+)?}", lambda part: _VALUES.get(part[1], "x"), path)


@pytest.mark.parametrize("credential", ["", "Bearer nonsense"])
def test_no_route_answers_a_stranger(apps: dict[str, Service], credential: str) -> None:
    headers = {"authorization": credential} if credential else {}
    open_doors, tried = set(), 0
    for port, service in apps.items():
        for method, path in _routes(service):
            tried += 1
            url = _HOSTS.get((port, path), "") + _filled(path) + "?api-version=2024-04-01"
            answer = service.request(method, url, json={}, headers=headers)
            # The blob service has one route for all; what it does not imitate it says to anybody (operations: below).
            closed = (401, 403, 501) if port == "blob" else (401, 403)
            if answer.status not in closed and (port, path) not in OPEN:
                open_doors.add((port, method, path, answer.status))
    assert tried > 100
    assert not open_doors


def test_the_open_doors_are_there(apps: dict[str, Service]) -> None:
    """So that the list above names routes, not what once were routes."""
    known = {(port, path) for port, service in apps.items() for _, path in _routes(service)}
    assert known >= OPEN


def test_the_blob_service_asks_before_every_operation(apps: dict[str, Service], context: Sandbox) -> None:
    arm, group = context.states["arm"], f"/subscriptions/{context.settings.subscription_id}/resourceGroups/shop"
    arm.put(arm.new(f"{group}/providers/Microsoft.Storage/storageAccounts/shop1"))
    context.states["storage"].ensure_container("shop1", "data")
    paths = {"account": "/shop1", "container": "/shop1/data", "blob": "/shop1/data/blob"}
    for level, method, restype, comp in OPERATIONS:
        answer = apps["blob"].request(method, f"{paths[level]}?restype={restype}&comp={comp}")
        assert answer.status == 401, (level, method, restype, comp)


def test_every_port_is_bound_to_loopback(tmp_path: Path) -> None:
    with loopback.bind(0, "test") as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("name", ["..", "."])
def test_no_resource_is_named_out_of_its_place(context: Sandbox, name: str) -> None:
    group = f"/subscriptions/{context.settings.subscription_id}/resourceGroups/shop"
    with pytest.raises(AzureError, match="not a valid resource id"):
        context.states["arm"].new(f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{name}")


@pytest.mark.parametrize("path", ["../../../..", "a/../../b", "a/%2e%2e/b", "./a"])
def test_no_path_leads_out_of_a_container(context: Sandbox, path: str) -> None:
    """Paths become folders of the models' cache, which is emptied before it is filled."""
    link = f"{context.settings.url('blob')}/shop1/data/{path}"
    with pytest.raises(AzureError, match=r"has a part '\.' or '\.\.'"):
        Datastores(context).locate(context.states["arm"].new("/subscriptions/x"), link)


@pytest.mark.parametrize("what", ["inputs", "outputs"])
def test_no_input_or_output_of_a_job_leads_out_of_its_folder(what: str) -> None:
    entry = {"jobInputType": "uri_file", "jobOutputType": "uri_file", "uri": "azureml://datastores/a/paths/b"}
    job = {"command": "true", "environmentId": "/x", what: {"../../escape": entry}}
    with pytest.raises(AzureError, match="letters, digits and '_'"):
        CommandSpec.read("job", job)


@pytest.mark.parametrize("url", ["https://example.com/data.csv", "http://169.254.169.254/metadata", "http://0/x"])
def test_a_job_fetches_from_this_machine_only(tmp_path: Path, url: str) -> None:
    with pytest.raises(AzureError, match="not on this machine"):
        asyncio.run(fetch_url(url, tmp_path))
    assert not list(tmp_path.iterdir())
