"""The gateway beside the bare backend and nginx, in turns: requests/s, requests per second of CPU, added median latency.

The gateway runs as it does in the sandbox: TLS, key check, access records shipped; one process with one event loop, so one
core. nginx (apt: nginx) proxies the same backend behind the same certificate and checks nothing: it is the floor.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import uvloop

from bench.load import Load, Post, has_wrk, put_load
from bench.measure import Result, Row
from sandbox.gateway.client import GatewayClient
from sandbox.gateway.http import Connections, Request, Response, ServerProtocol
from sandbox.gateway.routing import DeploymentRoute, EndpointRoute, ReplicaRoute, RoutingTable
from sandbox.kernel.settings import LOOPBACK, Settings, free_ports, new_settings, save_settings
from sandbox.kernel.tls import server_context, tls_files

LEAST_RATE = 3000.0
MOST_ADDED_MS = 1.0
KEY = "bench-key"
BODY = '{"input_data":[[0.1,0.2,0.3,0.4]]}'
PATH = "/bench/echo/score"
LOW, HIGH = 1, 16
ROUNDS = 3
SECONDS = 2


@dataclass(frozen=True, slots=True)
class Target:
    """`process`: the proxy whose CPU time counts; None for the backend itself."""

    name: str
    url: str
    process: psutil.Process | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One target at one concurrency, medians over the rounds. `per_core_second`: requests per second of its CPU time."""

    target: str
    concurrency: int
    requests_per_second: float
    median_ms: float
    p99_ms: float
    errors: int
    per_core_second: float | None


def run() -> Result:
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder:
        turns = asyncio.run(_bench(Path(folder)))
    by = {(turn.target, turn.concurrency): turn for turn in turns}
    if failed := sum(turn.errors for turn in turns):
        raise RuntimeError(f"{failed} of the requests were not answered 200: there is nothing to compare")
    notes = []
    if not has_wrk():
        notes.append("gateway: wrk is not installed (apt: wrk): the built-in client, whose own limit the rate may be")
    if ("nginx", LOW) not in by:
        notes.append("gateway: nginx is not installed (apt: nginx): left out")
    details = {"load": "wrk" if has_wrk() else "python", "turns": [asdict(turn) for turn in turns]}
    return Result("gateway", list(_rows(by)), details, notes)


def _rows(by: dict[tuple[str, int], Turn]) -> Iterator[Row]:
    direct, gateway = by["direct", HIGH], by["gateway", HIGH]
    yield Row(f"gateway, concurrency {HIGH}", gateway.requests_per_second, "req/s", LEAST_RATE, at_least=True)
    if gateway.per_core_second is not None:
        yield Row("gateway, per second of its CPU time", gateway.per_core_second, "req/s")
    for name in dict.fromkeys(target for target, _ in by if target != "direct"):
        added = by[name, LOW].median_ms - by["direct", LOW].median_ms
        yield Row(f"{name}, added median, concurrency {LOW}", added, "ms", MOST_ADDED_MS if name == "gateway" else None)
    yield Row("gateway / direct, req/s", gateway.requests_per_second / direct.requests_per_second, "x")
    if ("nginx", HIGH) in by:
        yield Row("gateway / nginx, req/s", gateway.requests_per_second / by["nginx", HIGH].requests_per_second, "x")


async def _bench(home: Path) -> list[Turn]:
    settings = new_settings(now=time.time())
    save_settings(home, settings)
    ports = free_ports(("backend", "nginx"))
    async with contextlib.AsyncExitStack() as stack:
        taken = await _take_records(settings, home)
        stack.callback(taken.close)
        stack.enter_context(_process([sys.executable, "-m", "bench.gateway", "--backend", str(ports["backend"])]))
        gateway = stack.enter_context(_process([sys.executable, "-m", "sandbox.gateway", "--home", str(home)]))
        await _push(settings, ports["backend"])
        targets = [
            Target("direct", f"http://{LOOPBACK}:{ports['backend']}{PATH}"),
            Target("gateway", f"{settings.url('gateway')}{PATH}", psutil.Process(gateway.pid)),
        ]
        if shutil.which("nginx"):
            nginx = stack.enter_context(_process(["nginx", "-c", str(_nginx_config(home, ports))]))
            await _listening(ports["nginx"])
            url = f"https://{LOOPBACK}:{ports['nginx']}{PATH}"
            targets.append(Target("nginx", url, psutil.Process(nginx.pid)))
        await _listening(ports["backend"])
        return [turn for concurrency in (LOW, HIGH) for turn in await _turns(targets, concurrency)]


