"""What a sweep job asks for, read and checked before anything starts. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sandbox.kernel.errors import AzureError
from sandbox.ml.http import user_error
from sandbox.ml.jobs import search_space
from sandbox.ml.jobs.early_termination import Goal, Policy
from sandbox.ml.jobs.search_space import CHOICE, Dimension, Point, Value
from sandbox.ml.jobs.spec import LITERAL, CommandSpec
from sandbox.ml.serving.spec import seconds_of

#: Azure's own when a sweep does not say.
MAX_TRIALS = 1000
_SPACE = re.compile(r"\$\{\{\s*search_space\.(\w+)\s*\}\}")
_INPUT = re.compile(r"\$\{\{\s*inputs\.(\w+)\s*\}\}")
_GOALS = {"maximize": True, "minimize": False}
_TRIAL = ("codeId", "environmentId", "resources", "distribution")


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A sweep. `timeout` in seconds for all trials together, None without a limit."""

    name: str
    space: Mapping[str, Dimension]
    sampling: Mapping[str, Any]
    goal: Goal
    policy: Policy | None
    trials: int
    concurrent: int
    timeout: float | None
    properties: Mapping[str, Any]

    @classmethod
    def read(cls, name: str, properties: Mapping[str, Any]) -> SweepSpec:
        """From a job's properties; AzureError names what is missing, wrong or not imitated."""
        given, limits = properties.get("searchSpace"), properties.get("limits") or {}
        if not isinstance(given, dict) or not given:
            raise user_error("properties.searchSpace: a sweep needs at least one hyperparameter.")
        if not isinstance(properties.get("trial"), dict):
            raise user_error("properties.trial: a sweep needs it.")
        trials = _count(limits, "maxTotalTrials", MAX_TRIALS)
        policy, timeout = properties.get("earlyTermination"), limits.get("timeout")
        spec = cls(
            name=name,
            space={key: Dimension.read(value, f"properties.searchSpace.{key}") for key, value in given.items()},
            sampling=properties.get("samplingAlgorithm") or {},
            goal=_goal(properties.get("objective") or {}),
            policy=Policy.read(policy, "properties.earlyTermination") if policy else None,
            trials=trials,
            concurrent=_count(limits, "maxConcurrentTrials", trials),
            timeout=seconds_of(timeout, "properties.limits.timeout") if timeout else None,
            properties=properties,
        )
        # A wrong trial is refused now, not once for each.
        first = next(spec.points(), {})
        CommandSpec.read(spec.trial_name(0), spec.trial(first))
        return spec

    @property
    def compute_id(self) -> str | None:
        return self.properties.get("computeId")

    def trial_name(self, number: int) -> str:
        return f"{self.name}_{number}"

    def points(self) -> Iterator[Point]:
        """What to try, in order."""
        return islice(_points(self.space, self.sampling), self.trials)

    def trial(self, point: Point) -> dict[str, Any]:
        """The properties of the command job that tries the point."""
        shared, own = self.properties, self.properties["trial"]
        values = {name: text(value) for name, value in point.items()}
        command = str(own.get("command") or "")
        wanted = {match[1] for match in _INPUT.finditer(command)}
        timeout = (shared.get("limits") or {}).get("trialTimeout")
        hyperparameters = json.dumps(point)
        made = {
            **{key: own.get(key) for key in _TRIAL},
            "jobType": "Command",
            "command": _SPACE.sub(lambda match: values.get(match[1], match[0]), command),
            "computeId": self.compute_id,
            "experimentName": shared.get("experimentName"),
            "environmentVariables": {
                **(own.get("environmentVariables") or {}),
                **{f"AZUREML_SWEEP_{name}": value for name, value in values.items()},
            },
            # A step's component takes them as inputs, a sweep job's command as search_space.
            "inputs": {
                **(shared.get("inputs") or {}),
                **{key: {"jobInputType": LITERAL, "value": value} for key, value in values.items() if key in wanted},
            },
            # Each trial keeps its own: an address or name given for the sweep is for the best trial's.
            "outputs": {
                key: {**(entry or {}), "uri": None, "assetName": None} for key, entry in (shared.get("outputs") or {}).items()
            },
            "limits": {"jobLimitsType": "Command", "timeout": timeout},
            "tags": {"hyperparameters": hyperparameters, "_aml_system_hyperparameters": hyperparameters},
        }  # fmt: skip
        return {key: value for key, value in made.items() if value is not None}


def text(value: Value) -> str:
    """As it is put into a command."""
    return str(value)


def _points(space: Mapping[str, Dimension], sampling: Mapping[str, Any]) -> Iterator[Point]:
    where = "properties.samplingAlgorithm"
    kind = str(sampling.get("samplingAlgorithmType", "")).lower()
    if kind == "random":
        return _random(space, sampling, where)
    if kind == "grid":
        for name, dimension in space.items():
            if dimension.kind != CHOICE:
                raise user_error(f"properties.searchSpace.{name} is {dimension.kind}; grid sampling takes choice only.")
        return search_space.grid_points(space)
    if kind == "bayesian":
        raise AzureError(
            501, "NotImitatedBySandbox",
            f"{where}.samplingAlgorithmType: the sandbox does not imitate Bayesian sampling; take random or grid.",
        )  # fmt: skip
    raise user_error(f"{where}.samplingAlgorithmType is {kind!r}; allowed are Random, Grid and Bayesian.")


def _random(space: Mapping[str, Dimension], sampling: Mapping[str, Any], where: str) -> Iterator[Point]:
    seed, rule = sampling.get("seed"), str(sampling.get("rule") or "random").lower()
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise user_error(f"{where}.seed is {seed!r}; it must be a whole number of at least 0.")
    if sampling.get("logbase") not in (None, "e"):
        raise AzureError(501, "NotImitatedBySandbox", f"{where}.logbase: the sandbox knows natural logarithms only.")
    if rule not in ("random", "sobol"):
        raise user_error(f"{where}.rule is {rule!r}; allowed are random and sobol.")
    make = search_space.sobol_points if rule == "sobol" else search_space.random_points
    return make(space, seed)


def _goal(given: Mapping[str, Any]) -> Goal:
    direction, metric = str(given.get("goal", "")).lower(), given.get("primaryMetric")
    if direction not in _GOALS:
        raise user_error(f"properties.objective.goal is {given.get('goal')!r}; allowed are Maximize and Minimize.")
    if not isinstance(metric, str) or not metric:
        raise user_error("properties.objective.primaryMetric: a sweep needs it.")
    return Goal(metric, _GOALS[direction])


def _count(limits: Mapping[str, Any], key: str, default: int) -> int:
    value = limits.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TRIALS:
        raise user_error(f"properties.limits.{key} is {value!r}; it must be a whole number from 1 to {MAX_TRIALS}.")
    return value
