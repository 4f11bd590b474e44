"""Detached processes of the sandbox: pid files that survive a reboot's confusion, logs, orderly ends."""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404  # starts this project's own servers, no shell
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

import sandbox
from sandbox.kernel.files import write_private
from sandbox.kernel.settings import LOOPBACK

ROOT = Path(sandbox.__file__).resolve().parents[1]
#: Seconds from SIGTERM to SIGKILL.
STOP_SECONDS = 10.0
#: Variables that point a process at a sandbox or away from it; the sandbox's own processes go by their settings.
_OWN_PREFIXES = ("ROLLOUT_", "AZURE_", "AZUREML_", "ARM_", "PULUMI_", "MLFLOW_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Pids:
    """The pid files of the sandbox in `home`."""

    home: Path

    def file(self, name: str) -> Path:
        return self.home / f"{name}.pid"

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def start(self, name: str, argv: list[str]) -> psutil.Process:
        """Start `argv` detached, its output in the log. What ran under the name before must have ended."""
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            started = subprocess.Popen(  # nosec B603  # argv is this project's own
                argv,
                cwd=ROOT,
                env=child_environment(os.environ, self.home),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = psutil.Process(started.pid)
        record = {"pid": started.pid, "started": process.create_time(), "argv": argv}
        write_private(self.file(name), json.dumps(record).encode())
        return process

    def running(self, name: str) -> psutil.Process | None:
        """The process that was started under `name`; None when it ended, also when its pid is another's by now."""
        try:
            record = json.loads(self.file(name).read_bytes())
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["started"]) < 1.0
            return process if same and is_alive(process) else None
        except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess, psutil.AccessDenied):
            return None

    def forget(self, name: str) -> None:
        self.file(name).unlink(missing_ok=True)

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of the log."""
        try:
            text = self.log(name).read_text(errors="replace")
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:]) or "(nothing logged)"


def stop(processes: Iterable[psutil.Process], seconds: float = STOP_SECONDS) -> None:
    """Ask the processes to end, wait, then end them and whatever they started."""
    mains = list(processes)
    family = [*mains, *(child for main in mains for child in _descendants(main))]
    _signal(mains, psutil.Process.terminate)
    _signal(_wait(mains, seconds), psutil.Process.kill)
    # Children that their parent left behind get a moment of their own.
    _signal(_wait(family, 1.0), psutil.Process.kill)
    _wait(family, 2.0)
    psutil.wait_procs(mains, timeout=0)


def is_alive(process: psutil.Process) -> bool:
    """A zombie is not: where nobody collects orphans it may stay for good."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that are still alive after `seconds`; returns as soon as none is."""
    deadline = time.monotonic() + seconds
    alive = [process for process in processes if is_alive(process)]
    while alive and time.monotonic() < deadline:
        time.sleep(0.02)
        alive = [process for process in alive if is_alive(process)]
    return alive


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(processes: Iterable[psutil.Process], send: object) -> None:
    assert callable(send)  # nosec B101  # a method of psutil.Process
    for process in processes:
        try:
            send(process)
        except psutil.NoSuchProcess:
            continue


def child_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """The caller's environment without what would send the sandbox's servers through the sandbox.

    A company's own proxy and CA stay: installing packages may need them.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(_OWN_PREFIXES)}
    for name in list(kept):
        through_sandbox = name.upper() in _PROXIES and (LOOPBACK in kept[name] or "localhost" in kept[name])
        own_authority = name.upper() in _AUTHORITIES and Path(kept[name]).resolve().is_relative_to(home)
        if through_sandbox or own_authority:
            del kept[name]
    return kept | {"NO_PROXY": no_proxy(environ), "no_proxy": no_proxy(environ), "PYTHONUNBUFFERED": "1"}


def no_proxy(environ: Mapping[str, str]) -> str:
    """The caller's exceptions and loopback."""
    given = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    names = [LOOPBACK, "localhost", *filter(None, (part.strip() for part in given.split(",")))]
    return ",".join(dict.fromkeys(names))
