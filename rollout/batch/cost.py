"""What a thousand predictions cost, in a batch and online. Pure.

Batch: the cluster's nodes are paid while the job holds them,

    cost = seconds x nodes / 3600 x USD per node hour, divided by predictions, times 1,000.

Seconds are the run history's, from the start of the step that scores to its end; the price is the stack's price book
(components/cost/prices.yaml), handed on as `usd_per_hour` of the cluster. Not in it: the minutes in which a node starts,
and those that it idles before the cluster takes it away (`billed_extra_seconds` puts them in, where a reader knows them).

Online: machines are paid whether anybody asks or not,

    cost = machines x USD per machine hour, divided by requests per hour, times 1,000,

with one prediction a request, at the rate that Azure Monitor counted. Source of both: how Azure bills virtual machines
(per second of allocation); neither has a price per request.
"""

from __future__ import annotations

from dataclasses import dataclass

_HOUR = 3600.0
#: Used where no job of the endpoint was measured yet; said wherever it is used.
ASSUMED_ROWS_PER_SECOND = 2_000.0
ASSUMED_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A job that is over: rows, seconds and nodes."""

    rows: int
    seconds: float
    nodes: int

    @property
    def rows_per_second(self) -> float:
        """Of one node."""
        return self.rows / (self.seconds * self.nodes) if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job will take. `basis` says what it rests on."""

    seconds: float
    usd: float
    usd_per_thousand: float | None
    basis: str


def batch_usd(seconds: float, nodes: int, usd_per_hour: float, billed_extra_seconds: float = 0.0) -> float:
    """USD of one job."""
    return (seconds + billed_extra_seconds) * nodes / _HOUR * usd_per_hour


def per_thousand(usd: float, predictions: float) -> float | None:
    """USD of a thousand; None of nothing."""
    return usd / predictions * 1000 if predictions > 0 else None


def batch_per_thousand(job: Measured, usd_per_hour: float) -> float | None:
    """USD for a thousand rows of a measured job."""
    return per_thousand(batch_usd(job.seconds, job.nodes, usd_per_hour), job.rows)


def online_per_thousand(machines: int, usd_per_hour: float, requests_per_hour: float) -> float | None:
    """USD for a thousand requests at this rate; None when nobody asks, since then no number is right."""
    return per_thousand(machines * usd_per_hour, requests_per_hour)


def estimate(rows: int, nodes: int, usd_per_hour: float, last: Measured | None = None) -> Estimate:
    """By the last measured job, start-up included; without one by an assumed rate."""
    if last is not None and last.rows_per_second > 0:
        seconds = rows / (last.rows_per_second * nodes)
        basis = f"the last job: {last.rows_per_second:,.0f} rows a second and node"
    else:
        seconds = ASSUMED_START_SECONDS + rows / (ASSUMED_ROWS_PER_SECOND * nodes)
        basis = f"assumed, no job was measured yet: {ASSUMED_ROWS_PER_SECOND:,.0f} rows a second and node after {ASSUMED_START_SECONDS:g} s"
    usd = batch_usd(seconds, nodes, usd_per_hour)
    return Estimate(seconds, usd, per_thousand(usd, rows), basis)