async def _turns(targets: Sequence[Target], concurrency: int) -> list[Turn]:
    """All targets, one after the other, round by round."""
    loads: dict[str, list[tuple[Load, float | None]]] = {target.name: [] for target in targets}
    for target in targets:
        await put_load(_post(target), concurrency, 1)  # warm-up
    for _ in range(ROUNDS):
        for target in targets:
            before = _cpu_seconds(target.process)
            load = await put_load(_post(target), concurrency, SECONDS)
            used = _cpu_seconds(target.process) - before
            loads[target.name].append((load, load.requests / used if used else None))
    return [_turn(name, concurrency, taken) for name, taken in loads.items()]


def _turn(name: str, concurrency: int, taken: Sequence[tuple[Load, float | None]]) -> Turn:
    per_core = [rate for _, rate in taken if rate is not None]
    turn = Turn(
        name,
        concurrency,
        statistics.median(load.requests_per_second for load, _ in taken),
        statistics.median(load.median_ms for load, _ in taken),
        statistics.median(load.p99_ms for load, _ in taken),
        sum(load.errors for load, _ in taken),
        statistics.median(per_core) if per_core else None,
    )
    print(
        f"  {name} at {concurrency}: {turn.requests_per_second:,.0f} req/s, median {turn.median_ms:.3f} ms", flush=True
    )
    return turn


def _post(target: Target) -> Post:
    return Post(target.url, KEY, BODY)


async def _backend(port: int) -> None:
    async def answer(_: Request) -> Response:
        return Response(200, [(b"content-type", b"application/json")], b"[0]")

    connections = Connections()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ServerProtocol(answer, connections), LOOPBACK, port)
    await server.serve_forever()


async def _take_records(settings: Settings, home: Path) -> asyncio.Server:
    """Stands in for the control process: takes the access records."""

    async def take(_: Request) -> Response:
        return Response(200, [], b"{}")

    connections = Connections()
    factory: Callable[[], ServerProtocol] = lambda: ServerProtocol(take, connections)  # noqa: E731
    context = server_context(tls_files(home))
    return await asyncio.get_running_loop().create_server(factory, LOOPBACK, settings.ports["admin"], ssl=context)


async def _push(settings: Settings, backend: int) -> None:
    replica = ReplicaRoute(name="echo-0", port=backend)
    deployment = DeploymentRoute(name="blue", replicas=(replica,), max_concurrent=64)
    endpoint = EndpointRoute(
        workspace="bench", name="echo", region="eastus", keys=(KEY,), traffic={"blue": 100}, deployments=(deployment,)
    )
    await _listening(settings.ports["gateway_admin"])
    client = GatewayClient(settings)
    await client.apply(RoutingTable(source="bench", version=1, endpoints=(endpoint,)))
    await client.close()


async def _listening(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _cpu_seconds(process: psutil.Process | None) -> float:
    if process is None:
        return 0.0
    family = [process, *process.children()]
    return sum(sum(member.cpu_times()[:2]) for member in family)


def _nginx_config(home: Path, ports: dict[str, int]) -> Path:
    pem, config = home / "server.pem", home / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
  uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
  upstream backend {{ server {LOOPBACK}:{ports['backend']}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen {LOOPBACK}:{ports['nginx']} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};
    location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
""")
    return config


def main() -> None:
    """The backend process: answers every POST with `[0]`."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=main.__doc__)
    parser.add_argument("--backend", type=int, required=True, metavar="PORT")
    uvloop.run(_backend(parser.parse_args().backend))


if __name__ == "__main__":
    main()
