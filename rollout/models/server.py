"""A model on Azure's own inference server, here: its packages in an environment of their own, on loopback, one worker.

What is measured is what a deployment runs (score.py, the pinned packages, the server), on this machine instead of Azure's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess  # nosec B404  # uv, pip and the server, without a shell
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from rollout.errors import RolloutError, Unavailable

#: What starts the server on loopback; its own launcher binds every address.
LAUNCHER = "gunicorn==23.0.0"
_HOST = "127.0.0.1"
_BUILD_SECONDS, _START_SECONDS = 900, 120
_LOG_TAIL = 1500


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `process` leads a session of its own."""

    url: str
    process: subprocess.Popen[bytes]
    start_seconds: float

    def memory_mb(self) -> float | None:
        """Resident memory of all its processes; None where the kernel has no /proc."""
        found = [_resident(each) for each in _session(self.process.pid)]
        return sum(found) / 1024 if found else None


def environment_of(code: Path) -> Path:
    """The interpreter for a code folder, with what its conda.yaml pins. Built once, kept in the user's cache."""
    listed = yaml.safe_load((code / "conda.yaml").read_text("utf-8"))["dependencies"]
    wanted = sorted({LAUNCHER, *(str(each) for part in listed if isinstance(part, dict) for each in part["pip"])})
    digest = hashlib.sha256("\n".join([*wanted, sys.version, sys.executable]).encode()).hexdigest()[:16]
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "azureml-rollouts" / "envs"
    folder = root / digest
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        root.mkdir(parents=True, exist_ok=True)
        _build(folder, python, wanted)
        (folder / ".ready").touch()
    return python


def _build(folder: Path, python: Path, wanted: list[str]) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is not None:
        make = [uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)]
        fill = [uv, "pip", "install", "--quiet", "--python", str(python), *wanted]
    else:
        make = [sys.executable, "-m", "venv", str(folder)]
        fill = [str(python), "-m", "pip", "install", "--quiet", *wanted]
    said = ""
    # The CA of the environment may be for Azure's addresses alone: then the package index is asked without it.
    for environ in (dict(os.environ), _without_ca()):
        done = _run(make, environ) or _run(fill, environ)
        if done is None:
            return
        said = done
        shutil.rmtree(folder, ignore_errors=True)
    raise Unavailable(
        f"the model's environment can't be built: {said}", way_out="check the package index and the pins; try again"
    )


def _without_ca() -> dict[str, str]:
    dropped = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _run(command: list[str], environ: Mapping[str, str]) -> str | None:
    """None when it went well, else the end of what it said."""
    try:
        done = subprocess.run(  # nosec B603
            command, env=dict(environ), capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no end after {_BUILD_SECONDS} s"
    return None if done.returncode == 0 else done.stderr.strip()[-_LOG_TAIL:]


@contextlib.contextmanager
def serving(model: Path, code: Path, threads: int, scratch: Path) -> Iterator[Running]:
    """The server with one worker while the block runs; `RolloutError` with the end of its log when it does not start."""
    python, port, log = environment_of(code), _free_port(), scratch / "server.log"
    command = [
        str(python), "-m", "gunicorn", "--bind", f"{_HOST}:{port}", "--workers", "1", "--worker-class", "gthread",
        "--threads", str(threads + 1), "--timeout", "0", "azureml_inference_server_http.server.entry:app",
    ]  # fmt: skip
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    own = {
        "AZUREML_ENTRY_SCRIPT": "score.py",
        "AZUREML_MODEL_DIR": str(model),
        "AML_APP_ROOT": str(code),
        "SCORING_CACHED_ROWS": "0",  # every request is worked out, also where rows repeat
        "OMP_NUM_THREADS": "1",
    }
    with log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(  # nosec B603
            command, cwd=code, env=inherited | own, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _await(f"http://{_HOST}:{port}/", process, log)
        yield Running(f"http://{_HOST}:{port}/score", process, time.monotonic() - began)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):  # nosec B310  # a loopback address of ours
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RolloutError(f"the model did not start on Azure's inference server:\n{log.read_text()[-_LOG_TAIL:]}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((_HOST, 0))
        return int(sock.getsockname()[1])


def _session(leader: int) -> list[Path]:
    """Processes of the leader's session."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if each.read_text().rpartition(") ")[2].split()[3] == str(leader):
                found.append(each.parent)
    return found


def _resident(process: Path) -> int:
    """Kilobytes."""
    with contextlib.suppress(OSError):
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0
