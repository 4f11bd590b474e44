"""The workspace's run history: when a job began and ended, its steps, its logs. Read without azure-ai-ml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rollout.azure.arm import ArmReader
from rollout.azure.errors import azure_errors

if TYPE_CHECKING:
    from rollout.azure.cloud import Cloud

_WORKSPACE_VERSION = "2024-04-01"
#: Of azure-ai-ml: jobs of batch endpoints are listed below the discovered address.
_LISTING, _LISTING_VERSION = "/mferp/managementfrontend", "2020-09-01-dataplanepreview"


@dataclass(frozen=True, slots=True)
class Run:
    """A job or a step of one. Times are None while they have not come."""

    name: str
    status: str
    started: datetime | None
    ended: datetime | None
    tags: dict[str, str]
    error: str

    @property
    def seconds(self) -> float | None:
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()


class RunHistory(ArmReader):
    """Runs of one workspace."""

    def __init__(self, cloud: Cloud, workspace_id: str) -> None:
        super().__init__(cloud)
        self._workspace = workspace_id

    def run(self, name: str) -> Run:
        """`NotFound` when there is no such job."""
        return _run(self._get(self._url(name), {}, f"read job {name!r}"))

    def steps(self, name: str) -> list[Run]:
        """The steps of a job."""
        return [_run(each) for each in self._get(f"{self._url(name)}/children", {}, f"read job {name!r}")["value"]]

    def log(self, name: str, file: str) -> str:
        """A log as far as it is written; empty when it is not there yet."""
        links = self._get(f"{self._url(name)}/details", {}, f"read the logs of job {name!r}").get("logFiles") or {}
        found = [link for key, link in links.items() if key.endswith(file)]
        if not found:
            return ""
        import requests

        # The link carries its own permission, and must not be sent the caller's token.
        with azure_errors(f"read the logs of job {name!r}"):
            answer = requests.get(found[0], timeout=30)
            answer.raise_for_status()
        return answer.text

    def jobs_of(self, endpoint: str) -> Sequence[dict[str, Any]]:
        """The jobs of a batch endpoint, the newest first."""
        url = f"{self._addresses['api']}{_LISTING}{self._workspace}/batchEndpoints/{endpoint}/jobs"
        found = self._get(url, {"api-version": _LISTING_VERSION}, f"list the jobs of batch endpoint {endpoint!r}")
        jobs: list[dict[str, Any]] = found.get("value") or []
        return jobs

    def _url(self, name: str) -> str:
        return f"{self._addresses['history']}/history/v1.0{self._workspace}/runs/{name}"

    @cached_property
    def _addresses(self) -> dict[str, str]:
        workspace = self.get(self._workspace, _WORKSPACE_VERSION, "read the workspace")
        return self._get(workspace["properties"]["discoveryUrl"], {}, "find the workspace's run history")


def _run(document: dict[str, Any]) -> Run:
    error = ((document.get("error") or {}).get("error") or {}).get("message") or ""
    return Run(
        name=document["runId"],
        status=document["status"],
        started=_time(document.get("startTimeUtc")),
        ended=_time(document.get("endTimeUtc")),
        tags=document.get("tags") or {},
        error=error,
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
