"""What saves money, on a stack that is up: an endpoint parked and back by the operator's role, and the off-hours runbook."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests

from components.cost.off_hours import SOURCE
from tests.sandbox.operator import PAYLOAD, Company, company

pytestmark = [pytest.mark.sandbox, pytest.mark.engine, pytest.mark.timed]
BRANCH = "ref:refs/heads/main"
ML = "2024-10-01"
ROLES = "2022-04-01"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with company(tmp_path_factory.mktemp("spending")) as made:
        yield made


@pytest.fixture
def operator(shop: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """The shop, with this process signed in as CI's app."""
    shop.sandbox.use(monkeypatch)
    shop.sign_in(monkeypatch, "operator", BRANCH)
    return shop


def documents(shop: Company) -> dict[str, Any]:
    """Every deployment, without what only the service sets."""
    found = shop.arm("GET", f"{shop.outputs.endpoints['churn'].id}/deployments", ML).json()["value"]
    for one in found:
        one["properties"].pop("provisioningState")
    return {one["name"]: [one.get(key) for key in ("properties", "sku", "tags", "kind")] for one in found}


def ask(shop: Company) -> tuple[int, str]:
    endpoint = shop.outputs.endpoints["churn"]
    keys = shop.arm("POST", f"{endpoint.id}/listKeys", "2024-04-01").json()
    headers = {"Authorization": f"Bearer {keys['primaryKey']}", "Content-Type": "application/json"}
    answer = requests.post(
        endpoint.scoring_uri, data=PAYLOAD, headers=headers, verify=shop.sandbox.env["SSL_CERT_FILE"], timeout=10
    )
    return answer.status_code, answer.text


def test_an_endpoint_is_parked_and_comes_back_as_it_was(operator: Company) -> None:
    operator.start("first", "--watch")
    before, answer = documents(operator), ask(operator)
    assert answer[0] == 200
    assert '"Parked"' in operator.rollout("park", "--json")
    assert documents(operator) == {}
    assert ask(operator)[0] == 404
    assert "Parked" in operator.rollout("status")
    assert "is parked since" in operator.rollout("start", "--model", "tiny:1", "--yes", ok=False)
    operator.engine.up("dev")
    assert documents(operator) == {}, "an update of the infrastructure leaves it parked"
    payload = operator.folder / "payload-unpark.json"
    payload.write_text(PAYLOAD)
    assert '"Live"' in operator.rollout("unpark", "--payload", str(payload), "--json")
    assert documents(operator) == before
    assert operator.weights() == {"first": 100}
    assert ask(operator) == answer
    assert "lines verify" in operator.rollout("audit")


@contextmanager
def identity_endpoint(token: str) -> Iterator[str]:
    """What Automation gives to its jobs: an address that hands out the account's token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["X-IDENTITY-HEADER"] == "secret"
            content = json.dumps({"access_token": token}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing on the console."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()


def job(shop: Company, token: str, *parameters: str) -> subprocess.CompletedProcess[str]:
    """The runbook's file as a job of the account runs it."""
    with identity_endpoint(token) as address:
        environment = {
            "PATH": os.environ["PATH"],
            "IDENTITY_ENDPOINT": address,
            "IDENTITY_HEADER": "secret",
            "ROLLOUT_AZURE_RESOURCE_MANAGER": shop.sandbox.settings.url("arm"),
            "SSL_CERT_FILE": shop.sandbox.env["SSL_CERT_FILE"],
        }
        command = [sys.executable, "-I", str(SOURCE), *parameters]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def least_nodes(shop: Company) -> dict[str, Any]:
    found = shop.arm("GET", f"{shop.outputs.workspace.id}/computes/cpu", ML).json()
    return dict(found["properties"]["properties"]["scaleSettings"])


def test_the_runbook_sets_the_clusters_with_its_role_and_no_other(shop: Company) -> None:
    token = str(shop.session("operator", BRANCH).headers["Authorization"]).removeprefix("Bearer ")
    workspace = shop.outputs.workspace.id
    was = least_nodes(shop)
    tag_minimum(shop, 1)
    refused = job(shop, token, f"on {workspace}")
    assert refused.returncode != 0
    assert "computes/read" in refused.stderr, "the operator's role has no say over clusters"
    assert least_nodes(shop) == was

    assign_off_hours(shop, token)
    on = job(shop, token, f"on {workspace}")
    assert on.returncode == 0, on.stderr
    assert "cluster cpu: 0 -> 1 nodes at least" in on.stdout
    assert least_nodes(shop) == {**was, "minNodeCount": 1}
    off = job(shop, token, "off", workspace)
    assert off.returncode == 0, off.stderr
    assert least_nodes(shop) == was
    again = job(shop, token, "off", workspace)
    assert "already" in again.stdout


def tag_minimum(shop: Company, least: int) -> None:
    """As `pulumi up` does for another `minNodes`, short of the cluster's own minimum."""
    cluster = shop.arm("GET", f"{shop.outputs.workspace.id}/computes/cpu", ML).json()
    cluster["tags"] = {**(cluster.get("tags") or {}), "min-nodes": str(least)}
    made = shop.arm("PUT", f"{shop.outputs.workspace.id}/computes/cpu", ML, cluster)
    assert made.ok, made.text


def assign_off_hours(shop: Company, token: str) -> None:
    """The runbook's own role, as the stack made it, at the workspace: to whom the token belongs."""
    claims = token.split(".")[1]
    who = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["oid"]
    found = shop.arm("GET", f"{shop.group_id}/providers/Microsoft.Authorization/roleDefinitions", ROLES).json()["value"]
    role = next(each for each in found if each["properties"]["roleName"].startswith("Off Hours"))
    scope = shop.outputs.workspace.id
    body = {"properties": {"principalId": who, "principalType": "ServicePrincipal", "roleDefinitionId": role["id"]}}
    name = "99999999-2222-3333-4444-555555555555"
    made = shop.arm("PUT", f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}", ROLES, body)
    assert made.ok, made.text
