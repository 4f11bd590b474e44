"""Anytime-valid test: is green's error rate higher than blue's, at the same time, by more than is tolerated?

A bet against "theta_green <= theta_blue + delta". Each block of counts multiplies the stake by the likelihood
ratio of an alternative (q_green, q_blue) to its Kullback-Leibler projection on theta_green = theta_blue + delta.
Under the null the stake is a non-negative supermartingale, so it ever reaches 1/budget with chance <= budget,
however often one looks. Why this one: docs/adr/0005-sequential-test.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Alternatives: green is worse than tolerated by this share.
OFFSETS = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.98)

_LEAST, _MOST = 1e-7, 1.0 - 1e-7
_BISECTIONS = 44


@dataclass(frozen=True, slots=True)
class Block:
    """Requests and errors of both sides in the same stretch of time."""

    green: int
    green_errors: int
    blue: int
    blue_errors: int


@dataclass(frozen=True, slots=True)
class SequentialResult:
    """`log_e` is the stake now, `log_e_max` the highest it ever was; rejected when that reached log(1/budget)."""

    log_e: float
    log_e_max: float
    rejected: bool
    rejected_at: int | None  # index of the block
    green: int
    green_errors: int
    blue: int
    blue_errors: int

    @property
    def e_value(self) -> float:
        """The highest stake, capped where a float ends."""
        return math.exp(min(self.log_e_max, 700.0))


@dataclass(slots=True)
class EProcess:
    """The stake, block after block. `past_*` are blue's counts before the first block: they only set the guess."""

    tolerated_increase: float
    budget: float
    past_blue: int = 0
    past_blue_errors: int = 0
    _log_mixture: list[float] = field(default_factory=lambda: [0.0] * len(OFFSETS))
    _log_plug_in: float = 0.0
    _green: int = 0
    _green_errors: int = 0
    _log_max: float = 0.0

    def update(self, block: Block) -> float:
        """Bet on one block, then learn from it. Returns the log of the stake."""
        _check(block)
        blue_guess = _estimate(self.past_blue, self.past_blue_errors)
        edge = blue_guess + self.tolerated_increase
        for index, offset in enumerate(OFFSETS):
            alternative = min(edge + offset, _MOST)
            self._log_mixture[index] += log_ratio(block, alternative, blue_guess, self.tolerated_increase)
        plug_in = _estimate(self._green, self._green_errors) if self._green else 0.0
        self._log_plug_in += log_ratio(block, plug_in, blue_guess, self.tolerated_increase)
        self._learn(block)
        self._log_max = max(self._log_max, self.log_e)
        return self.log_e

    def _learn(self, block: Block) -> None:
        self.past_blue += block.blue
        self.past_blue_errors += block.blue_errors
        self._green += block.green
        self._green_errors += block.green_errors

    @property
    def log_e(self) -> float:
        """Half on the uniform mixture, half on the plug-in."""
        mixture = _log_sum(self._log_mixture) - math.log(len(self._log_mixture))
        return _log_sum((mixture, self._log_plug_in)) - math.log(2.0)

    @property
    def rejected(self) -> bool:
        """Whether the stake ever reached 1/budget; that stays so."""
        return self._log_max >= -math.log(self.budget)


def run_test(
    blocks: Sequence[Block], tolerated_increase: float, budget: float, past_blue: tuple[int, int] = (0, 0)
) -> SequentialResult:
    """The test over `blocks`; `past_blue` is (requests, errors) of blue before them."""
    process = EProcess(tolerated_increase, budget, *past_blue)
    rejected_at: int | None = None
    for index, block in enumerate(blocks):
        process.update(block)
        if rejected_at is None and process.rejected:
            rejected_at = index
    return SequentialResult(
        log_e=process.log_e,
        log_e_max=max(process._log_max, process.log_e),
        rejected=process.rejected,
        rejected_at=rejected_at,
        green=sum(block.green for block in blocks),
        green_errors=sum(block.green_errors for block in blocks),
        blue=sum(block.blue for block in blocks),
        blue_errors=sum(block.blue_errors for block in blocks),
    )


def log_ratio(block: Block, q_green: float, q_blue: float, delta: float) -> float:
    """log of the likelihood ratio of (q_green, q_blue) to its projection; 0 (no bet) inside the null."""
    if block.green == 0 or block.blue == 0 or q_green <= q_blue + delta:
        return 0.0
    p_blue = project(block.green, block.blue, q_green, q_blue, delta)
    return _log_binomial_ratio(block.green, block.green_errors, q_green, p_blue + delta) + _log_binomial_ratio(
        block.blue, block.blue_errors, q_blue, p_blue
    )


def project(green: int, blue: int, q_green: float, q_blue: float, delta: float) -> float:
    """The theta_blue on the null's edge nearest in KL to (q_green, q_blue), for these block sizes."""
    low, high = q_blue, q_green - delta
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        edge = middle + delta
        slope = green * (edge - q_green) / (edge * (1.0 - edge)) + blue * (middle - q_blue) / (middle * (1.0 - middle))
        if slope < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def divergence(q: float, p: float) -> float:
    """Kullback-Leibler divergence of Bernoulli(q) from Bernoulli(p), in nats."""
    return _term(q, p) + _term(1.0 - q, 1.0 - p)


def growth(green: float, blue: float, q_green: float, q_blue: float, delta: float) -> float:
    """Expected growth of the log stake for one block of these sizes when (q_green, q_blue) is the truth."""
    if green <= 0.0 or blue <= 0.0 or q_green <= q_blue + delta:
        return 0.0
    scale = 1_000_000.0 / max(green, blue)
    p_blue = project(round(green * scale), round(blue * scale), q_green, q_blue, delta)
    return green * divergence(q_green, p_blue + delta) + blue * divergence(q_blue, p_blue)


def _term(q: float, p: float) -> float:
    return 0.0 if q <= 0.0 else q * math.log(q / p)


def _log_binomial_ratio(requests: int, errors: int, q: float, p: float) -> float:
    return errors * (math.log(q) - math.log(p)) + (requests - errors) * (math.log1p(-q) - math.log1p(-p))


def _estimate(requests: int, errors: int) -> float:
    """A guess at an error rate that starts near 1 % and is never 0 or 1."""
    return min(max((errors + 0.1) / (requests + 10.0), _LEAST), _MOST)


def _log_sum(values: Iterable[float]) -> float:
    logs = list(values)
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs))


def _check(block: Block) -> None:
    for name, requests, errors in (
        ("green", block.green, block.green_errors),
        ("blue", block.blue, block.blue_errors),
    ):
        if not 0 <= errors <= requests:
            raise ValueError(f"{name}: {errors} errors of {requests} requests; errors must be between 0 and requests")
