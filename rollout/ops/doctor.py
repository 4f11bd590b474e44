"""What this machine has, and what is missing: a list of findings, no printing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess  # nosec B404  # asks Go and `rollout sandbox status`
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from rollout.ops import pulumi_cli, pulumi_cli_build

#: ok; note: not there, and only needed for some things; missing: nothing works without it.
State = Literal["ok", "note", "missing"]
_PACKAGES = ("azure-ai-ml", "mlflow", "pulumi", "pulumi-azure-native", "pulumi-azuread")
_PLUGINS = ("pulumi-language-python", "pulumi-resource-azure-native", "pulumi-resource-azuread")
_VARIABLES = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_SUBSCRIPTION_ID")
_LEAST_BYTES = 1024**3
_SANDBOX_ENV = 'eval "$(rollout sandbox env)"'
_ANSWER_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked for. `way_out` is empty when all is well."""

    name: str
    state: State
    found: str
    way_out: str = ""


def examine() -> list[Finding]:
    """Look at everything; nothing is changed, downloaded or built."""
    return [look() for look in _LOOKS]


def _python() -> Finding:
    return Finding("Python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _packages() -> Finding:
    absent = [name for name in _PACKAGES if _version(name) is None]
    if absent:
        return Finding("Python packages", "missing", f"absent: {', '.join(absent)}", "make setup")
    return Finding("Python packages", "ok", ", ".join(f"{name} {_version(name)}" for name in _PACKAGES))


def _pulumi() -> Finding:
    cli = pulumi_cli.find_pulumi()
    if cli is None:
        wanted = ".".join(map(str, pulumi_cli.MINIMUM))
        return Finding(
            "Pulumi CLI", "missing", f"none from {wanted} on", "make setup (installs it, or builds it with Go)"
        )
    return Finding("Pulumi CLI", "ok", f"{cli.version} at {cli.path} (found: {cli.source})")


def _go() -> Finding:
    go = shutil.which("go")
    if go is None:
        return Finding(
            "Go", "note", "not found", "only needed to build the Pulumi CLI where its installer is out of reach"
        )
    return Finding("Go", "ok", f"{_first_line([go, 'version'])} at {go}")


def _plugins() -> Finding:
    found = {name: shutil.which(name) for name in _PLUGINS}
    absent = [name for name, path in found.items() if path is None]
    if absent:
        return Finding(
            "Pulumi plugins", "note", f"not on PATH: {', '.join(absent)}", f"for the sandbox: {_SANDBOX_ENV}"
        )
    return Finding("Pulumi plugins", "ok", f"stand-ins for the sandbox, in {Path(str(found[_PLUGINS[0]])).parent}")


def _sandbox() -> Finding:
    command = [sys.executable, "-c", "from rollout.cli import main; main()", "sandbox", "status", "--json"]
    try:
        answer = subprocess.run(  # nosec B603  # our own command line
            command, capture_output=True, text=True, timeout=_ANSWER_SECONDS
        )
        running = bool(json.loads(answer.stdout).get("running"))
    except (OSError, subprocess.SubprocessError, ValueError):
        running = False
    if running:
        return Finding("Sandbox", "ok", "running")
    return Finding("Sandbox", "note", "not running", "rollout sandbox up")


def _target() -> Finding:
    manager = os.environ.get("ROLLOUT_AZURE_RESOURCE_MANAGER")
    absent = [name for name in _VARIABLES if not os.environ.get(name)]
    where = f"sandbox at {manager}" if manager else "Azure"
    if absent:
        way_out = f"for the sandbox: {_SANDBOX_ENV}; for Azure: set them, or sign in with the Azure CLI"
        return Finding("Credentials", "note", f"for {where}, not set: {', '.join(absent)}", way_out)
    return Finding("Credentials", "ok", f"for {where}, client {os.environ['AZURE_CLIENT_ID']}")


def _authority() -> Finding:
    bundle = os.environ.get("REQUESTS_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        return Finding(
            "CA bundle", "missing", f"REQUESTS_CA_BUNDLE={bundle} does not exist", f"{_SANDBOX_ENV}, or unset it"
        )
    return Finding("CA bundle", "ok", bundle or "the system's")


def _backend() -> Finding:
    url = os.environ.get("PULUMI_BACKEND_URL")
    if url:
        return Finding("Pulumi backend", "ok", url)
    return Finding("Pulumi backend", "note", "PULUMI_BACKEND_URL is not set", f"{_SANDBOX_ENV}, or pulumi login")


def _disk() -> Finding:
    cache = pulumi_cli.cache_folder()
    nearest = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = min(shutil.disk_usage(Path.cwd()).free, shutil.disk_usage(nearest).free)
    text = f"{free / 1024**3:.1f} GiB free"
    if free < _LEAST_BYTES:
        return Finding("Disk", "missing", text, "make room: at least 1 GiB")
    if free < pulumi_cli_build.NEEDED_BYTES:
        return Finding("Disk", "note", text, "a build of the Pulumi CLI needs 5 GiB")
    return Finding("Disk", "ok", text)


_LOOKS: tuple[Callable[[], Finding], ...] = (
    _python, _packages, _pulumi, _plugins, _go, _sandbox, _target, _authority, _backend, _disk,
)  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _first_line(command: list[str]) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS)  # nosec B603
    except (OSError, subprocess.SubprocessError):
        return "does not answer"
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else "does not answer"
