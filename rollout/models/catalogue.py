"""Registered models as people look at them: versions with what is known of each, and two of them side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from contract.policy import Gates
from rollout.azure.models import RegisteredModel
from training.gates import METRICS, Measured, Shortfall, shortfalls

#: Tags that this package writes.
SIGNED_BY, FILES_HASH, STAGE = "signed_by", "files_hash", "stage"
_PARAMS = ("kind", "use_case", "git_commit", "plan_hash")


@dataclass(frozen=True, slots=True)
class Version:
    """One line of `rollout model list`."""

    name: str
    version: str
    registry: str
    semantic: str
    stages: tuple[str, ...]
    metrics: Mapping[str, float]
    shortfalls: tuple[str, ...]
    model_hash: str
    data_hash: str
    files_hash: str
    signed_by: str
    serves: tuple[str, ...]
    created: str
    tags: Mapping[str, str]

    @property
    def gates(self) -> str:
        """In a word; metrics that were never recorded are no pass."""
        if not self.metrics:
            return "unknown"
        return "missed" if self.shortfalls else "passed"

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "gates": self.gates}


def version_of(
    model: RegisteredModel, gates: Gates, *, aliases: Iterable[str] = (), serves: Iterable[str] = ()
) -> Version:
    """What the tags tell, judged by the gates of the stack that looks."""
    tags, metrics = model.tags, recorded_metrics(model.tags)
    missed = recorded_shortfalls(tags, gates) if metrics else []
    stages = [tags[STAGE]] if tags.get(STAGE) else []
    return Version(
        name=model.ref.name,
        version=model.ref.version,
        registry=model.ref.registry,
        semantic=tags.get("version", ""),
        stages=tuple(dict.fromkeys([*stages, *aliases])),
        metrics=metrics,
        shortfalls=tuple(each.said for each in missed),
        model_hash=tags.get("model_hash", ""),
        data_hash=tags.get("data_hash", ""),
        files_hash=tags.get(FILES_HASH, ""),
        signed_by=tags.get(SIGNED_BY, ""),
        serves=tuple(serves),
        created=model.created.isoformat(timespec="seconds") if model.created else "",
        tags=dict(tags),
    )


def recorded_metrics(tags: Mapping[str, str]) -> dict[str, float]:
    """The metrics that the registration wrote into the tags; what is not a number is left out."""
    found = {}
    for name in METRICS:
        try:
            found[name] = float(tags[name])
        except (KeyError, ValueError):
            continue
    return found


def recorded_shortfalls(tags: Mapping[str, str], gates: Gates) -> list[Shortfall]:
    """The gates' floors that the recorded metrics miss. What else training judged is not in a version's tags."""
    return [each for each in shortfalls(Measured(metrics=recorded_metrics(tags)), gates) if each.gate in METRICS]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two versions are compared by."""

    what: str
    first: str
    second: str
    change: str = ""

    @property
    def differs(self) -> bool:
        return self.first != self.second


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions side by side."""

    first: Version
    second: Version
    metrics: tuple[Difference, ...]
    facts: tuple[Difference, ...]
    schema: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        return {
            "first": self.first.document(),
            "second": self.second.document(),
            "metrics": [asdict(each) for each in self.metrics],
            "facts": [asdict(each) | {"differs": each.differs} for each in self.facts],
            "schema": list(self.schema),
        }


def compare(
    first: Version, second: Version, params: tuple[Mapping[str, str], Mapping[str, str]], schema: Sequence[str]
) -> Comparison:
    """`params`: of the runs that logged them; `schema`: what changed between their inputs."""
    names = [name for name in METRICS if name in first.metrics or name in second.metrics]
    tags = [(name, first.tags.get(name, ""), second.tags.get(name, "")) for name in (*_PARAMS, "data_hash")]
    logged = sorted({*params[0], *params[1]})
    facts = [
        ("semantic version", first.semantic, second.semantic),
        ("model hash", first.model_hash, second.model_hash),
        *tags,
        *((f"param {name}", params[0].get(name, ""), params[1].get(name, "")) for name in logged),
    ]
    return Comparison(
        first,
        second,
        tuple(_metric(name, first.metrics.get(name), second.metrics.get(name)) for name in names),
        tuple(Difference(what, a, b) for what, a, b in facts if a or b),
        tuple(schema),
    )


def _metric(name: str, first: float | None, second: float | None) -> Difference:
    change = f"{second - first:+.4f}" if first is not None and second is not None else ""
    return Difference(name, _number(first), _number(second), change)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
