"""The weights timer's work: what each deployment's share of the traffic should be, for the traffic-split alert."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol

from contract.telemetry import DEPLOYMENT, ENDPOINT, EXPECTED_WEIGHT, Metric
from rollout.azure.telemetry import Value
from rollout.controller.ports import LiveEndpoint
from rollout.errors import RolloutError

log = logging.getLogger("rollout.handlers")


class Writer(Protocol):
    """`rollout.azure.telemetry.Telemetry`."""

    def write(self, metric: Metric, values: Iterable[Value], now: datetime) -> int: ...


def weights_of(endpoint: str, live: LiveEndpoint) -> Iterator[Value]:
    """A figure a deployment, 0 for one without traffic: what it gets all the same would otherwise go unseen."""
    for name in sorted({*live.deployments, *live.weights}):
        yield Value(float(live.weights.get(name, 0)), {ENDPOINT: endpoint, DEPLOYMENT: name})


def publish(endpoints: Iterable[tuple[str, Callable[[], LiveEndpoint]]], writer: Writer, now: datetime) -> int:
    """How many figures were written. An endpoint that can't be read leaves the others theirs; that is raised last."""
    written, failures = 0, []
    for name, live in endpoints:
        try:
            written += writer.write(EXPECTED_WEIGHT, list(weights_of(name, live())), now)
        except RolloutError as error:
            log.error("weights %s: %s", name, error.message)
            failures.append(name)
    if failures:
        raise RolloutError(f"the weights of {', '.join(failures)} were not written", way_out="see the traces above")
    return written
