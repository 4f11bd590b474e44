"""How a plugin lives: serve on a free loopback port, print it, end when told to or when the engine is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

_MAX_MESSAGE_BYTES = 400 * 1024 * 1024
_WORKERS = 32
_PARENT_CHECK_SECONDS = 0.5


def serve(register: Callable[[grpc.Server], None], on_stop: Callable[[], None] = lambda: None) -> None:
    """Serve what `register` adds until a signal or the engine's death; `on_stop` frees what is held."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=_WORKERS),
        options=[
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ],
    )
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # The engine reads the port from the first line.
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    parent = os.getppid()
    while not stop.wait(_PARENT_CHECK_SECONDS):
        if os.getppid() != parent:  # a killed engine cannot tell its plugins to go
            break
    on_stop()
    server.stop(grace=None)
    sys.stdout.flush()
    os._exit(0)  # worker threads may still wait for Azure
