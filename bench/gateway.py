"""Gateway beside nginx and the bare backend, in one run: requests/s, requests per second of CPU, added median latency.

    python -m bench.gateway [--seconds 5]

The gateway runs as it does in the sandbox: TLS, key check, access records shipped. nginx (apt: nginx) proxies the same
backend behind the same certificate and checks nothing: it is the floor. Load comes from wrk (apt: wrk), or from a small
client in here. Writes out/bench/gateway.json. Compare the ratios; absolute numbers are this machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import uvloop

from sandbox.gateway.client import GatewayClient
from sandbox.gateway.http import Connections, Request, Response, ServerProtocol
from sandbox.gateway.routing import DeploymentRoute, EndpointRoute, ReplicaRoute, RoutingTable
from sandbox.kernel.settings import LOOPBACK, Settings, free_ports, new_settings, save_settings
from sandbox.kernel.tls import server_context, tls_files

OUT = Path("out/bench/gateway.json")
KEY = "bench-key"
BODY = b'{"input_data":[[0.1,0.2,0.3,0.4]]}'
PATH = "/bench/echo/score"
CONCURRENCIES = (1, 16)


@dataclass(frozen=True)
class Run:
    """One target at one concurrency. `per_core_second`: requests per second of the proxy's own CPU time."""

    target: str
    concurrency: int
    requests_per_second: float
    median_ms: float
    p99_ms: float
    errors: int
    per_core_second: float | None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load per target and concurrency")
    parser.add_argument("--backend", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.backend:
        uvloop.run(_backend(arguments.backend))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as folder:
        runs = asyncio.run(_bench(Path(folder), arguments.seconds))
    _report(runs)
    return 0


async def _bench(home: Path, seconds: float) -> list[Run]:
    settings = new_settings(now=time.time())
    save_settings(home, settings)
    ports = free_ports(("backend", "nginx"))
    async with contextlib.AsyncExitStack() as stack:
        taken = await _take_records(settings, home)
        stack.callback(taken.close)
        backend = [sys.executable, "-m", "bench.gateway", "--backend", str(ports["backend"])]
        stack.enter_context(_process(backend))
        gateway = stack.enter_context(_process([sys.executable, "-m", "sandbox.gateway", "--home", str(home)]))
        await _push(settings, ports["backend"])
        targets: list[tuple[str, str, psutil.Process | None]] = [
            ("direct", f"http://{LOOPBACK}:{ports['backend']}{PATH}", None),
            ("gateway", f"{settings.url('gateway')}{PATH}", psutil.Process(gateway.pid)),
        ]
        if shutil.which("nginx"):
            nginx = stack.enter_context(_process(["nginx", "-c", str(_nginx_config(home, ports))]))
            await _listening(ports["nginx"])
            worker = psutil.Process(nginx.pid)
            targets.append(("nginx", f"https://{LOOPBACK}:{ports['nginx']}{PATH}", worker))
        else:
            print("nginx is not installed: left out (apt install nginx)")
        await _listening(ports["backend"])
        return [await _measure(t, c, seconds) for c in CONCURRENCIES for t in targets]


async def _measure(target: tuple[str, str, psutil.Process | None], concurrency: int, seconds: float) -> Run:
    name, url, process = target
    load = _wrk if shutil.which("wrk") else _client
    await load(url, concurrency, min(1.0, seconds / 4))  # warm-up
    before = _cpu_seconds(process)
    result = await load(url, concurrency, seconds)
    used = _cpu_seconds(process) - before
    run = Run(name, concurrency, *result[:4], result[4] / used if process and used else None)
    print(f"  {name:8} c={concurrency:<3} {run.requests_per_second:9.0f} req/s  median {run.median_ms:.3f} ms")
    return run


Load = tuple[float, float, float, int, float]  # requests/s, median ms, p99 ms, errors, requests


async def _wrk(url: str, concurrency: int, seconds: float) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f'wrk.method="POST"\nwrk.body={json.dumps(BODY.decode())}\n'
            f'wrk.headers["authorization"]="Bearer {KEY}"\nwrk.headers["content-type"]="application/json"\n'
        )
        script.flush()
        process = await asyncio.create_subprocess_exec(
            "wrk", "-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s", "--latency", "-s", script.name, url,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        text = (await process.communicate())[0].decode()
    return _parse_wrk(text)


def _parse_wrk(text: str) -> Load:
    def number(pattern: str) -> float:
        match = re.search(pattern, text)
        return float(match[1]) if match else 0.0

    def milliseconds(percent: int) -> float:
        match = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text)
        return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]] if match else 0.0

    errors = int(number(r"Non-2xx or 3xx responses: (\d+)"))
    return number(r"Requests/sec:\s+([\d.]+)"), milliseconds(50), milliseconds(99), errors, number(r"(\d+) requests in")


async def _client(url: str, concurrency: int, seconds: float) -> Load:
    """Without wrk: sockets in this process. Slower than wrk, so `requests/s` may be the client's own limit."""
    times: list[float] = []
    errors = 0
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal errors
        scheme, _, rest = url.partition("://")
        address, _, path = rest.partition("/")
        context = ssl._create_unverified_context() if scheme == "https" else None
        reader, writer = await asyncio.open_connection(LOOPBACK, int(address.partition(":")[2]), ssl=context)
        head = f"POST /{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {KEY}\r\n"
        request = head.encode() + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
        while time.perf_counter() < end:
            start = time.perf_counter()
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            times.append(time.perf_counter() - start)
            errors += answer[9:12] != b"200"
        writer.close()

    await asyncio.gather(*(one() for _ in range(concurrency)))
    cuts = statistics.quantiles(times, n=100)
    return len(times) / seconds, cuts[49] * 1000, cuts[98] * 1000, errors, float(len(times))


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


def _report(runs: list[Run]) -> None:
    by = {(run.target, run.concurrency): run for run in runs}
    low, high = CONCURRENCIES
    ratios: dict[str, float] = {}
    for name in dict.fromkeys(run.target for run in runs):
        if name != "direct":
            ratios[f"{name}_added_median_ms"] = by[name, low].median_ms - by["direct", low].median_ms
            ratios[f"{name}_throughput_of_direct"] = (
                by[name, high].requests_per_second / by["direct", high].requests_per_second
            )
    if ("nginx", high) in by:
        ratios["gateway_throughput_of_nginx"] = (
            by["gateway", high].requests_per_second / by["nginx", high].requests_per_second
        )
    OUT.parent.mkdir(parents=True, exist_ok=True)
    result = {"load": "wrk" if shutil.which("wrk") else "python", "runs": [asdict(r) for r in runs], "ratios": ratios}
    OUT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\n{'target':9}{'conc.':>6}{'req/s':>10}{'req/core-s':>12}{'median ms':>11}{'p99 ms':>9}{'errors':>8}")
    for run in runs:
        core = f"{run.per_core_second:.0f}" if run.per_core_second else "-"
        print(
            f"{run.target:9}{run.concurrency:>6}{run.requests_per_second:>10.0f}{core:>12}"
            f"{run.median_ms:>11.3f}{run.p99_ms:>9.3f}{run.errors:>8}"
        )
    for ratio, value in ratios.items():
        print(f"{ratio:34} {value:.3f}")


if __name__ == "__main__":
    sys.exit(main())
