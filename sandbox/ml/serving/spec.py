"""What a replica is started with, made from a deployment's document. Durations in seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sandbox.kernel.errors import AzureError

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")

#: Azure's default of `failureThreshold`.
_FAILURES = 30


def seconds_of(duration: str, what: str) -> float:
    """ISO 8601 ('PT5S', 'PT0.5S', 'P1DT2H') as seconds; AzureError 400 names `what`."""
    match = _DURATION.fullmatch(str(duration))
    if match is None or not any(match.groups()):
        raise AzureError(400, "BadRequest", f"{what} is {duration!r}; it must be an ISO 8601 duration, e.g. PT5S.")
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds


@dataclass(frozen=True, slots=True)
class Probe:
    """Azure's probe settings with Azure's defaults."""

    initial_delay: float = 10.0
    period: float = 10.0
    timeout: float = 2.0
    failures: int = _FAILURES

    @classmethod
    def read(cls, settings: Mapping[str, Any] | None, what: str) -> Probe:
        """From `livenessProbe` or `readinessProbe`; what is left out keeps its default."""
        given = {key: value for key, value in (settings or {}).items() if value is not None}
        durations = {
            field_name: seconds_of(given[key], f"{what}.{key}")
            for key, field_name in (("initialDelay", "initial_delay"), ("period", "period"), ("timeout", "timeout"))
            if key in given
        }
        failures = int(given.get("failureThreshold", _FAILURES))
        if failures < 1:
            raise AzureError(400, "BadRequest", f"{what}.failureThreshold is {failures}; it must be at least 1.")
        return cls(**durations, failures=failures)

    @property
    def patience(self) -> float:
        """How long a container may take until it is given up."""
        return self.initial_delay + self.period * self.failures


@dataclass(frozen=True, slots=True)
class Limits:
    """`requestSettings`, as the gateway applies them."""

    timeout: float = 5.0
    max_concurrent: int = 1
    queue: float | None = None

    @classmethod
    def read(cls, settings: Mapping[str, Any] | None) -> Limits:
        given = {key: value for key, value in (settings or {}).items() if value is not None}
        timeout = seconds_of(given.get("requestTimeout", "PT5S"), "requestSettings.requestTimeout")
        if not 0 < timeout <= 180:
            raise AzureError(
                400, "BadRequest", f"requestSettings.requestTimeout is {timeout:g} s; it must be 1 to 180 s."
            )
        concurrent = int(given.get("maxConcurrentRequestsPerInstance", 1))
        if concurrent < 1:
            raise AzureError(
                400, "BadRequest", f"requestSettings.maxConcurrentRequestsPerInstance is {concurrent}; at least 1."
            )
        queue = given.get("maxQueueWait")
        return cls(timeout, concurrent, seconds_of(queue, "requestSettings.maxQueueWait") if queue else None)


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """Everything that makes a replica what it is; two equal specs score alike."""

    python: Path
    app_root: Path
    entry_script: str
    model_dir: Path | None
    faults_file: Path
    environment: tuple[tuple[str, str], ...] = ()
    max_concurrent: int = 1
    workers: int = 1
    readiness: Probe = field(default_factory=Probe)
    liveness: Probe = field(default_factory=Probe)
    #: Of a custom container, which has no score script: its entry command, and the paths of its probes.
    command: tuple[str, ...] = ()
    live_path: str = "/"
    ready_path: str = "/"

    def with_variables(self, more: Mapping[str, str]) -> ReplicaSpec:
        """The same with more variables."""
        return replace(self, environment=tuple(sorted({**dict(self.environment), **more}.items())))
