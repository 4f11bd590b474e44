"""Python environments for jobs and deployments: built with uv, kept by hash of what they hold."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.kernel.settings import LOOPBACK
from sandbox.ml.conda import EnvironmentSpec

#: Lines of the build log that an error quotes.
LOG_TAIL = 25
_MARKER = ".ready"
_POLL_SECONDS = 0.2
#: Variables of this process that a build may see: where packages come from and how they are reached.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy")


class EnvironmentFailed(Exception):
    """The environment could not be built. `log` is the file that holds uv's output, the message its tail."""

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(message)
        self.log = log


def find_uv() -> str:
    """The uv executable: the one installed beside this interpreter, else on PATH."""
    if importlib.util.find_spec("uv") is not None:
        from uv import find_uv_bin

        return os.fspath(find_uv_bin())
    found = shutil.which("uv")
    if found is None:
        raise FileNotFoundError("uv is not installed; `pip install uv` beside the sandbox")
    return found


class EnvironmentBuilder:
    """Builds below `home/envs`. One build per hash at a time, also between processes."""

    def __init__(self, home: Path, uv: str | None = None) -> None:
        self._root, self._home, self._uv = home / "envs", home, uv

    def log_file(self, spec: EnvironmentSpec) -> Path:
        """Where the build of `spec` writes; there once a build has begun."""
        return self._root / f"{digest(spec)}.log"

    def ready(self, spec: EnvironmentSpec) -> Path | None:
        """The finished environment's python, if it was built before."""
        folder = self._root / digest(spec)
        return folder / "bin" / "python" if (folder / _MARKER).exists() else None

    async def build(self, spec: EnvironmentSpec) -> Path:
        """The environment's python; EnvironmentFailed says what did not resolve or that the disk is full."""
        if (python := self.ready(spec)) is not None:
            return python
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            async with _locked(self._root / f"{digest(spec)}.lock"):
                # Another task may have built it while this one waited.
                return self.ready(spec) or await self._build(spec)
        except OSError as error:
            raise EnvironmentFailed(f"environment build: {error}", self.log_file(spec)) from error

    async def _build(self, spec: EnvironmentSpec) -> Path:
        folder, log = self._root / digest(spec), self.log_file(spec)
        shutil.rmtree(folder, ignore_errors=True)
        interpreter, remark = choose_interpreter(spec.python)
        log.write_text(f"{remark}\nrequirements:\n" + "".join(f"  {line}\n" for line in spec.requirements))
        requirements = self._root / f"{folder.name}.txt"
        requirements.write_text("\n".join(spec.requirements) + "\n")
        python = folder / "bin" / "python"
        try:
            await self._run_uv(log, "venv", "--no-project", "--python", interpreter, str(folder))
            if spec.requirements:
                await self._run_uv(log, "pip", "install", "--python", str(python), "-r", str(requirements))
            (folder / _MARKER).write_text(json.dumps(spec.requirements))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return python

    async def _run_uv(self, log: Path, *arguments: str) -> None:
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                self._uv or find_uv(), *arguments, "--color", "never",
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                env=build_environment(os.environ, self._home), cwd=self._root,
            )  # fmt: skip
            try:
                code = await process.wait()
            except BaseException:
                process.kill()
                await process.wait()
                raise
        if code != 0:
            raise EnvironmentFailed(_explain(log, self._root), log)


def digest(spec: EnvironmentSpec) -> str:
    """The name of the environment: what it holds and the interpreter it is made with."""
    interpreter, _ = choose_interpreter(spec.python)
    text = json.dumps([spec.requirements, interpreter, platform.python_version()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def choose_interpreter(wanted: str | None) -> tuple[str, str]:
    """The interpreter for `wanted` ('3.12'), and a remark for the log. None can be downloaded, so it is one that is here."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if wanted in (None, here):
        return sys.executable, f"python {platform.python_version()}"
    return sys.executable, f"python {wanted} was asked for; the sandbox uses the one it runs on, {here}"


def build_environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """The variables of a build: package sources and a real proxy, but not the sandbox's own proxy and CA."""
    kept = {
        name: value
        for name, value in environ.items()
        if name in _PASSED_ON or name in _PROXIES or name.startswith("UV_")
    }
    for name in _PROXIES:
        if LOOPBACK in kept.get(name, "") and name.lower() != "no_proxy":
            del kept[name]
    if Path(kept.get("SSL_CERT_FILE", "/")).is_relative_to(home):
        del kept["SSL_CERT_FILE"]
    return kept | {"UV_LINK_MODE": "hardlink", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never"}


def tail(path: Path, lines: int = LOG_TAIL) -> str:
    """The last lines of a log; empty when there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _explain(log: Path, root: Path) -> str:
    text = tail(log)
    if "No space left on device" in text or "os error 28" in text:
        free = shutil.disk_usage(root).free // 2**20
        return f"environment build: the disk is full ({free} MiB free). Free space, or move the sandbox's home.\n{text}"
    return f"environment build failed:\n{text}"


@asynccontextmanager
async def _locked(path: Path) -> AsyncIterator[None]:
    """Holds the lock file; waits by asking, so that a cancelled build stops waiting."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_POLL_SECONDS)
        yield
