"""The environment that leads a program to the sandbox: explicit addresses, or a proxy for Azure's public names."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from rollout.clock import VARIABLE as CLOCK_VARIABLE
from sandbox.kernel.settings import HOME_VARIABLE, Settings
from sandbox.kernel.tls import tls_files
from sandbox.lifecycle import clock_of
from sandbox.processes import no_proxy

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
#: What only the explicit addresses set; `--proxy` takes it away again.
_EXPLICIT = (
    "AZURE_AUTHORITY_HOST", "ROLLOUT_AZURE_RESOURCE_MANAGER", "ROLLOUT_AZURE_GRAPH", "ROLLOUT_AZURE_METRICS",
    "ROLLOUT_AZURE_LOGS", "ROLLOUT_AZURE_ML_AUDIENCE", "ROLLOUT_AZURE_STORAGE_SUFFIX",
)  # fmt: skip


def explicit(home: Path, settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Every address as `docs/architecture.md` lists them, the Pulumi CLI's set-up included."""
    return {
        **_identity(settings, prefixes=("AZURE", "ARM")),
        "AZURE_AUTHORITY_HOST": settings.url("login"),
        "ROLLOUT_AZURE_RESOURCE_MANAGER": settings.url("arm"),
        "ROLLOUT_AZURE_GRAPH": settings.url("graph"),
        "ROLLOUT_AZURE_METRICS": settings.url("monitor"),
        "ROLLOUT_AZURE_LOGS": settings.url("logs") + "/v1",
        "ROLLOUT_AZURE_ML_AUDIENCE": settings.url("ml"),
        "ROLLOUT_AZURE_STORAGE_SUFFIX": settings.url("blob").removeprefix("https://"),
        HOME_VARIABLE: str(home),
        CLOCK_VARIABLE: clock_of(settings).to_variable(),
        "PULUMI_BACKEND_URL": f"file://{home / 'pulumi'}",
        "PULUMI_CONFIG_PASSPHRASE": settings.passphrase,
        "PULUMI_HOME": str(home / "pulumi-home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PATH": _path(home, environ),
        **_trust(home, environ),
    }


def through_proxy(home: Path, settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Azure's public names through the sandbox's proxy; nothing else can be reached."""
    return {
        **_identity(settings, prefixes=("AZURE",)),
        **dict.fromkeys(_PROXIES, settings.url("proxy")),
        **_trust(home, {}),
    }


def script(variables: Mapping[str, str], unset: tuple[str, ...] = ()) -> str:
    """Lines for `eval`."""
    lines = [f"unset {name}" for name in unset]
    return "\n".join([*lines, *(f"export {name}={shlex.quote(value)}" for name, value in variables.items())])


def stale(settings: Settings, environ: Mapping[str, str], *, proxy: bool) -> tuple[str, ...]:
    """What an earlier `eval` of the other way in left in the environment."""
    if proxy:
        return tuple(name for name in _EXPLICIT if name in environ)
    return tuple(name for name in _PROXIES if environ.get(name) == settings.url("proxy"))


def _identity(settings: Settings, prefixes: tuple[str, ...]) -> dict[str, str]:
    values = {
        "TENANT_ID": settings.tenant_id,
        "CLIENT_ID": settings.client_id,
        "CLIENT_SECRET": settings.client_secret,
        "SUBSCRIPTION_ID": settings.subscription_id,
    }
    return {f"{prefix}_{name}": value for prefix in prefixes for name, value in values.items()}


def _trust(home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The sandbox's CA alone: a request that strays to the real Azure fails instead of being answered."""
    authority = str(tls_files(home).ca)
    direct = no_proxy(environ)
    return {"REQUESTS_CA_BUNDLE": authority, "SSL_CERT_FILE": authority, "NO_PROXY": direct, "no_proxy": direct}


def _path(home: Path, environ: Mapping[str, str]) -> str:
    shims = str(home / "bin")
    others = [part for part in environ.get("PATH", os.defpath).split(os.pathsep) if part and part != shims]
    return os.pathsep.join([shims, *others])
