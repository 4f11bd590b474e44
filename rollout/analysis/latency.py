"""Is green slower than blue in the same minutes? A betting sign test over paired P95s, valid at any time.

Under "in no minute is green's P95 more likely than not above `tolerated` times blue's", every minute is at best
a fair coin, and the stake (a mixture of fixed bets on it) reaches 1/budget with chance <= budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from rollout.controller.ports import MinuteSample

_BETS = (0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """`ratio` is the median of green's P95 over blue's, minute by minute; None without paired minutes."""

    pairs: int
    slower: int
    ratio: float | None
    e_value: float
    rejected: bool


def compare(
    green: Iterable[MinuteSample], blue: Iterable[MinuteSample], tolerated: float, budget: float
) -> LatencyResult:
    """The test over the minutes in which both sides answered requests."""
    pairs = _pairs(green, blue)
    stakes = [1.0] * len(_BETS)
    highest, slower = 1.0, 0
    for ours, theirs in pairs:
        is_slower = ours > tolerated * theirs
        slower += is_slower
        for index, bet in enumerate(_BETS):
            stakes[index] *= 1.0 + bet if is_slower else 1.0 - bet
        highest = max(highest, math.fsum(stakes) / len(stakes))
    ratio = median(ours / theirs for ours, theirs in pairs) if pairs else None
    return LatencyResult(len(pairs), slower, ratio, highest, highest >= 1.0 / budget)


def _pairs(green: Iterable[MinuteSample], blue: Iterable[MinuteSample]) -> Sequence[tuple[float, float]]:
    theirs = {sample.minute: sample.p95_ms for sample in blue if sample.p95_ms}
    found = sorted((sample.minute, sample.p95_ms, theirs.get(sample.minute)) for sample in green if sample.p95_ms)
    return [(ours, other) for _, ours, other in found if other is not None]
