"""One replica: Azure's inference server under gunicorn on a loopback port. Run by path with the deployment's python.

    python replica.py PORT THREADS WORKERS FAULTS_FILE

The process ends when a worker of it ends, so that whoever started it sees a crash and decides when to start again.
Exit code 3: the score script could not be loaded or its init() failed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.errors import HaltServer

CRASHED = 70


class Replica(BaseApplication):  # type: ignore[misc]
    """gunicorn with its settings given here, not on a command line that the score script could read."""

    def __init__(self, port: int, threads: int, workers: int, faults: Path) -> None:
        self._settings: dict[str, Any] = {
            "bind": [f"127.0.0.1:{port}"],
            "workers": workers,
            "worker_class": "gthread",
            # One more than may score at once, so that a health probe is answered while all are busy.
            "threads": threads + 1,
            # A slow score script is the caller's time-out, not a reason to kill the worker.
            "timeout": 0,
            "graceful_timeout": 10,
            # Longer than the gateway keeps idle connections: the gateway always closes first.
            "keepalive": 75,
            "errorlog": "-",
            "proc_name": "replica",
            "child_exit": _end_with_worker,
        }
        self._faults = faults
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from _sandbox_faults import FaultGate  # type: ignore[import-not-found]  # beside this file, by path
        from azureml_inference_server_http.server.entry import app

        return FaultGate(app, self._faults)


def _end_with_worker(server: Any, worker: Any) -> None:
    if server.LISTENERS:  # they are gone when the server itself is stopping
        raise HaltServer(f"Worker {worker.pid} ended.", CRASHED)


if __name__ == "__main__":
    port, threads, workers = (int(value) for value in sys.argv[1:4])
    faults = Path(sys.argv[4])
    sys.argv = sys.argv[:1]
    Replica(port, threads, workers, faults).run()
