"""What is passed on about replicas: console lines, CPU and memory, restarts; and the faults that they are to suffer."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import psutil

from sandbox.arm.ids import parse
from sandbox.arm.model import Resource
from sandbox.kernel.context import Sandbox
from sandbox.ml.serving.console import Follower
from sandbox.ml.serving.runner import Runner
from sandbox.ml.serving.spec import Limits

CONSOLE_TABLE = "AmlOnlineEndpointConsoleLog"
GAUGE_SECONDS = 2.0
_SCORER = "scorer-"


def drain_seconds(deployment: Resource) -> float:
    """A request in flight ends by its own time-out at the latest."""
    return Limits.read(deployment.properties.get("requestSettings")).timeout + 2.0


class Telemetry:
    """One for all deployments; `round` is called in a thread."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._follower = Follower()
        self._faults: dict[Path, str] = {}
        self._gauged_at = 0.0

    def round(self, runners: Sequence[Runner]) -> None:
        for runner in runners:
            self.write_faults(runner.deployment_id, runner.folder)
        self._pass_console_on(runners)
        if time.monotonic() - self._gauged_at >= GAUGE_SECONDS:
            self._gauged_at = time.monotonic()
            for runner in runners:
                self._gauge(runner)

    def write_faults(self, deployment_id: str, folder: Path) -> None:
        """The scorer faults that are meant for the deployment, where its replicas look for them."""
        names = parse(deployment_id).names
        target = f"{names[-2]}/{names[-1]}".lower()
        rules = [
            rule.model_dump(include={"id", "kind", "share", "times", "seconds", "megabytes"})
            for rule in self._sandbox.faults.list()
            if rule.kind.startswith(_SCORER) and fnmatchcase(target, rule.target.lower())
        ]
        text = json.dumps(rules)
        if self._faults.get(folder, "") == text:
            return
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "faults.partial"
        partial.write_text(text)
        partial.replace(folder / "faults.json")
        self._faults[folder] = text

    def resume(self, folder: Path) -> None:
        """Console lines that are there already were passed on before the sandbox was restarted."""
        self._follower.skip_existing(folder / "logs")

    def forget(self, folder: Path) -> None:
        self._follower.forget(folder / "logs")
        self._faults.pop(folder, None)

    def _pass_console_on(self, runners: Sequence[Runner]) -> None:
        logs = self._sandbox.states.get("logs")
        rows = [
            self._console_row(runner.deployment_id, instance, line)
            for runner in runners
            for instance, line in self._follower.new_lines(runner.folder / "logs")
        ]
        if logs is not None and rows:
            logs.insert(CONSOLE_TABLE, rows)

    def _console_row(self, deployment_id: str, instance: str, line: str) -> dict[str, Any]:
        identity = parse(deployment_id)
        return {
            "TimeGenerated": self._sandbox.clock.now(),
            "_ResourceId": identity.parent,
            "OperationName": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/log",
            "ContainerName": "inference-server",
            "DeploymentName": identity.name,
            "InstanceId": instance,
            "Message": line,
        }

    def _gauge(self, runner: Runner) -> None:
        monitor = self._sandbox.states.get("monitor")
        if monitor is None:
            return
        names = parse(runner.deployment_id).names
        memory = psutil.virtual_memory().total
        for instance in list(runner.instances):
            if (usage := instance.usage()) is not None:
                monitor.gauge(
                    (names[0], names[-2]),
                    names[-1],
                    instance.id,
                    cpu_percent=min(100.0, usage.cpu_percent / (psutil.cpu_count() or 1)),
                    memory_percent=100.0 * usage.memory_bytes / memory,
                )
