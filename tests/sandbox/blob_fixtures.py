"""One blob service twice: the sandbox's, and Azurite as the judge of whether it behaves.

`from tests.sandbox.blob_fixtures import *` brings the fixtures into a test module; `blob_service` runs each test on both.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.arm.state import ArmState
from sandbox.kernel.context import Sandbox, open_sandbox
from sandbox.kernel.settings import LOOPBACK, new_settings
from sandbox.kernel.tls import tls_files
from sandbox.storage.app import create
from sandbox.storage.state import StorageState
from tests.sandbox.inprocess import served

__all__ = ["BlobService", "azurite_service", "blob_service", "sandbox_service", "storage_context"]

ACCOUNT = "rollouttest"
KEY = base64.b64encode(hashlib.sha512(b"rollouttest key 1").digest()).decode()
KEY2 = base64.b64encode(hashlib.sha512(b"rollouttest key 2").digest()).decode()
_PINNED = Path(__file__).parent.parent / "azurite"
_CACHE = Path.home() / ".cache" / "azureml-rollouts" / "azurite"


@dataclass(frozen=True, slots=True)
class BlobService:
    """`credential` is the account key; `ca` the file that clients must trust."""

    kind: str
    account_url: str
    account: str
    credential: str
    ca: str

    def client(self, credential: Any = None, **options: Any) -> Any:
        from azure.storage.blob import BlobServiceClient

        options = {"retry_total": 0, "connection_verify": self.ca, **options}
        return BlobServiceClient(self.account_url, credential or self.credential, **options)

    def container(self) -> Any:
        """A new, empty container."""
        return self.client().create_container(f"test-{uuid.uuid4().hex[:12]}")


def add_account(sandbox: Sandbox, name: str = ACCOUNT) -> str:
    """A storage account in ARM; gives its id."""
    arm: ArmState = sandbox.states["arm"]
    group = f"/subscriptions/{sandbox.settings.subscription_id}/resourceGroups/rg"
    account = arm.new(f"{group}/providers/Microsoft.Storage/storageAccounts/{name}", location="eastus")
    account.private = {"keys": {"key1": KEY, "key2": KEY2}}
    return arm.put(account).id


@pytest.fixture(scope="session")
def storage_context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox whose blob service is up, with one account."""
    home = tmp_path_factory.mktemp("storage")
    context = open_sandbox(home, new_settings(now=time.time()))
    context.states["arm"] = ArmState(context)
    context.states["storage"] = StorageState(context)
    add_account(context)
    with served(context, {"blob": create(context)}):
        yield context
    context.store.close()


@pytest.fixture(scope="session")
def sandbox_service(storage_context: Sandbox) -> BlobService:
    url = f"{storage_context.settings.url('blob')}/{ACCOUNT}"
    return BlobService("sandbox", url, ACCOUNT, KEY, str(storage_context.home / "ca.pem"))


@pytest.fixture(scope="session")
def azurite_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobService]:
    """Azurite from npm; skips only where npm itself is missing."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: Azurite can't be had")
    home = tmp_path_factory.mktemp("azurite")
    files = tls_files(home)
    with _azurite(_install(), home, files.server) as port:
        yield BlobService("azurite", f"https://{LOOPBACK}:{port}/{ACCOUNT}", ACCOUNT, KEY, str(files.ca))


@pytest.fixture(params=["sandbox", "azurite"])
def blob_service(request: pytest.FixtureRequest) -> BlobService:
    service: BlobService = request.getfixturevalue(f"{request.param}_service")
    return service


def _install() -> Path:
    """Azurite's start script; installed on first use into the user's cache, as pinned here."""
    script = _CACHE / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    wanted = (_PINNED / "package-lock.json").read_bytes()
    marker = _CACHE / "installed-lock.json"
    if script.exists() and marker.exists() and marker.read_bytes() == wanted:
        return script
    _CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_PINNED / name, _CACHE / name)
    command = ["npm", "ci", "--prefix", str(_CACHE), "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"npm could not install Azurite:\n{done.stdout}\n{done.stderr}"
    marker.write_bytes(wanted)
    return script


@contextmanager
def _azurite(script: Path, home: Path, pem: Path) -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        port = sock.getsockname()[1]
    command = [
        "node", str(script), "--blobHost", LOOPBACK, "--blobPort", str(port), "--location", str(home),
        "--cert", str(pem), "--key", str(pem), "--oauth", "basic", "--skipApiVersionCheck",
        "--disableProductStyleUrl", "--disableTelemetry", "--silent",
    ]  # fmt: skip
    log = (home / "azurite.log").open("wb")
    process = subprocess.Popen(
        command, stdout=log, stderr=log, env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    )
    try:
        _wait_for(port, process, home / "azurite.log")
        yield port
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"Azurite ended: {log.read_text()}"
        with socket.socket() as sock:
            if sock.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("Azurite did not start within 60 s")
