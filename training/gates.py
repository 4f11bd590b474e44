"""The quality gates: a model that misses any of them is refused, with every miss, by how much, and what to try. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from contract.policy import Gates

#: Metrics that have a lowest value.
METRICS = ("accuracy", "precision", "recall", "f1", "auc")
#: Gates with a highest value: gate, what is measured, unit, digits.
_CEILINGS = (
    ("max_cv_std", "cv_std", "", 3),
    ("max_latency_ms", "latency_ms", " ms", 0),
    ("max_memory_mb", "memory_mb", " MB", 0),
    ("max_size_mb", "size_mb", " MB", 1),
    ("max_odds_gap", "odds_gap", "", 3),
)
_ADVICE = {
    "accuracy": "more rows, more trials, or features that tell the classes apart",
    "precision": "features that tell false alarms apart; a higher threshold trades recall for it",
    "recall": "more rows of the positive class; a lower threshold trades precision for it",
    "f1": "more rows of the positive class, or more trials",
    "auc": "features that order the rows better, or more trials",
    "cv_std": "more rows, fewer features, a lower max_depth",
    "latency_ms": "fewer rounds, a lower max_depth, or ONNX (`rollout model optimize`)",
    "memory_mb": "fewer rounds, a lower max_depth",
    "size_mb": "fewer rounds, a lower max_depth",
    "odds_gap": "more rows of the group that fares worst, or a threshold that treats groups alike",
    "baseline": "keep what serves now",
    "card": "fill the fields in the use case's file",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a model; None: not measured, which is a miss where a gate asks for it."""

    metrics: Mapping[str, float]
    cv_std: float | None = None
    latency_ms: float | None = None
    memory_mb: float | None = None
    size_mb: float | None = None
    odds_gap: float | None = None
    #: None: there is no baseline yet, so nothing to be worse than.
    worse_than_baseline: bool | None = None
    p_value: float | None = None
    missing_in_card: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A gate that is missed: what, by how much, and what to try."""

    gate: str
    said: str

    @property
    def advice(self) -> str:
        return _ADVICE[self.gate]

    def __str__(self) -> str:
        return f"{self.said}; try: {self.advice}"


def floors(gates: Gates) -> dict[str, float]:
    """The lowest allowed value of each metric that has one."""
    found = {name: getattr(gates, name) for name in METRICS}
    return {name: value for name, value in found.items() if value is not None}


def shortfalls(measured: Measured, gates: Gates) -> list[Shortfall]:
    """What keeps the model out; empty when it passes. NaN is a miss."""
    return [*_floors(measured, gates), *_ceilings(measured, gates), *_others(measured, gates)]


def _floors(measured: Measured, gates: Gates) -> Iterator[Shortfall]:
    for name in METRICS:
        required, found = getattr(gates, name), measured.metrics.get(name)
        if required is None:
            continue
        if found is None or math.isnan(found):
            yield Shortfall(name, f"{name} was not measured; {required:.3f} is required")
        elif found < required:
            yield Shortfall(name, f"{name} {found:.3f} is {required - found:.3f} under {required:.3f}")


def _ceilings(measured: Measured, gates: Gates) -> Iterator[Shortfall]:
    for gate, name, unit, digits in _CEILINGS:
        allowed, found = getattr(gates, gate), getattr(measured, name)
        if allowed is None:
            continue
        if found is None or math.isnan(found):
            yield Shortfall(name, f"{name} was not measured; at most {allowed:g}{unit} is allowed")
        elif found > allowed:
            over = f"{found:.{digits}f}{unit} is {found - allowed:.{digits}f}{unit} over {allowed:g}{unit}"
            yield Shortfall(name, f"{name} {over}")


def _others(measured: Measured, gates: Gates) -> Iterator[Shortfall]:
    if gates.not_worse_than_baseline and measured.worse_than_baseline:
        yield Shortfall("baseline", f"worse than the baseline model, p = {measured.p_value:.2g}")
    if gates.complete_card and measured.missing_in_card:
        yield Shortfall("card", f"the model card lacks: {', '.join(measured.missing_in_card)}")
