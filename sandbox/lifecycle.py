"""Up, status, reset, down: three detached processes, started side by side, found again by their pid files."""

from __future__ import annotations

import fcntl
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rollout.clock import Clock
from rollout.errors import BadInput, RolloutError, Unavailable
from sandbox.admin.client import AdminClient
from sandbox.kernel.settings import (
    LOOPBACK,
    SERVICES,
    Settings,
    free_ports,
    load_settings,
    new_settings,
    save_settings,
    settings_file,
)
from sandbox.kernel.tls import tls_files
from sandbox.processes import Pids, stop

#: Process name to the ports that it answers on.
PROCESSES = {
    "control": tuple(name for name in SERVICES if name not in ("gateway", "gateway_admin", "mlflow")),
    "gateway": ("gateway", "gateway_admin"),
    "mlflow": ("mlflow",),
}
READY_SECONDS = 90.0
#: Folders of `home` that `reset` empties.
_STATEFUL = ("mlflow", "pulumi")


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` may change. None keeps what the sandbox has, or the default for a new one."""

    time_scale: float | None = None
    metrics_lag_seconds: float | None = None
    #: Give services whose port is taken another one.
    new_ports: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """Who runs. `processes`: name to pid, None for one that does not run."""

    home: Path
    settings: Settings
    processes: dict[str, int | None]

    @property
    def running(self) -> bool:
        return all(self.processes.values())

    @property
    def clock(self) -> Clock:
        return clock_of(self.settings)


def clock_of(settings: Settings) -> Clock:
    return Clock(settings.clock_scale, settings.clock_real_origin, settings.clock_policy_origin)


def up(home: Path, options: Options | None = None, seconds: float = READY_SECONDS) -> Status:
    """Start what does not run, and wait until all of it answers. Does nothing to a sandbox that runs."""
    options = options or Options()
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _alone(home):
        pids = Pids(home)
        missing = [name for name in PROCESSES if pids.running(name) is None]
        settings = _settings(home, options, missing)
        tls_files(home)
        _make_folders(home)
        for name in missing:
            pids.start(name, _command(name, home, settings))
        _install_shims(home)
        try:
            _wait(home, settings, time.monotonic() + seconds)
        except RolloutError:
            _stop_all(pids)
            raise
    return status(home)


def status(home: Path) -> Status:
    """Which processes run; `Unavailable` when there is no sandbox in `home`."""
    settings = load_settings(home)
    running = {name: Pids(home).running(name) for name in PROCESSES}
    return Status(home, settings, {name: process.pid if process else None for name, process in running.items()})


def require_running(home: Path) -> Status:
    """The status; `Unavailable` unless all processes run."""
    found = status(home)
    if not found.running:
        stopped = ", ".join(name for name, pid in found.processes.items() if pid is None)
        raise Unavailable(f"The sandbox in {home} is not running ({stopped}).", way_out="start it: rollout sandbox up")
    return found


def down(home: Path) -> list[str]:
    """Stop what runs, with everything it started; the names of what was stopped. State and ports are kept."""
    if not settings_file(home).exists():
        return []
    with _alone(home):
        return _stop_all(Pids(home))


def hold(home: Path) -> None:
    """Stay until Ctrl-C or SIGTERM, then stop the sandbox; `Unavailable` when one of its processes ends by itself."""
    ended = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            require_running(home)
            time.sleep(0.5)
    except KeyboardInterrupt:
        # The way it is meant to end.
        pass
    finally:
        signal.signal(signal.SIGTERM, ended)
        down(home)


def reset(home: Path) -> None:
    """Empty every service, MLflow and the Pulumi state in the sandbox's folder. Identity and ports stay."""
    running = require_running(home)
    admin_client(running).reset()
    with _alone(home):
        pids = Pids(home)
        mlflow = pids.running("mlflow")
        if mlflow is not None:
            stop([mlflow])
        for folder in _STATEFUL:
            shutil.rmtree(home / folder, ignore_errors=True)
        _make_folders(home)
        pids.start("mlflow", _command("mlflow", home, running.settings))
        _wait(home, running.settings, time.monotonic() + READY_SECONDS)


def admin_client(found: Status) -> AdminClient:
    return AdminClient(found.settings, tls_files(found.home))


def _stop_all(pids: Pids) -> list[str]:
    running = {name: process for name in PROCESSES if (process := pids.running(name)) is not None}
    stop(running.values())
    for name in PROCESSES:
        pids.forget(name)
    return list(running)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One `up`, `down` or `reset` at a time."""
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _settings(home: Path, options: Options, missing: list[str]) -> Settings:
    """The settings to run with, kept in `home`; ports of the processes that are to start are free."""
    now = time.time()
    if settings_file(home).exists():
        settings = _changed(load_settings(home), options, now, running=len(missing) < len(PROCESSES))
    else:
        settings = new_settings(now=now).model_copy(update=_given(options))
    settings = _with_free_ports(settings, [port for name in missing for port in PROCESSES[name]], options)
    save_settings(home, settings)
    return settings


def _given(options: Options) -> dict[str, float]:
    values = {"clock_scale": options.time_scale, "metrics_lag_seconds": options.metrics_lag_seconds}
    return {name: value for name, value in values.items() if value is not None}


def _changed(old: Settings, options: Options, now: float, *, running: bool) -> Settings:
    """`old` with another scale or lag. Policy time goes on from where it is, never backwards."""
    update = {name: value for name, value in _given(options).items() if getattr(old, name) != value}
    if update and running:
        raise BadInput(
            "The sandbox is running with another " + " and ".join(update) + ".",
            way_out="rollout sandbox down, then rollout sandbox up with the new value",
        )
    if "clock_scale" in update or now < old.clock_real_origin:
        reached = max(clock_of(old).policy_timestamp(now), old.clock_policy_origin)
        update |= {"clock_real_origin": now, "clock_policy_origin": reached}
    return old.model_copy(update=update)


def _with_free_ports(settings: Settings, wanted: list[str], options: Options) -> Settings:
    taken = tuple(name for name in wanted if not _is_free(settings.ports[name]))
    if not taken:
        return settings
    if not options.new_ports:
        named = ", ".join(f"{settings.ports[name]} ({name})" for name in taken)
        raise Unavailable(
            f"Port {named} is taken by another program.",
            way_out="stop that program, or give those services other ports: rollout sandbox up --new-ports",
        )
    return settings.model_copy(update={"ports": settings.ports | free_ports(taken)})


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _make_folders(home: Path) -> None:
    from sandbox.plugins.stacks import make_stacks

    for folder in ("logs", "blobs", "envs", "bin", *_STATEFUL):
        (home / folder).mkdir(exist_ok=True)
    make_stacks(home / "pulumi")


def _command(name: str, home: Path, settings: Settings) -> list[str]:
    if name == "mlflow":
        from sandbox.mlflow.server import command

        return command(home, settings)
    module = {"control": "sandbox.server", "gateway": "sandbox.gateway"}[name]
    return [sys.executable, "-m", module, "--home", str(home)]


def _install_shims(home: Path) -> None:
    """The plugins that `pulumi` finds on PATH; while the servers start, because it costs a moment."""
    from sandbox.plugins.install import install_shims

    install_shims(home / "bin")


def _wait(home: Path, settings: Settings, deadline: float) -> None:
    """Until every port answers; `Unavailable` with the end of the log when a process ends before."""
    pids = Pids(home)
    admin = AdminClient(settings, tls_files(home))
    waiting = dict(PROCESSES)
    while waiting:
        for name in list(waiting):
            if _answers(name, settings, admin):
                del waiting[name]
            elif pids.running(name) is None:
                raise Unavailable(
                    f"The sandbox's {name} process ended while starting. The end of {pids.log(name)}:\n{pids.tail(name)}",
                    way_out="rollout sandbox up again, once the cause is gone",
                )
        if waiting and time.monotonic() > deadline:
            raise Unavailable(
                f"The sandbox's {', '.join(waiting)} did not answer in time.",
                way_out=f"look into {home / 'logs'}, then rollout sandbox up",
            )
        time.sleep(0.02)


def _answers(name: str, settings: Settings, admin: AdminClient) -> bool:
    if not all(_listens(settings.ports[port]) for port in PROCESSES[name]):
        return False
    if name == "control":
        return admin.answers()
    return name != "mlflow" or _healthy(settings)


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1.0)
        return sock.connect_ex((LOOPBACK, port)) == 0


def _healthy(settings: Settings) -> bool:
    import http.client

    connection = http.client.HTTPConnection(LOOPBACK, settings.ports["mlflow"], timeout=5.0)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
