"""From an event to what is to be done about it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rollout.errors import BadInput

_ML = "Microsoft.MachineLearningServices"
MODEL_REGISTERED = f"{_ML}.ModelRegistered"
RUN_COMPLETED = f"{_ML}.RunCompleted"
RUN_STATUS_CHANGED = f"{_ML}.RunStatusChanged"
#: What a rollout's event means to the one on call: severity as Azure Monitor counts it, 0 is worst.
SEVERITIES = {
    "Rollouts.Failed": 1,
    "Rollouts.Paged": 1,
    "Rollouts.RolledBack": 2,
    RUN_STATUS_CHANGED: 2,
}


@dataclass(frozen=True, slots=True)
class Event:
    """One Event Grid event, as the trigger hands it over."""

    id: str
    type: str
    subject: str
    time: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StartDelivery:
    """A model is there: continuous delivery may take it to an endpoint."""

    model: str
    version: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Alert:
    """Somebody has to know."""

    severity: int
    title: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the dashboard, which reads it out of the traces (AppTraces)."""

    name: str
    values: Mapping[str, Any]


Action = StartDelivery | Alert | Note
Plan = Callable[[Event], Action]


def model_registered(event: Event) -> Action:
    """Azure ML's event that a version of a model is registered."""
    _expect(event, MODEL_REGISTERED)
    tags = _field(event, "ModelTags", optional=True) or {}
    return StartDelivery(
        model=_text(event, "ModelName"),
        version=_text(event, "ModelVersion"),
        tags={str(key): str(value) for key, value in dict(tags).items()},
    )


def deployment_failed(event: Event) -> Action:
    """A rollout that failed, went back or waits for a person; a job that failed."""
    _expect(event, *SEVERITIES)
    severity = SEVERITIES[event.type]
    if event.type == RUN_STATUS_CHANGED:
        run, status = _text(event, "runId"), _text(event, "runStatus")
        return Alert(severity, f"job {run} is {status}", {"run": run, "status": status, "subject": event.subject})
    endpoint, model = _text(event, "endpoint"), _text(event, "model")
    what = event.type.removeprefix("Rollouts.")
    details = {name: event.data.get(name) for name in ("rollout", "endpoint", "model", "phase", "reason", "weights")}
    return Alert(severity, f"{what}: {model} on {endpoint}", details)


def job_completed(event: Event) -> Action:
    """A job of Azure ML that ended well."""
    _expect(event, RUN_COMPLETED)
    values = {"run": _text(event, "runId"), "time": event.time}
    for key, name in (("experiment", "experimentName"), ("kind", "runType")):
        if (value := _field(event, name, optional=True)) is not None:
            values[key] = str(value)
    return Note("job-completed", values)


#: Function to plan. `functions/function_app.py` has one function for each; subscriptions name them.
PLANS: Mapping[str, Plan] = {
    "model_registered": model_registered,
    "deployment_failed": deployment_failed,
    "job_completed": job_completed,
}


def _expect(event: Event, *types: str) -> None:
    if event.type not in types:
        raise BadInput(
            f"event {event.id} is of type {event.type!r}; this handler takes {', '.join(types)}",
            way_out="correct the subscription's eventTypes",
        )


def _field(event: Event, name: str, *, optional: bool = False) -> Any:
    """Azure ML writes some events' fields with a capital and others without."""
    found = {key.lower(): value for key, value in event.data.items()}.get(name.lower())
    if found is None and not optional:
        raise BadInput(f"event {event.id} ({event.type}) has no data.{name}")
    return found


def _text(event: Event, name: str) -> str:
    value = _field(event, name)
    if isinstance(value, dict | list) or not str(value).strip():
        raise BadInput(f"event {event.id} ({event.type}): data.{name} is not a text")
    return str(value)
