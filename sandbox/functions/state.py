"""The Functions runtime: a process a site, started by a deployment, from code that lies in the sandbox's folder."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.arm.access import may
from sandbox.arm.catalogue.web import FUNCTION, SITE
from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.environment import explicit
from sandbox.functions import worker
from sandbox.functions.vault import app_settings
from sandbox.functions.worker import Worker
from sandbox.kernel.context import Sandbox
from sandbox.kernel.errors import AzureError
from sandbox.kernel.tokens import Principal
from sandbox.processes import ROOT, child_environment, no_proxy

log = logging.getLogger("sandbox.functions")

_BLOB_READ = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
_LARGEST_PACKAGE = 200 << 20
#: What the app is told of where Azure is; who it is comes from its managed identity alone.
_ADDRESSES = re.compile(r"AZURE_AUTHORITY_HOST|ROLLOUT_(AZURE_\w+|CLOCK)|REQUESTS_CA_BUNDLE|SSL_CERT_FILE")
_KEY = re.compile(r"InstrumentationKey=([0-9a-fA-F-]+)")


class FunctionsState:
    """`deploy`, `changed` and `removed` are ARM's to call; `url_of` is Event Grid's, `principal` is login's."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._deployed = sandbox.store.collection("functions.deployments")
        self._workers: dict[str, Worker] = {}
        self._headers: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def start(self) -> None:
        """Apps that were deployed before run again."""
        for key, entry in list(self._deployed.items()):
            site = self._sandbox.states["arm"].get(key)
            if site is None:
                self._deployed.delete(key)
                continue
            try:
                await self._run(site, Path(entry["folder"]))
            except AzureError as error:
                log.error("%s does not run: %s", site.name, error)

    async def stop(self) -> None:
        await asyncio.gather(*(each.stop() for each in self._workers.values()))
        self._workers.clear()

    def reset(self) -> None:
        """ARM forgets the sites; their processes end with them."""
        for each in self._workers.values():
            if each.alive:
                each.process.terminate()
        self._workers.clear()
        self._headers.clear()
        self._deployed.clear()

    async def deploy(self, site: Resource, package: str) -> None:
        """Unpack the zip at the blob URL `package`, start it, and show its functions. AzureError: why not."""
        content = self._fetch(site, package)
        folder = self._sandbox.home / "functions" / site.name / secrets.token_hex(4)
        try:
            with zipfile.ZipFile(BytesIO(content)) as archive:
                if sum(each.file_size for each in archive.infolist()) > _LARGEST_PACKAGE:
                    raise AzureError(400, "DeploymentFailed", "The package is too large.")
                archive.extractall(folder)
        except zipfile.BadZipFile as error:
            raise AzureError(400, "DeploymentFailed", f"The package is not a zip: {error}.") from error
        if not (folder / "host.json").is_file():
            raise AzureError(400, "DeploymentFailed", "The package has no host.json at its top.")
        old = self._deployed.get(site.key)
        await self._run(site, folder)
        self._deployed.put(site.key, {"folder": str(folder)})
        if old is not None:
            shutil.rmtree(old["folder"], ignore_errors=True)

    async def changed(self, site: Resource) -> None:
        """New settings: what runs starts anew."""
        entry = self._deployed.get(site.key)
        if entry is not None:
            await self._run(site, Path(entry["folder"]))

    async def removed(self, site: Resource) -> None:
        running = self._workers.pop(site.key, None)
        if running is not None:
            await running.stop()
        self._headers.pop(site.key, None)
        self._deployed.delete(site.key)
        shutil.rmtree(self._sandbox.home / "functions" / site.name, ignore_errors=True)

    def url_of(self, function_id: str) -> str:
        """Where the function's events are delivered; empty while it does not run."""
        identity = parse(function_id)
        running = self._workers.get(identity.parent.lower())
        if running is None or not running.alive or identity.name not in running.functions:
            return ""
        return running.url(identity.name)

    def principal(self, header: str, client_id: str) -> Principal | None:
        """Whose token the app with this IDENTITY_HEADER may have."""
        for key, known in self._headers.items():
            if hmac.compare_digest(known.encode(), header.encode()):
                site = self._sandbox.states["arm"].get(key)
                return _identity(site, client_id) if site is not None else None
        return None

    async def _run(self, site: Resource, folder: Path) -> None:
        async with self._locks.setdefault(site.key, asyncio.Lock()):
            self._headers.setdefault(site.key, secrets.token_urlsafe(24))
            environment = self._environment(site)
            fresh = await worker.start(
                folder, environment, secrets.token_urlsafe(24), lambda said: self._told(site.key, said)
            )
            old = self._workers.get(site.key)
            self._workers[site.key] = fresh
            if old is not None:
                await old.stop()
            self._show(site, fresh)

    def _show(self, site: Resource, running: Worker) -> None:
        """ARM lists the functions that the code has."""
        arm = self._sandbox.states["arm"]
        for left in arm.children(site.id, FUNCTION):
            if left.name not in running.functions:
                arm.delete(left.id)
        for name, trigger in running.functions.items():
            properties = {
                "name": name,
                "language": "python",
                "isDisabled": False,
                "config": {"bindings": [dict(trigger)]},
            }
            arm.put(arm.new(f"{site.id}/functions/{name}", properties=properties))

    def _environment(self, site: Resource) -> dict[str, str]:
        """Nothing of the sandbox's owner; calls to anywhere but this machine end at the sandbox's proxy."""
        settings, home = self._sandbox.settings, self._sandbox.home
        wanted = str(site.properties.get("keyVaultReferenceIdentity") or "")
        named = {
            key.lower(): value for key, value in ((site.identity or {}).get("userAssignedIdentities") or {}).items()
        }
        found = named.get(wanted.lower())
        reader = Principal(found["principalId"], found["clientId"]) if found else None
        addresses = {name: value for name, value in explicit(home, settings, {}).items() if _ADDRESSES.fullmatch(name)}
        return {
            **child_environment(os.environ, home),
            **addresses,
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), settings.url("proxy")),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), no_proxy({})),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "IDENTITY_ENDPOINT": f"{settings.url('login')}/msi/token",
            "IDENTITY_HEADER": self._headers[site.key],
            "WEBSITE_SITE_NAME": site.name,
            **app_settings(self._sandbox, site, reader),
        }

    def _fetch(self, site: Resource, package: str) -> bytes:
        """The package, read from the sandbox's storage as the app's deployment identity."""
        parts = urlsplit(package)
        path = unquote(parts.path).lstrip("/").split("/")
        host = parts.hostname or ""
        if host.endswith(".blob.core.windows.net"):
            path.insert(0, host.partition(".")[0])
        elif f"https://{parts.netloc}" != self._sandbox.settings.url("blob"):
            raise AzureError(
                400, "DeploymentFailed", f"The sandbox takes packages from its own storage only, not from {host}."
            )
        if len(path) < 3:
            raise AzureError(400, "DeploymentFailed", "'packageUri' does not name a blob.")
        account, container, name = path[0], path[1], "/".join(path[2:])
        self._check_reader(site, account, container)
        content: bytes = self._sandbox.states["storage"].get(account, container, name)
        return content

    def _check_reader(self, site: Resource, account: str, container: str) -> None:
        storage = (site.properties.get("functionAppConfig") or {}).get("deployment", {}).get("storage", {})
        wanted = str(storage.get("authentication", {}).get("userAssignedIdentityResourceId") or "").lower()
        identities = (site.identity or {}).get("userAssignedIdentities") or {}
        found = {key.lower(): value for key, value in identities.items()}.get(wanted)
        arm = self._sandbox.states["arm"]
        owner = next((each.id for each in arm.of_type("Microsoft.Storage/storageAccounts") if each.name == account), "")
        scope = f"{owner}/blobServices/default/containers/{container}"
        if found is None or not may(
            self._sandbox, Principal(found["principalId"], found["clientId"]), _BLOB_READ, scope, data=True
        ):
            raise AzureError(
                403, "DeploymentFailed", f"The deployment identity of '{site.name}' may not read {account}/{container}."
            )

    # What the app says

    def _told(self, site_key: str, said: Mapping[str, Any]) -> None:
        logs, site = self._sandbox.states.get("logs"), self._sandbox.states["arm"].get(site_key)
        if logs is None or site is None:
            return
        row = {
            "TimeGenerated": float(said.get("at") or self._sandbox.clock.now().timestamp()),
            "_ResourceId": self._component(site),
            "AppRoleName": site.name,
        }
        if said.get("kind") == "trace":
            logs.insert(
                "AppTraces",
                [
                    {
                        **row,
                        "Message": str(said.get("message")),
                        "SeverityLevel": int(said.get("severity", 1)),
                        "ItemCount": 1,
                    }
                ],
            )
        elif said.get("kind") == "request":
            good, name = bool(said["good"]), str(said["name"])
            request = {
                "Name": name,
                "OperationName": name,
                "Success": good,
                "DurationMs": float(said["ms"]),
                "ItemCount": 1,
            }
            logs.insert("AppRequests", [{**row, **request, "ResultCode": "0" if good else "1"}])

    def _component(self, site: Resource) -> str:
        """The id of the Application Insights that the site's connection string names."""
        given = {
            each["name"]: each.get("value")
            for each in (site.properties.get("siteConfig") or {}).get("appSettings") or []
        }
        match = _KEY.search(str(given.get("APPLICATIONINSIGHTS_CONNECTION_STRING") or ""))
        if match is not None:
            for component in self._sandbox.states["arm"].of_type("Microsoft.Insights/components"):
                if component.properties.get("InstrumentationKey") == match[1]:
                    return str(component.id)
        return str(site.id)


def _identity(site: Resource, client_id: str) -> Principal | None:
    """A user-assigned identity by its client id, the only one, or the site's own."""
    own = site.identity or {}
    named = list((own.get("userAssignedIdentities") or {}).values())
    for each in named:
        if each["clientId"] == client_id or (not client_id and len(named) == 1):
            return Principal(each["principalId"], each["clientId"])
    if not client_id and own.get("principalId"):
        return Principal(own["principalId"], own["principalId"])
    return None


__all__ = ["SITE", "FunctionsState"]
