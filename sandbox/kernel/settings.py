"""Where the sandbox lives and listens, and who may call it. Made once per sandbox, kept in its folder."""

from __future__ import annotations

import os
import secrets
import socket
import uuid
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rollout.errors import BadInput, Unavailable
from sandbox.kernel.errors import problems_of
from sandbox.kernel.files import write_private

HOME_VARIABLE = "ROLLOUT_SANDBOX_HOME"
LOOPBACK = "127.0.0.1"
REGION = "eastus"
#: The stack files' encryptionsalt fits it: a salt and passphrase of each sandbox's own would change tracked files.
#: It guards nothing but the sandbox's made-up keys, in a folder that only its owner may read.
PASSPHRASE = "sandbox"  # nosec B105

#: Every listener has a port of its own; `proxy` and `mlflow` speak plain HTTP on loopback, the others TLS.
SERVICES = (
    "arm", "login", "graph", "blob", "ml", "monitor", "logs", "eventgrid",
    "gateway", "gateway_admin", "admin", "mlflow", "proxy",
)  # fmt: skip
PLAIN_HTTP = frozenset({"mlflow", "proxy", "gateway_admin"})


class Settings(BaseModel):
    """One sandbox: identity, ports and clock. `internal_token` guards the calls between its own processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant_id: str
    subscription_id: str
    client_id: str
    client_secret: str
    object_id: str
    internal_token: str
    passphrase: str
    ports: dict[str, int]
    clock_scale: float = 1.0
    clock_real_origin: float
    clock_policy_origin: float
    metrics_lag_seconds: float = 60.0

    def url(self, service: str) -> str:
        """The base URL of a service, without a closing slash."""
        scheme = "http" if service in PLAIN_HTTP else "https"
        return f"{scheme}://{LOOPBACK}:{self.ports[service]}"


def sandbox_home() -> Path:
    """The folder that holds the sandbox's state: `$ROLLOUT_SANDBOX_HOME` or `.sandbox` here."""
    return Path(os.environ.get(HOME_VARIABLE) or ".sandbox").resolve()


def free_ports(names: tuple[str, ...] = SERVICES) -> dict[str, int]:
    """A free loopback port per name; all are held until the last is found, so they differ."""
    sockets = {name: socket.socket() for name in names}
    try:
        for sock in sockets.values():
            sock.bind((LOOPBACK, 0))
        return {name: sock.getsockname()[1] for name, sock in sockets.items()}
    finally:
        for sock in sockets.values():
            sock.close()


def new_settings(*, now: float, clock_scale: float = 1.0, metrics_lag_seconds: float = 60.0) -> Settings:
    """Settings of a new sandbox, with credentials that no other sandbox accepts."""
    return Settings(
        tenant_id=str(uuid.uuid4()),
        subscription_id=str(uuid.uuid4()),
        client_id=str(uuid.uuid4()),
        client_secret=secrets.token_urlsafe(32),
        object_id=str(uuid.uuid4()),
        internal_token=secrets.token_urlsafe(32),
        passphrase=PASSPHRASE,
        ports=free_ports(),
        clock_scale=clock_scale,
        clock_real_origin=now,
        clock_policy_origin=now,
        metrics_lag_seconds=metrics_lag_seconds,
    )


def settings_file(home: Path) -> Path:
    return home / "settings.json"


def save_settings(home: Path, settings: Settings) -> None:
    """Keep `settings` in the sandbox's folder, readable by its owner alone: they hold its secrets."""
    write_private(settings_file(home), settings.model_dump_json(indent=2).encode())


def load_settings(home: Path) -> Settings:
    """The settings of the sandbox in `home`; `Unavailable` when there is none."""
    path = settings_file(home)
    try:
        return Settings.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise Unavailable(f"There is no sandbox in {home}.", way_out="start one: rollout sandbox up") from error
    except ValidationError as error:
        raise BadInput(
            f"{path} does not describe a sandbox: {problems_of(error)}",
            way_out="rollout sandbox down, delete the folder, then rollout sandbox up",
        ) from error
