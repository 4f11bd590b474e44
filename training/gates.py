"""The quality gate: a model below any threshold of the stack is refused, with every shortfall named. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contract.policy import Gates


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A metric below its gate; `measured` is None when it was not measured, which is a miss too."""

    metric: str
    measured: float | None
    required: float

    def __str__(self) -> str:
        if self.measured is None:
            return f"{self.metric} was not measured; {self.required:.3f} is required"
        return f"{self.metric} {self.measured:.3f} is {self.required - self.measured:.3f} under {self.required:.3f}"


def shortfalls(metrics: Mapping[str, float], gates: Gates) -> list[Shortfall]:
    """What keeps the model out, in the gates' order; empty when it passes. NaN is a miss."""
    missed = []
    for metric, required in gates.model_dump().items():
        if required is None:
            continue
        measured = metrics.get(metric)
        if measured is None or not measured >= required:
            missed.append(Shortfall(metric, measured, required))
    return missed
