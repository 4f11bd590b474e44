"""What machines get: the same facts as the tables, as plain JSON-able data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rollout.controller.executor import TickResult
    from rollout.controller.ports import LiveEndpoint, MinuteSample
    from rollout.controller.records import Record
    from rollout.controller.state import Parking
    from rollout.controller.views import RolloutView


def view_document(view: RolloutView) -> dict[str, Any]:
    """A rollout; times in ISO 8601 UTC of the policy clock."""
    document = {name: getattr(view, name) for name in type(view).__dataclass_fields__}
    document["checks"] = [check.to_json() for check in view.checks]
    document |= {"phase": view.phase.value, "condition": view.condition.value, "verdict": view.verdict.value}
    for name in ("next_at", "started_at", "finished_at"):
        moment = getattr(view, name)
        document[name] = moment.isoformat() if moment else None
    return document | {"title": view.title}


def live_document(live: LiveEndpoint, samples: Sequence[MinuteSample]) -> dict[str, Any]:
    """The endpoint, and of each deployment what the last minutes showed."""
    deployments: dict[str, Any] = {}
    for name, deployment in sorted(live.deployments.items()):
        own = [sample for sample in samples if sample.deployment == name]
        deployments[name] = asdict(deployment) | {
            "weight": live.weights.get(name, 0),
            "requests": sum(sample.requests for sample in own),
            "errors": sum(sample.errors for sample in own),
            "p95_ms": max((sample.p95_ms for sample in own if sample.p95_ms is not None), default=None),
        }
    return {
        "provisioning_state": live.provisioning_state,
        "weights": dict(live.weights),
        "mirror": dict(live.mirror),
        "deployments": deployments,
    }


def parking_document(parking: Parking) -> dict[str, Any]:
    """What is parked, by whom and since when; not what each deployment is made of."""
    return {
        "stage": parking.stage.value,
        "deployments": sorted(parking.deployments),
        "weights": dict(parking.weights),
        "mirror": dict(parking.mirror),
        "by": parking.by,
        "reason": parking.reason,
        "since": parking.since.isoformat(),
    }


def tick_document(result: TickResult) -> dict[str, Any]:
    """What one tick did."""
    return {
        "phase": result.phase.value if result.phase else None,
        "condition": result.condition.value,
        "reason": result.reason,
        "effects": list(result.effects),
        "next_at": result.next_at.isoformat() if result.next_at else None,
        "finished": result.finished,
        "untold": result.untold.message if result.untold else None,
    }


def record_document(record: Record) -> dict[str, Any]:
    """A journal line, as it was written."""
    return asdict(record) | {"kind": record.kind.value}
