"""A Kubernetes endpoint's requests, as `MinuteSample`s.

Azure Monitor has no request metrics of these endpoints (docs/adr/0012-kubernetes.md). Their pods tell Application
Insights of every request that they answer, and Log Analytics gives that by minute. A request that never reached a pod
(no pod, too many waiting) is not in there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rollout.azure.errors import azure_errors
from rollout.controller.ports import MinuteSample
from rollout.errors import Unavailable

if TYPE_CHECKING:
    from azure.monitor.query import LogsQueryClient

_MINUTE = timedelta(minutes=1)
#: The log is told late: a younger minute may still grow, and half a minute must not be judged.
SETTLED = timedelta(minutes=3)
_NAME = re.compile(r"[A-Za-z0-9-]+")
#: A pod's name begins with its deployment's and its endpoint's. The errors are those of `rollout.azure.metrics`.
_QUERY = """
AppRequests
| where TimeGenerated >= datetime({start}) and TimeGenerated < datetime({end})
| where AppRoleInstance startswith_cs '{deployment}-{endpoint}-'
| summarize Requests = count(), Errors = countif(ResultCode startswith_cs '5' or ResultCode in ('408', '424', '429')),
    P95 = percentile(DurationMs, 95) by Minute = bin(TimeGenerated, 1m)
| order by Minute asc
"""


class RequestLog:
    """`Metrics` of one Kubernetes endpoint. `workspace`: customer id of the Log Analytics workspace."""

    def __init__(self, client: LogsQueryClient, workspace: str, endpoint: str, now: Callable[[], datetime]) -> None:
        self._client, self._workspace, self._endpoint, self._now = client, workspace, endpoint, now

    def minutes(self, deployments: Sequence[str], start: datetime, end: datetime) -> Sequence[MinuteSample]:
        """Samples of the whole minutes in [start, end) that are settled, in order; a minute without requests is absent."""
        first, last = _floor(start), min(_floor(end), _floor(self._now() - SETTLED))
        if first >= last:
            return []
        found = [sample for name in deployments for sample in self._of(name, first, last)]
        return sorted(found, key=lambda sample: (sample.minute, sample.deployment))

    def _of(self, deployment: str, first: datetime, last: datetime) -> Iterator[MinuteSample]:
        from azure.monitor.query import LogsQueryStatus

        doing = f"read the metrics of {self._endpoint!r} from the request log"
        query = query_of(deployment, self._endpoint, first, last)
        with azure_errors(doing):
            answer = self._client.query_workspace(self._workspace, query, timespan=(first, last))
        if answer.status != LogsQueryStatus.SUCCESS:
            raise Unavailable(f"cannot {doing}: only a part came", way_out="try again")
        for table in answer.tables:
            for row in table.rows:
                count, p95 = int(row["Requests"]), row["P95"]
                yield MinuteSample(
                    _floor(row["Minute"]), deployment, count, int(row["Errors"]), None if p95 is None else float(p95)
                )


def query_of(deployment: str, endpoint: str, start: datetime, end: datetime) -> str:
    """The KQL; names that Azure would not take are refused, so that nothing else gets into it."""
    for name in (deployment, endpoint):
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not the name of a deployment or endpoint")
    return _QUERY.format(start=start.isoformat(), end=end.isoformat(), deployment=deployment, endpoint=endpoint).strip()


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)
