"""A sweep as a pipeline's step: the same as a sweep job, in the words of the YAML. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.ml.http import user_error
from sandbox.ml.jobs.search_space import ARGUMENTS

SWEEP = "sweep"
_TRIAL = ("command", "codeId", "environmentId", "environmentVariables", "resources", "distribution")


def sweep_properties(node: Mapping[str, Any], runnable: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A sweep job's properties; `runnable` holds those of the trial's command."""
    sampling, policy = node.get("sampling_algorithm") or {}, node.get("early_termination")
    if isinstance(sampling, str):
        sampling = {"type": sampling}
    limits, objective = dict(node.get("limits") or {}), node.get("objective") or {}
    return {
        "jobType": "Sweep",
        "command": None, "codeId": None, "environmentId": None, "environmentVariables": None,
        "trial": {key: runnable.get(key) for key in _TRIAL},
        "searchSpace": {
            name: _dimension(given, f"{where}.search_space.{name}")
            for name, given in (node.get("search_space") or {}).items()
        },
        "samplingAlgorithm": {
            "samplingAlgorithmType": sampling.get("type") or sampling.get("sampling_algorithm_type"),
            **{key: sampling.get(key) for key in ("seed", "rule", "logbase")},
        },
        "objective": {"goal": objective.get("goal"), "primaryMetric": objective.get("primary_metric")},
        "limits": {
            "jobLimitsType": "Sweep",
            "maxTotalTrials": limits.get("max_total_trials"),
            "maxConcurrentTrials": limits.get("max_concurrent_trials"),
            "timeout": _duration(limits.get("timeout")),
            "trialTimeout": _duration(limits.get("trial_timeout")),
        },
        "earlyTermination": _policy(policy) if policy else None,
    }  # fmt: skip


def _dimension(given: Any, where: str) -> list[Any]:
    """`{type: uniform, min_value: 0, max_value: 1}` as `["uniform", [0, 1]]`."""
    kind = str(given.get("type", "")) if isinstance(given, dict) else ""
    if kind not in ARGUMENTS:
        raise user_error(f"{where}.type is {kind!r}; allowed are {', '.join(ARGUMENTS)}.")
    return [kind, [given.get(name) for name in ARGUMENTS[kind]]]


def _policy(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keys and kind spelled as the service spells them."""
    made = {_camel(key): value for key, value in given.items()}
    kind = str(made.pop("type", None) or made.get("policyType", ""))
    return made | {"policyType": kind.replace("_", "")}


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _duration(seconds: Any) -> str | None:
    if seconds is None:
        return None
    return str(seconds) if str(seconds).startswith("P") else f"PT{seconds}S"
