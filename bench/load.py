"""HTTP load on one URL: wrk (apt: wrk) where it is installed, else sockets in this process."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import ssl
import statistics
import tempfile
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What a client saw. `errors`: answers other than 200."""

    requests: int
    requests_per_second: float
    median_ms: float
    p99_ms: float
    errors: int


@dataclass(frozen=True, slots=True)
class Post:
    """The request that is sent again and again; with `others`, in turn with those bodies."""

    url: str
    key: str
    body: str
    others: tuple[str, ...] = ()


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


async def put_load(post: Post, concurrency: int, seconds: int) -> Load:
    """Whole seconds, because wrk takes no others."""
    return await (_wrk if has_wrk() else _sockets)(post, concurrency, seconds)


async def _wrk(post: Post, concurrency: int, seconds: int) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        bodies = ",".join(json.dumps(body) for body in (post.body, *post.others))
        script.write(
            f'wrk.method="POST"\nlocal bodies={{{bodies}}}\nlocal turn=0\n'
            f'wrk.headers["authorization"]="Bearer {post.key}"\nwrk.headers["content-type"]="application/json"\n'
            "request=function() turn=turn%#bodies+1 return wrk.format(nil,nil,nil,bodies[turn]) end\n"
        )
        script.flush()
        process = await asyncio.create_subprocess_exec(
            "wrk", "-t1", f"-c{concurrency}", f"-d{seconds}s", "--latency", "-s", script.name, post.url,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        text = (await process.communicate())[0].decode()
    if process.returncode:
        raise RuntimeError(f"wrk ended with {process.returncode}: {text[-500:]}")
    return parse_wrk(text)


def parse_wrk(text: str) -> Load:
    """The report of `wrk --latency`; ValueError when it has no rate or percentiles."""

    def number(pattern: str) -> float:
        match = re.search(pattern, text)
        return float(match[1]) if match else 0.0

    def milliseconds(percent: int) -> float:
        match = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text)
        if match is None:
            raise ValueError(f"wrk reported no {percent}% latency: {text[-500:]}")
        return float(match[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[match[2]]

    rate = number(r"Requests/sec:\s+([\d.]+)")
    if not rate:
        raise ValueError(f"wrk reported no requests: {text[-500:]}")
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    errors = int(number(r"Non-2xx or 3xx responses: (\d+)")) + sum(map(int, broken.groups() if broken else ()))
    return Load(int(number(r"(\d+) requests in")), rate, milliseconds(50), milliseconds(99), errors)


async def _sockets(post: Post, concurrency: int, seconds: int) -> Load:
    """Slower than wrk, so the rate may be this client's own limit."""
    times: list[float] = []
    errors = 0
    address = urlsplit(post.url)
    context = ssl._create_unverified_context() if address.scheme == "https" else None
    head = (
        f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\nauthorization: Bearer {post.key}\r\n"
        "content-type: application/json\r\ncontent-length: "
    ).encode()
    requests = itertools.cycle(
        [head + b"%d\r\n\r\n" % len(body) + body for body in (each.encode() for each in (post.body, *post.others))]
    )
    began = time.perf_counter()

    async def one() -> None:
        nonlocal errors
        writer = None
        while (start := time.perf_counter()) < began + seconds:
            if writer is None:
                reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=context)
            writer.write(next(requests))
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"content-length: (\d+)", answer)
            await reader.readexactly(int(length[1]) if length else 0)
            times.append(time.perf_counter() - start)
            errors += answer[9:12] != b"200"
            if b"connection: close" in answer:  # a server without keep-alive
                writer.close()
                writer = None
        if writer is not None:
            writer.close()

    await asyncio.gather(*(one() for _ in range(concurrency)))
    rate = len(times) / (time.perf_counter() - began)
    cuts = statistics.quantiles(times, n=100)
    return Load(len(times), rate, cuts[49] * 1000, cuts[98] * 1000, errors)
