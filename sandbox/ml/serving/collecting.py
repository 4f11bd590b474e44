"""The data collector beside a deployment's containers: takes what azureml-ai-monitoring posts, and writes it to blob storage.

As on Azure: JSON lines below `modelDataCollector/{endpoint}/{deployment}/{collection}/yyyy/MM/dd/HH/` of the workspace's blob store,
or below the collection's own data asset. The container finds the collector by AZUREML_MDC_* variables.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.gateway.http import Connections, Request, Response, ServerProtocol, plain
from sandbox.kernel.context import Sandbox
from sandbox.kernel.settings import LOOPBACK
from sandbox.ml.datastores import BLOB_STORE, Location
from sandbox.storage.errors import StorageError
from sandbox.storage.model import Content

if TYPE_CHECKING:
    from sandbox.ml.datastores import Datastores
    from sandbox.storage.state import StorageState

log = logging.getLogger("sandbox.ml.serving")

ROOT = "modelDataCollector"
#: Where a rolling rate starts a new file.
ROLLING = {"minute": "%Y/%m/%d/%H/%M", "hour": "%Y/%m/%d/%H", "day": "%Y/%m/%d"}
#: Payloads that wait to be written, for one deployment; more are refused, as a full disk would.
MAX_WAITING = 10_000
_PATH, _TYPE = b"/modeldata/log", "azureml.inference."


@dataclass(slots=True)
class _Collector:
    """Of one deployment. `places`: where each collection goes; `waiting`: (collection, time, line)."""

    source: str
    rolling: str
    places: dict[str, Location]
    server: asyncio.Server
    connections: Connections
    instance: str = field(default_factory=lambda: uuid.uuid4().hex)
    waiting: deque[tuple[str, float, bytes]] = field(default_factory=deque)

    async def handle(self, request: Request) -> Response:
        if request.method != b"POST" or request.target.partition(b"?")[0] != _PATH:
            return plain(404, "not found")
        attributes = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        collection = attributes.get("ce-type", "").removeprefix(_TYPE).lower()
        if collection not in self.places:
            return plain(400, "the collection is not enabled")
        if len(self.waiting) >= MAX_WAITING:
            return plain(429, "too many payloads wait to be written")
        try:
            at = float(attributes.get("ce-time", ""))
            line = _record(attributes, json.loads(request.body), len(request.body), self.source, at)
        except (ValueError, OverflowError, OSError):
            return plain(400, "neither JSON nor a time in seconds")
        self.waiting.append((collection, at, line))
        return plain(200, "")


class Collectors:
    """All of the sandbox. `round` writes what has come in."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._open: dict[str, _Collector] = {}

    async def open(self, deployment: Resource, workspace: Resource, folder: Path) -> dict[str, str]:
        """The container's variables; none when the deployment collects nothing. The port stays while the deployment lives."""
        settings = deployment.properties.get("dataCollector") or {}
        enabled = {
            name.lower(): each
            for name, each in (settings.get("collections") or {}).items()
            if str(each.get("dataCollectionMode")).lower() == "enabled"
        }
        if not enabled:
            await self.close(deployment.key)
            return {}
        places = {name: self._place(deployment, workspace, name, each.get("dataId")) for name, each in enabled.items()}
        rolling = ROLLING[str(settings.get("rollingRate") or "hour").lower()]
        collector = self._open.get(deployment.key) or await self._listen(deployment)
        collector.places, collector.rolling = places, rolling
        file = folder / "data-collector.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"runMode": "cloud", "collections": _configuration(enabled)}))
        port = collector.server.sockets[0].getsockname()[1]
        return {"AZUREML_MDC_CONFIG_PATH": str(file), "AZUREML_MDC_HOST": LOOPBACK, "AZUREML_MDC_PORT": str(port)}

    async def close(self, key: str) -> None:
        """What has come in is written first."""
        collector = self._open.pop(key, None)
        if collector is not None:
            collector.server.close()
            await collector.connections.finish(0.5)
            await asyncio.to_thread(self._write, collector)

    async def stop(self) -> None:
        for key in list(self._open):
            await self.close(key)

    def round(self) -> None:
        """Blocking: call it in a thread."""
        for collector in list(self._open.values()):
            self._write(collector)

    async def _listen(self, deployment: Resource) -> _Collector:
        made: list[_Collector] = []
        connections = Connections()
        server = await asyncio.get_running_loop().create_server(
            lambda: ServerProtocol(lambda request: made[0].handle(request), connections), LOOPBACK, 0
        )
        made.append(_Collector(deployment.id, "", {}, server, connections))
        self._open[deployment.key] = made[0]
        return made[0]

    def _place(self, deployment: Resource, workspace: Resource, collection: str, data_id: str | None) -> Location:
        """The collection's data asset, else Azure's default path."""
        datastores: Datastores = self._sandbox.states["ml"].datastores
        asset = self._sandbox.states["arm"].get(data_id) if data_id else None
        identity = parse(deployment.id)
        default = f"{ROOT}/{identity.names[-2]}/{identity.name}/{collection}"
        uri = (asset and asset.properties.get("dataUri")) or datastores.uri(workspace, BLOB_STORE, default)
        return datastores.locate(workspace, uri)

    def _write(self, collector: _Collector) -> None:
        lines: dict[tuple[str, str], list[bytes]] = {}
        while collector.waiting:
            collection, at, line = collector.waiting.popleft()
            rolled = time.strftime(collector.rolling, time.gmtime(at))
            lines.setdefault((collection, rolled), []).append(line)
        for (collection, rolled), each in lines.items():
            place = collector.places[collection]
            name = f"{place.path}/{rolled}/{collector.instance}.jsonl"
            try:
                _append(self._sandbox.states["storage"], place, name, b"".join(each))
            except StorageError as error:
                log.warning("collected data was not written to %s: %s", name, error.message)


def _configuration(enabled: dict[str, Any]) -> dict[str, Any]:
    rates = {name: each.get("samplingRate") for name, each in enabled.items()}
    return {
        name: {"enabled": True, "sampleRatePercentage": 100.0 * (1.0 if rate is None else float(rate))}
        for name, rate in rates.items()
    }


def _record(attributes: dict[str, str], data: Any, size: int, source: str, at: float) -> bytes:
    """A line as Azure writes it: a CloudEvent with the collector's own attributes."""
    request = attributes.get("ce-x-request-id", "")
    event = {
        "specversion": "1.0",
        "id": attributes.get("trace-id") or str(uuid.uuid4()),
        "source": source,
        "type": attributes["ce-type"],
        "datacontenttype": "application/json",
        "time": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "data": data,
        "contentrange": f"bytes 0-{size - 1}/{size}",
        "correlationid": request,
        "xrequestid": request,
        "modelversion": attributes.get("ce-model-version", "default"),
        "collectdatatype": attributes.get("ce-collect-data-type", ""),
        "agent": attributes.get("ce-agent", ""),
    }
    return json.dumps(event).encode() + b"\n"


def _append(storage: StorageState, place: Location, name: str, content: bytes) -> None:
    with storage.lock:
        storage.ensure_container(place.account, place.container)
        blob = storage.find(place.account, place.container, name)
        if blob is None:
            file = storage.new_file()
            storage.file(file).touch()
            headers = {"content-type": "application/octet-stream"}
            blob = storage.commit(place.account, place.container, name, Content(file, headers, kind="AppendBlob"))
        storage.append(blob, content)
