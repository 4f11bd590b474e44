"""The Pulumi CLI by Pulumi's own installer, within bounds and without noise where there is no internet."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess  # nosec B404  # the installer may hang, so it gets a process of its own
import sys
from collections.abc import Callable
from pathlib import Path

#: Until the installer's script is there, and until the CLI is.
CONNECT_SECONDS = 8
INSTALL_SECONDS = 300

# urllib has no limit of its own, so that a dead network would hold `make setup` for minutes.
_SCRIPT = """
import socket, sys
socket.setdefaulttimeout(float(sys.argv[3]))
from pulumi.automation import PulumiCommand
from semver import VersionInfo
PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
"""


def install(target: Path, version: str, report: Callable[[str], None]) -> bool:
    """Install into the cache and link `target` to it; False, having said so, when that is not possible here."""
    root = target.parent / f"official-{version}"
    report(f"Pulumi CLI {version}: asking Pulumi's installer")
    command = [sys.executable, "-c", _SCRIPT, str(root), version, str(CONNECT_SECONDS)]
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        process = subprocess.Popen(  # nosec B603  # our own interpreter and script
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        report(f"Pulumi's installer did not start: {error}")
        return False
    try:
        done = process.wait(INSTALL_SECONDS) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the script and what it started
        process.wait()
        done = False
    binary = root / "bin" / "pulumi"
    if not done or not binary.exists():
        shutil.rmtree(root, ignore_errors=True)
        report("Pulumi's installer is not within reach here")
        return False
    link = target.with_name(f".{target.name}.{os.getpid()}")
    link.symlink_to(binary)
    link.replace(target)
    return True
