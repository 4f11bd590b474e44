"""The Pulumi CLI built with Go from `tools/pulumi-cli`, whose go.mod and go.sum pin every module."""

from __future__ import annotations

import os
import shutil
import subprocess  # nosec B404  # runs the Go compiler
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from rollout.errors import Unavailable

MODULE_FOLDER = Path(__file__).resolve().parents[2] / "tools" / "pulumi-cli"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
#: What the module cache, the build cache and the binary take together.
NEEDED_BYTES = 5 * 1024**3
_LOCK_SECONDS = 1800
_PROGRESS_SECONDS = 2.0

Report = Callable[[str], None]


@contextmanager
def exclusive(target: Path, report: Report) -> Iterator[None]:
    """One process at a time makes `target`; the others wait for it, up to half an hour."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"cannot make the cache folder {target.parent}: {error.strerror}",
            way_out="set XDG_CACHE_HOME to a folder that can be written",
        ) from error
    lock = FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report("another process is getting the Pulumi CLI; waiting for it")
        _wait(lock)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: FileLock) -> None:
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout as error:
        raise Unavailable(
            f"another process has held {lock.lock_file} for {_LOCK_SECONDS // 60} minutes",
            way_out="end it, then try again",
        ) from error


def build(target: Path, version: str, report: Report) -> None:
    """Compile the CLI to `target`, whole or not at all. Unavailable: no Go, no space, or what Go said."""
    go = _go()
    _require_space(target.parent)
    report(f"building the Pulumi CLI {version} with Go: about 6 minutes on two cores, once for all clones")
    started = time.monotonic()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    flags = f"-s -w -X {_VERSION_VARIABLE}={version}"
    try:
        total = _count_packages(go, report)
        _compile(
            [go, "build", "-v", "-mod=readonly", "-buildvcs=false", "-ldflags", flags, "-o", str(temporary), _PACKAGE],
            total,
            report,
        )
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    report(f"\nbuilt {target} in {minutes} min {seconds} s")


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise Unavailable(
            "there is no Pulumi CLI on PATH or in the cache, its installer is not within reach, and there is no Go to build it",
            way_out="install the Pulumi CLI (>= 3.250.0) or Go (>= 1.21), then try again",
        )
    return go


def _require_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        raise Unavailable(
            f"building the Pulumi CLI needs {NEEDED_BYTES / 1024**3:.0f} GiB, and {folder} has {free / 1024**3:.1f} GiB free",
            way_out="make room, or set XDG_CACHE_HOME, GOCACHE and GOMODCACHE to a larger disk",
        )


def _count_packages(go: str, report: Report) -> int:
    """How many packages the CLI consists of; fetches the modules first if they are not here."""
    report("fetching the Go modules")
    listing = subprocess.run(  # nosec B603  # Go on our own module
        [go, "list", "-mod=readonly", "-deps", _PACKAGE],
        cwd=MODULE_FOLDER,
        env=_environment(),
        capture_output=True,
        text=True,
    )
    if listing.returncode != 0:
        raise _failure(listing.stderr)
    return listing.stdout.count("\n")


def _compile(command: list[str], total: int, report: Report) -> None:
    """Run `go build -v`, which names each package that it compiles, and count them aloud."""
    process = subprocess.Popen(  # nosec B603  # Go on our own module
        command, cwd=MODULE_FOLDER, env=_environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None  # nosec B101  # it is a pipe
    said: list[str] = []
    started = reported = time.monotonic()
    with process:
        for line in process.stderr:
            said.append(line)
            if (now := time.monotonic()) - reported >= _PROGRESS_SECONDS:
                reported = now
                report(f"\r  compiled {len(said)} of at most {total} packages, {int(now - started)} s ")
    if process.returncode != 0:
        raise _failure("".join(said))


def _environment() -> dict[str, str]:
    # A workspace or flags of the user's own must not change what is built.
    return {**os.environ, "GOWORK": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}


def _failure(output: str) -> Unavailable:
    """What Go said, and the way out that fits."""
    if "no space left on device" in output:
        return Unavailable(
            "the disk is full: the build of the Pulumi CLI was undone",
            way_out="make room (5 GiB), or set XDG_CACHE_HOME, GOCACHE and GOMODCACHE to a larger disk",
        )
    lines = [line for line in output.splitlines() if line and not line.startswith("github.com/")]
    return Unavailable(
        "Go could not build the Pulumi CLI:\n  " + "\n  ".join(lines[-5:]),
        way_out="check that Go's module proxy is within reach (go env GOPROXY), or put pulumi >= 3.250.0 on PATH",
    )
