"""What the controller can do to the world: as data, so that it can be journaled before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rollout.controller.ports import LiveEndpoint


class EffectKind(StrEnum):
    DEPLOY = "deploy"
    SMOKE = "smoke"
    SET_WEIGHTS = "set-weights"
    RETIRE = "retire"


class Purpose(StrEnum):
    """Why weights are written."""

    SHIFT = "shift"
    ROLL_BACK = "roll-back"
    REASSERT = "reassert"


@dataclass(frozen=True, slots=True)
class Effect:
    """One change of the world. `deployment` for deploy, smoke and retire; `weights` and `purpose` for set-weights."""

    kind: EffectKind
    deployment: str = ""
    weights: Mapping[str, int] | None = None
    purpose: Purpose | None = None
    step: int = 0

    def __str__(self) -> str:
        if self.weights is not None:
            return f"{self.purpose} to {show_weights(self.weights)}"
        return f"{self.kind} {self.deployment}"

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"kind": self.kind.value}
        if self.deployment:
            document["deployment"] = self.deployment
        if self.weights is not None and self.purpose is not None:
            document |= {"weights": dict(self.weights), "purpose": self.purpose.value, "step": self.step}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Effect:
        purpose = document.get("purpose")
        return cls(
            kind=EffectKind(document["kind"]),
            deployment=document.get("deployment", ""),
            weights=document.get("weights"),
            purpose=Purpose(purpose) if purpose else None,
            step=document.get("step", 0),
        )


class Found(StrEnum):
    """What the live endpoint says of an effect that may have happened."""

    DONE = "done"
    NOT_DONE = "not-done"
    FAILED = "failed"


def find(effect: Effect, live: LiveEndpoint) -> Found:
    """Whether `effect` is already visible; an effect that leaves no trace (smoke) is NOT_DONE, as it is safe to repeat."""
    if effect.kind is EffectKind.SET_WEIGHTS:
        return Found.DONE if same_weights(live.weights, effect.weights or {}) else Found.NOT_DONE
    deployment = live.deployments.get(effect.deployment)
    if effect.kind is EffectKind.RETIRE:
        return Found.DONE if deployment is None else Found.NOT_DONE
    if effect.kind is EffectKind.DEPLOY and deployment is not None:
        return {"Succeeded": Found.DONE, "Failed": Found.FAILED}.get(deployment.provisioning_state, Found.NOT_DONE)
    return Found.NOT_DONE


def same_weights(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Equal but for zero entries, which the service strips."""
    return strip(one) == strip(other)


def strip(weights: Mapping[str, int]) -> dict[str, int]:
    """Without zero entries."""
    return {name: weight for name, weight in sorted(weights.items()) if weight}


def show_weights(weights: Mapping[str, int]) -> str:
    """'blue 90, green 10', or 'no traffic'."""
    return ", ".join(f"{name} {weight}" for name, weight in sorted(strip(weights).items())) or "no traffic"
