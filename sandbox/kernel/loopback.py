"""This machine only: where the sandbox listens, and whom it calls."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from rollout.errors import Unavailable
from sandbox.kernel.settings import LOOPBACK


def bind(port: int, name: str) -> socket.socket:
    """A socket on loopback, ready to listen; `Unavailable` names the port when another program has it."""
    # asyncio sets TCP_NODELAY only on a socket that names its protocol. Without it the body of every answer waits 40 ms
    # for the client's delayed acknowledgement of the head.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((LOOPBACK, port))
    except OSError as error:
        sock.close()
        raise Unavailable(
            f"Port {port} of the sandbox's {name} service is taken: {error.strerror}.",
            way_out="stop the program that has it, or rollout sandbox up --new-ports",
        ) from error
    sock.set_inheritable(False)
    return sock


def is_loopback(url: str) -> bool:
    """Whether the URL names this machine by address or as `localhost`; other names are not looked up."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
