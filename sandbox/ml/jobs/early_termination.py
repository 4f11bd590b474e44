"""Which trials of a sweep to end early, from the metrics they have logged so far. Pure.

An interval is one value of the primary metric logged by a trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from sandbox.ml.http import user_error

BANDIT, MEDIAN, TRUNCATION = "Bandit", "MedianStopping", "TruncationSelection"
_KINDS = {kind.lower(): kind for kind in (BANDIT, MEDIAN, TRUNCATION)}
#: What each trial logged, oldest first.
Histories = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Goal:
    """The primary metric and which way is better."""

    metric: str
    maximize: bool

    def best(self, values: Sequence[float]) -> float:
        return max(values) if self.maximize else min(values)

    def worse(self, value: float, than: float) -> bool:
        return value < than if self.maximize else value > than


@dataclass(frozen=True, slots=True)
class Policy:
    """`delay` and `interval` count intervals; the rest are the kinds' own parameters."""

    kind: str
    delay: int = 0
    interval: int = 1
    slack_factor: float = 0.0
    slack_amount: float = 0.0
    percentage: int = 0

    @classmethod
    def read(cls, given: Mapping[str, Any], where: str) -> Policy:
        kind = _KINDS.get(str(given.get("policyType", "")).lower())
        if kind is None:
            raise user_error(
                f"{where}.policyType is {given.get('policyType')!r}; allowed are {', '.join(_KINDS.values())}."
            )
        numbers: dict[str, float] = {}
        for key in ("delayEvaluation", "evaluationInterval", "slackFactor", "slackAmount", "truncationPercentage"):
            try:
                numbers[key] = float(given.get(key) or 0)
            except (TypeError, ValueError) as error:
                raise user_error(f"{where}.{key} is {given.get(key)!r}; it must be a number.") from error
            if numbers[key] < 0:
                raise user_error(f"{where}.{key} is {numbers[key]:g}; it must not be negative.")
        percentage = numbers["truncationPercentage"]
        if kind == TRUNCATION and not 1 <= percentage <= 99:
            raise user_error(f"{where}.truncationPercentage is {percentage:g}; it must be 1 to 99.")
        if kind == BANDIT and numbers["slackFactor"] and numbers["slackAmount"]:
            raise user_error(f"{where}: a bandit policy takes slackFactor or slackAmount, not both.")
        return cls(
            kind, int(numbers["delayEvaluation"]), max(int(numbers["evaluationInterval"]), 1),
            numbers["slackFactor"], numbers["slackAmount"], int(percentage),
        )  # fmt: skip

    def due(self, judged: int, logged: int) -> list[int]:
        """The intervals at which a trial that logged so many values is to be judged, after the `judged`-th."""
        return [at for at in range(judged + 1, logged + 1) if at % self.interval == 0 and at >= self.delay]

    def ends(self, goal: Goal, trial: str, at: int, histories: Histories) -> bool:
        """Whether the trial ends at that interval, beside all that came as far."""
        reached = {name: values[:at] for name, values in histories.items() if len(values) >= at}
        mine = goal.best(reached[trial])
        if self.kind == MEDIAN:
            return goal.worse(mine, median([fmean(values) for values in reached.values()]))
        if self.kind == TRUNCATION:
            ranked = sorted(reached, key=lambda name: goal.best(reached[name]), reverse=not goal.maximize)
            return trial in ranked[: len(ranked) * self.percentage // 100]
        return goal.worse(mine, self._floor(goal, goal.best([goal.best(values) for values in reached.values()])))

    def _floor(self, goal: Goal, best: float) -> float:
        """The worst that a bandit policy lets pass."""
        if self.slack_amount:
            return best - self.slack_amount if goal.maximize else best + self.slack_amount
        return best / (1 + self.slack_factor) if goal.maximize else best * (1 + self.slack_factor)
