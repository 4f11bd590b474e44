"""A sweep's search space: how each hyperparameter is distributed, and the points that are tried. Pure."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from sandbox.kernel.errors import AzureError
from sandbox.ml.http import user_error

CHOICE, RANDINT = "choice", "randint"
#: What each distribution is given, in order, as the service takes it.
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    CHOICE: ("values",),
    RANDINT: ("upper",),
    "uniform": ("min_value", "max_value"),
    "loguniform": ("min_value", "max_value"),
    "quniform": ("min_value", "max_value", "q"),
    "qloguniform": ("min_value", "max_value", "q"),
    "normal": ("mu", "sigma"),
    "lognormal": ("mu", "sigma"),
    "qnormal": ("mu", "sigma", "q"),
    "qlognormal": ("mu", "sigma", "q"),
}
_DIGITS = 12
Value = str | int | float | bool
Point = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Dimension:
    """One hyperparameter. `values` are a choice's; `numbers` the arguments of every other kind."""

    kind: str
    values: Sequence[Value] = ()
    numbers: Sequence[float] = ()

    @classmethod
    def read(cls, given: Any, where: str) -> Dimension:
        """From `["uniform", [0.1, 1]]`; AzureError names the field."""
        if not (isinstance(given, list) and len(given) == 2 and isinstance(given[1], list)):
            raise user_error(f"{where} must be a distribution and its arguments, e.g. ['uniform', [0, 1]].")
        kind, arguments = str(given[0]), given[1]
        if kind not in ARGUMENTS:
            raise user_error(f"{where} is of kind {kind!r}; allowed are {', '.join(ARGUMENTS)}.")
        if len(arguments) != len(ARGUMENTS[kind]):
            raise user_error(f"{where}: {kind} takes {', '.join(ARGUMENTS[kind])}.")
        if kind == CHOICE:
            return cls(kind, values=_values(arguments[0], where))
        numbers = [_number(value, f"{where}.{name}") for name, value in zip(ARGUMENTS[kind], arguments, strict=True)]
        _check(kind, dict(zip(ARGUMENTS[kind], numbers, strict=True)), where)
        return cls(kind, numbers=numbers)

    @property
    def size(self) -> float:
        """How many values there are."""
        if self.kind == CHOICE:
            return len(set(self.values))
        return self.numbers[0] if self.kind == RANDINT else math.inf

    def at(self, quantile: float) -> Value:
        """The value below which `quantile` (0 to 1) of the distribution lies."""
        if self.kind == CHOICE:
            return self.values[min(int(quantile * len(self.values)), len(self.values) - 1)]
        if self.kind == RANDINT:
            return min(int(quantile * self.numbers[0]), int(self.numbers[0]) - 1)
        first, second, *step = self.numbers
        if "normal" in self.kind:
            # An exact 0 has no finite normal quantile.
            value = NormalDist(first, second).inv_cdf(min(max(quantile, 1e-12), 1 - 1e-12))
        else:
            value = first + quantile * (second - first)
        if "log" in self.kind:
            value = math.exp(value)
        if step:
            value = round(value / step[0]) * step[0]
        return float(f"{value:.{_DIGITS}g}")


def _values(given: Any, where: str) -> Sequence[Value]:
    if not isinstance(given, list) or not given:
        raise user_error(f"{where}.values: a choice needs a list of values.")
    if any(isinstance(each, dict | list) or each is None for each in given):
        raise AzureError(
            501,
            "NotImitatedBySandbox",
            f"{where}.values: the sandbox takes texts, numbers and booleans, not nested spaces.",
        )
    return given


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise user_error(f"{where} is {value!r}; it must be a number.")
    return float(value)


def _check(kind: str, given: Mapping[str, float], where: str) -> None:
    if kind == RANDINT and (given["upper"] < 1 or given["upper"] != int(given["upper"])):
        raise user_error(f"{where}.upper is {given['upper']:g}; it must be a whole number of at least 1.")
    if "min_value" in given and given["min_value"] >= given["max_value"]:
        raise user_error(f"{where}.min_value is {given['min_value']:g}; it must be below max_value.")
    for key in ("sigma", "q"):
        if key in given and given[key] <= 0:
            raise user_error(f"{where}.{key} is {given[key]:g}; it must be above 0.")


Space = Mapping[str, Dimension]


def random_points(space: Space, seed: int | None) -> Iterator[Point]:
    """Independent draws; the same ones for the same seed."""
    return _points(space, _random_rows(len(space), seed))


def sobol_points(space: Space, seed: int | None) -> Iterator[Point]:
    """A scrambled Sobol sequence: more even than independent draws."""
    return _points(space, _sobol_rows(len(space), seed))


def _random_rows(width: int, seed: int | None) -> Iterator[Sequence[float]]:
    source = random.Random(seed)  # nosec B311  # a search, not a secret
    while True:
        yield [source.random() for _ in range(width)]


def _sobol_rows(width: int, seed: int | None) -> Iterator[Sequence[float]]:
    from scipy.stats import qmc

    sequence = qmc.Sobol(d=width, scramble=True, rng=seed)
    while True:
        # Two at a time: the sequence is balanced in powers of two, and warns otherwise.
        yield from sequence.random(2).tolist()


def _points(space: Space, rows: Iterator[Sequence[float]]) -> Iterator[Point]:
    """The points at these quantiles. Of a space of choices each point once, until there are no more."""
    size = math.prod(dimension.size for dimension in space.values())
    seen: set[tuple[Value, ...]] = set()
    while len(seen) < size:
        point = {name: dimension.at(at) for (name, dimension), at in zip(space.items(), next(rows), strict=True)}
        values = tuple(point.values())
        if values not in seen:
            yield point
        if math.isfinite(size):
            seen.add(values)


def grid_points(space: Space) -> Iterator[Point]:
    """Every combination of the choices."""
    for values in itertools.product(*(dimension.values for dimension in space.values())):
        yield dict(zip(space, values, strict=True))
