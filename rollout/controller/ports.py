"""What the controller needs from the world. `rollout.azure` implements these; tests give in-memory ones.

All raise from `rollout.errors`; `Unavailable` means "ask again later" and never counts as evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

#: Deployment name to percent of live traffic; adds up to 0 or 100, no zero entries.
Weights = Mapping[str, int]
#: A deployment as the service describes it, without what only the service sets.
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scaling:
    """How many machines a deployment has under load."""

    min_instances: int
    max_instances: int
    cpu_percent: int
    latency_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What green is made of."""

    name: str
    model: str  # "churn:7"
    instance_type: str
    instance_count: int
    max_concurrent_requests_per_instance: int
    request_timeout_ms: int
    #: Folder with score.py and a conda file; None for an MLflow model served without code.
    code_path: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    #: Of Azure's own machines; None: `instance_count` stays.
    scale: Scaling | None = None
    #: Of a Kubernetes deployment: `resources` and `scale` as the contract has them; None: Azure's own machines.
    pods: Mapping[str, Any] | None = None
    #: Share of requests whose inputs and predictions the data collector keeps; None: it is off.
    collect_share: float | None = None


@dataclass(frozen=True, slots=True)
class LiveDeployment:
    """A deployment as the service shows it."""

    name: str
    provisioning_state: str  # Azure's: Creating, Updating, Succeeded, Failed, Deleting
    model: str
    instance_count: int


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    """The endpoint as the service shows it now."""

    provisioning_state: str
    weights: Weights
    mirror: Weights
    deployments: Mapping[str, LiveDeployment]


@dataclass(frozen=True, slots=True)
class MinuteSample:
    """One deployment's requests in one minute of policy time. `p95_ms` is None without requests."""

    minute: datetime  # start of the minute, UTC
    deployment: str
    requests: int
    errors: int  # 5xx, 408 (time-out), 424 (how Azure shows a scorer's non-200) and 429; other 4xx are the client's
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One request sent to one deployment alone. `status` 0: no answer within the time-out."""

    status: int
    milliseconds: float
    well_formed: bool
    detail: str = ""


class Endpoints(Protocol):
    """Deployments and traffic of one online endpoint."""

    def live(self) -> LiveEndpoint: ...
    def set_weights(self, weights: Weights, still_ours: Callable[[], None], *, mirror: Weights | None = None) -> None:
        """`still_ours` is asked before each attempt; what it raises ends the attempts: another controller may act.

        `mirror` None: what is mirrored stays, but to deployments that get live traffic.
        """

    def deploy(self, spec: DeploymentSpec) -> None:
        """Create or complete `spec`, wait until it has Succeeded; raises with the tail of its log otherwise."""

    def delete(self, deployment: str, *, for_good: bool = True) -> None:
        """`for_good` False: it will be made again, so what belongs to it (how it scales) stays."""

    def describe(self) -> Mapping[str, Document]:
        """Every deployment, by name, as the service would take it to make the same one."""

    def restore(self, deployment: str, document: Document) -> None:
        """Make it again from what `describe` gave, wait until it has Succeeded; safe to repeat after a kill."""

    def logs(self, deployment: str, lines: int = 100) -> str: ...
    def model_exists(self, model: str) -> bool: ...


class Metrics(Protocol):
    """The platform's metrics. A minute that has not been ingested yet is absent, not zero."""

    def minutes(self, deployments: Sequence[str], start: datetime, end: datetime) -> Sequence[MinuteSample]: ...


class Prober(Protocol):
    """Real scoring requests, pinned to one deployment by header; no retries, so that errors are seen."""

    def probe(self, deployment: str, requests: int, timeout_ms: int) -> Sequence[ProbeResult]: ...


class Lease(Protocol):
    """The right to act on one endpoint, until released; it keeps itself alive while its process lives."""

    @property
    def fencing_number(self) -> int:
        """Rises with every holder; a line written with an older number is refused on replay."""

    def renew(self) -> None:
        """Raises `LeaseLost` when the lease was lost, `Unavailable` when that can't be found out."""

    def release(self) -> None: ...


class JournalStore(Protocol):
    """Append-only lines of one endpoint in durable storage. One object per endpoint, all rollouts in order."""

    def acquire(self, holder: str) -> Lease:
        """Raises `Busy`, naming the holder, while another one has it."""

    def read(self) -> tuple[bytes, int]:
        """All bytes, and the position after the last."""

    def append(self, line: bytes, position: int, lease: Lease) -> int:
        """Write `line` exactly at `position` (the new position comes back); `Busy` if somebody wrote there first."""


class Announcer(Protocol):
    """Tells the world, after the fact was journaled. Failure to tell never stops a rollout."""

    def announce(self, event_type: str, subject: str, data: Mapping[str, object]) -> None: ...
