"""One scoring process: started in a group of its own, asked whether it is ready, measured, ended for certain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from sandbox.kernel.settings import LOOPBACK
from sandbox.ml.serving.image import HOST, PORT
from sandbox.ml.serving.spec import ReplicaSpec

REPLICA_SCRIPT = Path(__file__).parent / "inside" / "replica.py"
#: Seconds that a process gets to finish after SIGTERM: a little more than gunicorn's own grace.
STOP_GRACE = 12.0
_READY_POLL = 0.1
#: What a replica inherits from the sandbox: nothing secret.
_INHERITED = ("HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class ReplicaFailed(Exception):
    """The process ended or did not become ready; the text says which."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU in percent of one core, memory in bytes, over the process and its children."""

    cpu_percent: float
    memory_bytes: int


class ReplicaProcess:
    """The process behind one replica. Its console goes to `log`; `pid_file` lets a later sandbox find it."""

    def __init__(self, spec: ReplicaSpec, log: Path, pid_file: Path) -> None:
        self._spec, self._log, self._pid_file = spec, log, pid_file
        self._process: asyncio.subprocess.Process | None = None
        self._measured: dict[int, psutil.Process] = {}
        self.port = 0

    async def start(self) -> None:
        """Starts it on a free port; raises ReplicaFailed when the python can't be run."""
        spec, self.port = self._spec, _free_port()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as output:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *_command(spec, self.port),
                    stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                    cwd=spec.app_root, env=_environment(spec, self.port), start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise ReplicaFailed(f"the container did not start: {error}") from error
        _write_pid(self._pid_file, self._process.pid)

    async def wait_ready(self) -> None:
        """Until it answers; raises ReplicaFailed when it ends before, or when the probe's patience is over."""
        assert self._process is not None  # nosec B101  # start() comes first
        exited = asyncio.ensure_future(self._process.wait())
        try:
            async with asyncio.timeout(self._spec.readiness.patience):
                while not await self._answers(self._spec.ready_path, self._spec.readiness.timeout):
                    done, _ = await asyncio.wait({exited}, timeout=_READY_POLL)
                    if done:
                        raise ReplicaFailed(f"the container has ended with exit code {exited.result()}")
        except TimeoutError as error:
            raise ReplicaFailed(
                f"the container did not become ready within {self._spec.readiness.patience:g} s"
            ) from error
        finally:
            exited.cancel()

    async def wait_exit(self) -> int:
        assert self._process is not None  # nosec B101  # start() comes first
        return await self._process.wait()

    async def lives(self, timeout: float) -> bool:
        """Whether the liveness route gives 200 within `timeout` seconds."""
        return await self._answers(self._spec.live_path, timeout)

    async def _answers(self, path: str, timeout: float) -> bool:
        writer = None
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readline()).split(b" ")[1:2] == [b"200"]
        except (OSError, TimeoutError):
            return False
        finally:
            if writer is not None:
                writer.close()

    def usage(self) -> Usage | None:
        """Since the last call; None when it is gone."""
        if self._process is None or self._process.returncode is not None:
            return None
        try:
            root = psutil.Process(self._process.pid)
            alive = {process.pid: process for process in (root, *root.children(recursive=True))}
        except psutil.NoSuchProcess:
            return None
        self._measured = {pid: self._measured.get(pid, process) for pid, process in alive.items()}
        cpu, memory = 0.0, 0
        for process in self._measured.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                cpu += process.cpu_percent()
                memory += process.memory_info().rss
        return Usage(cpu, memory)

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """SIGTERM to the whole group, SIGKILL after `grace` seconds."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await process.wait()
        # Also when the leader has ended: a worker may have outlived it.
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Ends it now, without waiting."""
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)


def end_survivors(root: Path) -> int:
    """Ends what a killed sandbox left running below `root`; how many there were."""
    ended = 0
    for file in root.rglob("*.pid"):
        try:
            known = json.loads(file.read_text())
            process = psutil.Process(known["pid"])
            # A pid is used again some day; the time of its start tells.
            if abs(process.create_time() - known["created"]) < 1.0:
                _signal_group(process.pid, signal.SIGKILL)
                ended += 1
        except (psutil.NoSuchProcess, json.JSONDecodeError, KeyError):
            pass  # ended long ago, or killed while the file was written
        file.unlink(missing_ok=True)
    return ended


def _write_pid(file: Path, pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        file.write_text(json.dumps({"pid": pid, "created": psutil.Process(pid).create_time()}))


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def _command(spec: ReplicaSpec, port: int) -> tuple[str, ...]:
    """The inference server, or what a custom container runs; its programs are those of its environment."""
    if not spec.command:
        arguments = (port, spec.max_concurrent, spec.workers, spec.faults_file)
        return str(spec.python), str(REPLICA_SCRIPT), *(str(argument) for argument in arguments)
    program, *rest = spec.command
    return str(spec.python.parent / program), *rest


def _environment(spec: ReplicaSpec, port: int) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    own = {
        "PATH": f"{spec.python.parent}:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": str(spec.python.parent.parent),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AML_APP_ROOT": str(spec.app_root),
        "AZUREML_ENTRY_SCRIPT": spec.entry_script,
        "WORKER_COUNT": str(spec.workers),
    }
    if spec.model_dir is not None:
        own["AZUREML_MODEL_DIR"] = str(spec.model_dir)
    # a container's own network would keep it from the outside; a process has to bind to loopback
    place = {PORT: str(port), HOST: LOOPBACK} if spec.command else {}
    return inherited | own | dict(spec.environment) | place
