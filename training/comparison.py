"""Is one model better than another on the same rows? Paired, so that rows which are hard for both cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from training.scores import Floats, Ints, metrics, predicted

RESAMPLES = 500
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile bootstrap interval at LEVEL."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`improvement`: new minus baseline, by metric. `p_value`: McNemar's exact test of equal accuracy, two-sided.

    McNemar, Psychometrika 12 (1947): under equality, who is right alone is a fair coin.
    """

    improvement: dict[str, float]
    intervals: dict[str, Interval]
    only_new_right: int
    only_baseline_right: int
    p_value: float

    @property
    def worse(self) -> bool:
        """The new model is worse, and not by chance (p < 0.05)."""
        return self.only_new_right < self.only_baseline_right and self.p_value < 1 - LEVEL


def _resamples(rows: int, seed: int) -> list[Ints]:
    random = np.random.default_rng(seed)
    return [random.integers(0, rows, rows) for _ in range(RESAMPLES)]


def intervals(truth: Ints, probability: Floats, threshold: float | None, seed: int) -> dict[str, Interval]:
    """Where each metric may lie; rows are drawn with replacement."""
    found = [metrics(truth[rows], probability[rows], threshold) for rows in _resamples(len(truth), seed)]
    return _percentiles(found)


def _percentiles(found: list[dict[str, float]]) -> dict[str, Interval]:
    tail = 100 * (1 - LEVEL) / 2
    return {
        name: Interval(
            *(float(value) for value in np.nanpercentile([each[name] for each in found], [tail, 100 - tail]))
        )
        for name in found[0]
    }


def compare(
    truth: Ints, new: tuple[Floats, float | None], baseline: tuple[Floats, float | None], seed: int
) -> Comparison:
    """`new` and `baseline`: probabilities, shape (rows, classes), and threshold; the same rows in the same order."""
    right_new, right_old = (predicted(*model) == truth for model in (new, baseline))
    gained, lost = int((right_new & ~right_old).sum()), int((right_old & ~right_new).sum())
    pairs = [
        (metrics(truth[rows], new[0][rows], new[1]), metrics(truth[rows], baseline[0][rows], baseline[1]))
        for rows in _resamples(len(truth), seed)
    ]
    found_new, found_old = metrics(truth, *new), metrics(truth, *baseline)
    return Comparison(
        improvement={name: found_new[name] - found_old[name] for name in found_new},
        intervals=_percentiles([{name: one[name] - two[name] for name in one} for one, two in pairs]),
        only_new_right=gained,
        only_baseline_right=lost,
        p_value=float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
    )
